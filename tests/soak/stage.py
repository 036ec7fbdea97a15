"""Where the state machine plays: two people with a project each on a real server, the model beside it, and the look
that holds the two against each other.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.scene import Scene
from tests.effort import effort
from tests.factories import Account, fresh
from tests.ociclient import Client
from tests.rest.api import Api, twice
from tests.soak.catalogue import BLOBS, DOCUMENTS, REFERRERS, Catalogue, Document
from tests.soak.model import IMMUTABLE, PULL, Project, Registry, Repository, Session
from tests.wire import Answer, bearer

TAGS = ("latest", "dev", "v1", "v2")
PLACES = {"ours": ("app", "base"), "theirs": ("app",)}
"""Repositories by project."""
OWNER, OTHER, NOBODY = "owner", "other", None
SUBJECTS = {subject for subject, _kind in REFERRERS.values()}
CRASHES = 6
GHOST = "there-is-no-such-project/app"


@dataclass(frozen=True)
class Cast:
    """Who acts: two people, and nobody. The accounts are made once for all runs."""

    scene: Scene
    accounts: dict[str, Account]
    clients: dict[str | None, Client]
    apis: dict[str | None, Api]
    crashes: list[str] = field(default_factory=list)
    """One for each; they take longer than everything else together."""

    @classmethod
    def on(cls, scene: Scene) -> "Cast":
        world = scene.world
        accounts = {OWNER: world.owner, OTHER: world.user()}
        clients: dict[str | None, Client] = {who: world.client(account) for who, account in accounts.items()}
        apis: dict[str | None, Api] = {who: Api(world.url, account) for who, account in accounts.items()}
        return cls(scene, accounts, clients | {NOBODY: world.client()}, apis | {NOBODY: Api(world.url)})

    @property
    def admin(self) -> Api:
        return Api(self.scene.world.url, self.scene.world.admin_account)


@dataclass(frozen=True)
class Drawn:
    """What hypothesis draws for an act: where, from where, which of those that are there, and who does it."""

    place: str
    other: str
    number: int
    kind: str


@dataclass
class Stage:
    """One run. Nothing drawn depends on what the server answers, so hypothesis can shrink what it finds."""

    cast: Cast
    catalogue: Catalogue = field(default_factory=lambda: Catalogue.of(fresh("run")))
    names: dict[str, str] = field(default_factory=dict)
    """Of the projects of PLACES on the server."""
    rules: dict[str, int] = field(default_factory=dict)
    """Id of each project's immutable tag rule."""
    policies: dict[str, str] = field(default_factory=dict)
    """Where each project's retention policy is in the REST API."""
    touched: set[str] = field(default_factory=set)
    """Names of the repositories to be looked at after the step."""
    sealed: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each repository: what the server showed of its immutable tags since the rule is there."""
    seen: dict[str, Repository] = field(default_factory=dict)
    """Each repository as it was at the last look."""
    steps: int = 0

    def __post_init__(self) -> None:
        self.registry = Registry(self.catalogue)
        for key, paths in PLACES.items():
            who = OWNER if key == "ours" else OTHER
            name = self.names[key] = self.cast.scene.world.project(owner=self.cast.accounts[who])
            project = self.registry.projects[name] = Project(name, roles={who: "project admin"})
            for path in paths:
                project.repositories[path] = Repository(project, f"{name}/{path}")

    # What an act is made of.

    def at(self, place: str) -> Repository:
        key, _, path = place.partition("/")
        repository = self.registry.projects[self.names[key]].repositories[path]
        self.touched.add(repository.name)
        return repository

    def person(self, kind: str, repository: Repository) -> str | None:
        insider, stranger = (OWNER, OTHER) if repository.project.name == self.names["ours"] else (OTHER, OWNER)
        return {"insider": insider, "stranger": stranger, "nobody": NOBODY}[kind]

    def insider(self, repository: Repository) -> Client:
        return self.cast.clients[self.person("insider", repository)]

    def api(self, repository: Repository) -> Api:
        return self.cast.apis[self.person("insider", repository)]

    def path(self, repository: Repository) -> str:
        """In the REST API."""
        project, _, path = repository.name.partition("/")
        return f"/projects/{project}/repositories/{twice(path)}"

    def tag(self, repository: Repository, number: int) -> str:
        return _one_of(number, sorted(repository.tags), TAGS)

    def document(self, repository: Repository, number: int) -> Document:
        names = [document.name for document in repository.manifests.values()]
        return self.catalogue.documents[_one_of(number, names, DOCUMENTS)]

    def blob(self, repository: Repository, number: int) -> str:
        """Its name."""
        return _one_of(number, [name for name in BLOBS if self.catalogue.digest(name) in repository.blobs], BLOBS)

    def session(self, number: int) -> Session | None:
        sessions = self.registry.sessions
        session = sessions[number % len(sessions)] if sessions else None
        if session:
            self.touched.add(session.repository.name)
        return session

    def put(self, client: Client, repository: Repository, document: Document, wanted: Sequence[str]) -> Answer:
        """By its digest when it gets no tag or several."""
        is_by_tag = len(wanted) == 1
        return client.push_manifest(
            repository.name,
            wanted[0] if is_by_tag else document.digest,
            document.content,
            document.media_type,
            tags=() if is_by_tag else wanted,
        )

    def settle(
        self, answer: Answer, who: str | None, repository: Repository, action: str, change: Callable[[], int]
    ) -> bool:
        """The answer is what the model says; returns whether it is one of success."""
        denied = 401 if who is NOBODY else 403
        expected = change() if repository.project.may(who, action) else denied
        assert answer.status == expected, f"{expected} was expected of {repository.name}: {answer}"
        return answer.status < 300

    def may_crash(self) -> bool:
        """Whether one more is due, of those that a run of the tests has time for."""
        is_due = len(self.cast.crashes) < effort(CRASHES)
        self.cast.crashes.extend(["one more"] * is_due)
        return is_due

    def touch_all(self) -> None:
        self.touched.update(repository.name for repository in self.registry.repositories())

    # The look.

    def compare(self) -> None:
        """The server is as the model: what the last step touched."""
        for repository in self.registry.repositories():
            if repository.name in self.touched:
                self.look(repository)
        if self.touched:
            self.look_as_a_stranger((OTHER, NOBODY)[self.steps % 2])
        self.touched.clear()
        self.steps += 1

    def compare_all(self) -> None:
        for repository in self.registry.repositories():
            self.look(repository, is_whole=True)

    def look(self, repository: Repository, *, is_whole: bool = False) -> None:
        """What there is, as its rows say; and as they say it to clients: what differs from the last look, and in turn
        some of what does not.
        """
        held = self.cast.scene.janitor("holdings", repository=repository.name)
        assert held["is_there"] == repository.is_there
        assert held["tags"] == repository.tags
        assert set(held["manifests"]) == repository.manifests.keys()
        assert set(held["blobs"]) == repository.blobs
        assert held["used"] == repository.project.used(self.catalogue), "the quota is charged wrongly (I5)"
        self.look_at_seals(repository, held["tags"])

        before = self.seen.get(repository.name) or Repository(repository.project, repository.name)
        client = self.insider(repository)
        listed = client.request("GET", f"/v2/{repository.name}/tags/list")
        assert listed.status == (200 if repository.is_there else 404), listed
        assert not repository.is_there or listed.json()["tags"] == sorted(repository.tags)
        for number, tag in enumerate(TAGS):
            if before.tags.get(tag) != repository.tags.get(tag) or self.is_due(number, len(TAGS), is_whole):
                look_at_manifest(client, repository, tag, repository.tags.get(tag))
        for number, document in enumerate(self.catalogue.documents.values()):
            changed = (document.digest in before.manifests) != (document.digest in repository.manifests)
            if changed or self.is_due(number, 6, is_whole):
                look_at_manifest(client, repository, document.digest, document.digest)
            if document.name in SUBJECTS and (changed or self.is_due(number, 3, is_whole)):
                found = [entry["digest"] for entry in client.referrers(repository.name, document.digest)]
                assert sorted(found) == sorted(one.digest for one in repository.referrers(document.digest))
        for number, (digest, content) in enumerate(self.catalogue.contents.items()):
            if (digest in before.blobs) != (digest in repository.blobs) or self.is_due(number, 4, is_whole):
                look_at_blob(client, repository, digest, content)
        self.seen[repository.name] = copy.copy(repository)
        for changing in ("blobs", "manifests", "tags"):
            setattr(self.seen[repository.name], changing, copy.copy(getattr(repository, changing)))

    def is_due(self, number: int, turns: int, is_whole: bool) -> bool:
        return is_whole or (number + self.steps) % turns == 0

    def look_at_seals(self, repository: Repository, shown: Mapping[str, str]) -> None:
        """An immutable tag never moves and never goes (I9)."""
        if repository.project.is_ruled:
            sealed = self.sealed.setdefault(repository.name, {})
            sealed |= {tag: digest for tag, digest in shown.items() if tag.startswith(IMMUTABLE) and tag not in sealed}
            assert sealed.items() <= shown.items()

    def look_as_a_stranger(self, who: str | None) -> None:
        """What one may not see is as if it were not there (I11)."""
        client = self.cast.clients[who]
        if self.steps % 4 < 2:
            here = set(self.names.values())
            token = client.token_text("registry:catalog:*")
            listed = client.send("GET", "/v2/_catalog?n=10000", headers=bearer(token)).json()["repositories"]
            assert [name for name in listed if name.partition("/")[0] in here] == self.registry.catalog(who)
            return
        touched = (repository for repository in self.registry.repositories() if repository.name in self.touched)
        for repository in touched:
            if not repository.project.may(who, PULL):
                hidden, missing = (client.get_manifest(name, "latest") for name in (repository.name, GHOST))
                assert hidden.status == missing.status == (401 if who is NOBODY else 403)
                assert hidden.body.decode().replace(repository.name, GHOST) == missing.body.decode()
                return


def look_at_manifest(client: Client, repository: Repository, reference: str, digest: str | None) -> None:
    document = repository.manifests.get(digest or "")
    answer = client.get_manifest(repository.name, reference)
    if document is None:
        assert answer.status == 404, answer
    else:
        assert (answer.status, answer.body) == (200, document.content), answer
        assert answer.headers["Docker-Content-Digest"] == document.digest


def look_at_blob(client: Client, repository: Repository, digest: str, content: bytes) -> None:
    """Not at what nothing keeps but that nobody collected yet: who is shown it may rely on it from then on."""
    if digest in repository.blobs - repository.leased - repository.referenced:
        return
    answer = client.get_blob(repository.name, digest)
    assert answer.status == repository.blob_read(digest), answer
    if answer.status == 200:
        assert answer.body == content
        part = client.get_blob(repository.name, digest, range="bytes=1-9")
        assert (part.status, part.body) == (206, content[1:10])


def _one_of(number: int, there: Iterable[str], all_of_them: Sequence[str]) -> str:
    """One that is there, mostly, if any is."""
    held = list(there)
    return held[number % len(held)] if held and number < 16 else all_of_them[number % len(all_of_them)]
