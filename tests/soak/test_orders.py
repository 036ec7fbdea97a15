"""Clients that meet in one moment (F-25, F-26): whatever they do, it is as if they had come one after the other.

    two or three requests at once ---> the server ---> what each was answered, and what is there now
    the same in every order ---------> the model ----> for one order, all of that is the same

The next round begins with what the last one left. Where a deletion of the whole repository, or of what a push needs,
comes between the parts of another request, that one may be refused without effect: its client is told to try again.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import pytest

from tests.crash.scene import Scene, at_once
from tests.effort import SECONDS, effort
from tests.factories import fresh
from tests.ociclient import HOW, Client
from tests.product import Serve
from tests.rest.api import Api, twice
from tests.soak.acts import RULE
from tests.soak.catalogue import Catalogue, Document
from tests.soak.model import Project, Repository
from tests.wire import Answer

ROUNDS = 500
PATHS = ("app", "base")
DOCUMENTS = ("base", "app", "tiny", "bundle", "signature")
TAGS = ("latest", "v1")
SEED = 25
DELETION = "delete the repository"


@dataclass(frozen=True)
class Act:
    """A request, and what it does to the model."""

    name: str
    ask: Callable[[], Answer]
    happen: Callable[[Project], int]


@dataclass(frozen=True)
class Outcome:
    """What each was answered, and what is there: all that is compared."""

    statuses: tuple[int, ...]
    is_ruled: bool
    is_there: tuple[bool, ...]
    blobs: tuple[frozenset[str], ...]
    manifests: tuple[frozenset[str], ...]
    tags: tuple[tuple[tuple[str, str], ...], ...]


class Arena:
    """A project of two repositories on the server, and as the model has it."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.chance = scene, random.Random(SEED)
        self.name = scene.world.project()
        self.catalogue = Catalogue.of(fresh("arena"))
        self.api = Api(scene.world.url, scene.world.admin_account)
        self.rule = self.api.create_id(f"/projects/{self.name}/immutabletagrules", {**RULE, "disabled": True})
        self.project = Project(self.name)
        for path in PATHS:
            self.project.repositories[path] = Repository(self.project, f"{self.name}/{path}")
        self.clients = scene.crowd(f"{self.name}/{PATHS[0]}", 3)

    def round(self) -> None:
        """Some acts at once; fails when no order of them explains what came of it."""
        self.refill()
        acts = [self.draw(client) for client in self.clients[: self.chance.choice((2, 2, 3))]]
        answers = at_once(act.ask for act in acts)
        seen = self.seen(answers)
        for found, expected in self.explanations(acts, answers, seen):
            if expected == seen:
                self.project = found
                return
        told = [(act.name, str(answer)) for act, answer in zip(acts, answers, strict=True)]
        pytest.fail(f"no order explains {told}\n{self.project}\n{seen}")

    def explanations(
        self, acts: Sequence[Act], answers: Sequence[Answer], seen: Outcome
    ) -> Iterator[tuple[Project, Outcome]]:
        """The model after the acts, in every order, with what came of it by then."""
        is_deleted = any(act.name.startswith(DELETION) for act in acts)
        may_yield = [(is_deleted and answer.status == 404) or b"meanwhile" in answer.body for answer in answers]
        for yielded in product(*((False, True) if may else (False,) for may in may_yield)):
            for order in permutations(range(len(acts))):
                project, statuses = self.project.copy(), [answer.status for answer in answers]
                for number in order:
                    if not yielded[number]:
                        statuses[number] = acts[number].happen(project)
                if any(yielded):  # what a push or a copy does first: it makes the repository
                    for path, is_there in zip(PATHS, seen.is_there, strict=True):
                        repository = project.repositories[path]
                        repository.is_there = repository.is_there if repository.blobs else is_there
                yield project, _outcome(project, statuses)

    def seen(self, answers: Sequence[Answer]) -> Outcome:
        held = [self.scene.janitor("holdings", repository=f"{self.name}/{path}") for path in PATHS]
        (rule,) = self.api.get(f"/projects/{self.name}/immutabletagrules")
        return Outcome(
            tuple(answer.status for answer in answers),
            not rule["disabled"],
            tuple(one["is_there"] for one in held),
            tuple(frozenset(one["blobs"]) for one in held),
            tuple(frozenset(one["manifests"]) for one in held),
            tuple(tuple(sorted(one["tags"].items())) for one in held),
        )

    def refill(self) -> None:
        """What was deleted is pushed again now and then, or nothing would be left to meet at."""
        repository = self.project.repositories[self.chance.choice(PATHS)]
        if self.chance.random() < 0.5:
            for document in self.catalogue.parts(self.chance.choice(DOCUMENTS)):
                for digest in set(document.blobs) - repository.blobs:
                    self.clients[0].push_blob(repository.name, self.catalogue.contents[digest])
                    repository.blob_put(digest)
                answer = self.put(self.clients[0], repository.name, document, ())
                assert answer.status == repository.manifest_put(document, ())

    # What meets.

    def draw(self, client: Client) -> Act:
        path, other = self.chance.sample(PATHS, 2)
        document = self.catalogue.documents[self.chance.choice(DOCUMENTS)]
        name, tags = f"{self.name}/{path}", self.chance.sample(TAGS, self.chance.randint(0, 2))
        digest, tag = self.chance.choice(sorted(self.catalogue.contents)), self.chance.choice(TAGS)
        rest = f"/projects/{self.name}/repositories/{twice(path)}"
        is_off = self.chance.random() < 0.5
        rule = f"/projects/{self.name}/immutabletagrules/{self.rule}"

        def here(project: Project) -> Repository:
            return project.repositories[path]

        def ruled(project: Project) -> int:
            project.is_ruled = not is_off
            return 200

        acts = {
            "push": (4, lambda: self.put(client, name, document, tags), lambda p: here(p).manifest_put(document, tags)),
            "push a blob": (
                2,
                lambda: HOW["post_only"](client, name, self.catalogue.contents[digest], digest),
                lambda p: here(p).blob_put(digest),
            ),
            "delete a tag": (3, lambda: client.delete(name, tag), lambda p: here(p).tag_delete(tag)),
            "delete a manifest": (
                3,
                lambda: client.delete(name, document.digest),
                lambda p: here(p).manifest_delete(document.digest),
            ),
            "delete an artifact": (
                3,
                lambda: self.api("DELETE", f"{rest}/artifacts/{document.digest}"),
                lambda p: here(p).artifact_delete(document.digest),
            ),
            "delete a blob": (2, lambda: client.delete(name, digest, "blobs"), lambda p: here(p).blob_delete(digest)),
            DELETION: (2, lambda: self.api("DELETE", rest), lambda p: here(p).delete()),
            "copy": (
                3,
                lambda: self.api("POST", f"{rest}/artifacts", query={"from": f"{self.name}/{other}@{document.digest}"}),
                lambda p: here(p).copy_from(p.repositories[other], document.digest),
            ),
            "switch the rule": (
                2,
                lambda: self.api("PUT", rule, {**RULE, "disabled": is_off}),
                ruled,
            ),
        }
        name_of_act = self.chance.choices([*acts], [often for often, _, _ in acts.values()])[0]
        _, ask, happen = acts[name_of_act]
        return Act(f"{name_of_act} {path} {document.name} {tags} {tag}", ask, happen)

    def put(self, client: Client, name: str, document: Document, tags: Sequence[str]) -> Answer:
        return client.push_manifest(name, document.digest, document.content, document.media_type, tags=tags)


def _outcome(project: Project, statuses: Sequence[int]) -> Outcome:
    held = [project.repositories[path] for path in PATHS]
    return Outcome(
        tuple(statuses),
        project.is_ruled,
        tuple(one.is_there for one in held),
        tuple(frozenset(one.blobs) for one in held),
        tuple(frozenset(one.manifests) for one in held),
        tuple(tuple(sorted(one.tags.items())) for one in held),
    )


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Serve({"HARBORLITE_TOMBSTONE_SECONDS": "0"}) as server:
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.mark.timeout(SECONDS)
def test_what_meets_happens_in_some_order(scene: Scene) -> None:
    arena = Arena(scene)
    with scene.quietly():
        for _ in range(effort(ROUNDS)):
            arena.round()
    scene.assert_tidy()
