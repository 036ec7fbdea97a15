"""The registry as it must be, in memory: what each operation answers and what is there afterwards. Pure.

The state machine (tests.soak.machine) asks the server and this for the same and holds them against each other. It is
written from the outside, by what a client is told; no code of the product is used.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.soak.catalogue import Catalogue, Document

IMMUTABLE = "v"
"""What the tags begin with that the project's rule covers."""
PULL, PUSH, DELETE = "pull", "push", "delete"
ROLES = {
    None: frozenset[str](),
    "limited guest": frozenset({PULL}),
    "guest": frozenset({PULL}),
    "developer": frozenset({PULL, PUSH}),
    "maintainer": frozenset({PULL, PUSH, DELETE}),
    "project admin": frozenset({PULL, PUSH, DELETE}),
}
"""What a role, or none, may do by the registry's protocol."""


@dataclass
class Deletion:
    """In the recycle bin: what went together, with its tags."""

    repository: "Repository"
    is_whole: bool
    """Of a whole repository."""
    manifests: dict[str, Document]
    tags: dict[str, str]


@dataclass
class Repository:
    """`leased`: the blobs that are kept though nothing references them, because a client was told that they exist."""

    project: "Project"
    name: str
    blobs: set[str] = field(default_factory=set)
    leased: set[str] = field(default_factory=set)
    manifests: dict[str, Document] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    is_there: bool = False

    @property
    def referenced(self) -> set[str]:
        return {blob for document in self.manifests.values() for blob in document.blobs}

    @property
    def listed(self) -> set[str]:
        """The manifests that an index lists."""
        return {child for document in self.manifests.values() for child in document.children}

    def referrers(self, subject: str) -> list[Document]:
        return [document for document in self.manifests.values() if document.subject == subject]

    def tags_of(self, digests: Iterable[str]) -> list[str]:
        wanted = set(digests)
        return [tag for tag, digest in self.tags.items() if digest in wanted]

    def is_immutable(self, tags: Iterable[str]) -> bool:
        return self.project.is_ruled and any(tag.startswith(IMMUTABLE) for tag in tags)

    # What clients do. Each returns the status that they are answered.

    def blob_put(self, digest: str) -> int:
        self.is_there = True
        self.blobs.add(digest)
        self.leased.add(digest)
        return 201

    def blob_read(self, digest: str) -> int:
        """Who is told that it is there may rely on it for a while."""
        if digest not in self.blobs:
            return 404
        self.leased.add(digest)
        return 200

    def blob_delete(self, digest: str) -> int:
        if digest not in self.blobs:
            return 404
        if digest in self.referenced:
            return 405
        self._unlink({digest})
        return 202

    def manifest_put(self, document: Document, tags: Sequence[str]) -> int:
        self.is_there = True
        if document.digest not in self.manifests and not self._has_parts(document):
            return 404
        if self.is_immutable(tag for tag in tags if self.tags.get(tag, document.digest) != document.digest):
            return 412
        self.manifests.setdefault(document.digest, document)
        self.tags |= dict.fromkeys(tags, document.digest)
        return 201

    def _has_parts(self, document: Document) -> bool:
        return self.blobs.issuperset(document.blobs) and self.manifests.keys() >= set(document.children)

    def tag_delete(self, tag: str) -> int:
        if tag not in self.tags:
            return 404
        if self.is_immutable([tag]):
            return 412
        del self.tags[tag]
        return 202

    def manifest_delete(self, digest: str) -> int:
        """By the registry's protocol: this one alone."""
        if digest not in self.manifests:
            return 404
        if digest in self.listed:
            return 405
        return self._remove({digest}, 202)

    def artifact_delete(self, digest: str) -> int:
        """By the REST API: with what belongs to it."""
        if digest not in self.manifests:
            return 404
        going = self.doomed(digest)
        if going & self._listed_outside(going):
            return 412
        return self._remove(going, 200)

    def doomed(self, digest: str) -> set[str]:
        """It, the referrers of all that goes, and the children that have no tag; nothing that an index lists that
        stays.
        """
        going = {digest}
        while True:
            children = {child for gone in going for child in self.manifests[gone].children}
            more = {child for child in children if child not in self.tags.values()}
            more |= {document.digest for gone in going for document in self.referrers(gone)}
            more -= going
            more -= self._listed_outside(going | more)
            if not more:
                return going
            going |= more

    def _listed_outside(self, going: set[str]) -> set[str]:
        staying = (document for digest, document in self.manifests.items() if digest not in going)
        return {child for document in staying for child in document.children}

    def _remove(self, going: set[str], status: int) -> int:
        tags = self.tags_of(going)
        if self.is_immutable(tags):
            return 412
        self._bin(going)
        for digest in going:
            del self.manifests[digest]
        for tag in tags:
            del self.tags[tag]
        return status

    def closure(self, digest: str) -> set[str]:
        """It with its children and the referrers of all of them."""
        found, new = {digest}, {digest}
        while new:
            new = {child for one in new for child in self.manifests[one].children} | {
                document.digest for one in new for document in self.referrers(one)
            }
            new -= found
            found |= new
        return found

    def copy_from(self, source: "Repository", digest: str) -> int:
        """By the REST API: an artifact of `source`, with what belongs to it and its tags."""
        if digest not in source.manifests:
            return 404
        if source.manifests[digest].subject is not None:
            return 403
        self.is_there = True
        tags = source.tags_of([digest])
        if self.is_immutable(tag for tag in tags if self.tags.get(tag, digest) != digest):
            return 412
        coming = source.closure(digest)
        for one, document in source.manifests.items():
            if one in coming:
                for blob in document.blobs:
                    self.blob_put(blob)
                self.manifests.setdefault(one, document)
        self.tags |= dict.fromkeys(tags, digest)
        return 201

    def delete(self) -> int:
        if not self.is_there:
            return 404
        if self.is_immutable(self.tags):
            return 412
        self._bin(set(self.manifests), is_whole=True)
        self.blobs.clear()
        self.leased.clear()
        self.manifests.clear()
        self.tags.clear()
        self.is_there = False
        return 200

    # The recycle bin.

    def _bin(self, going: set[str], *, is_whole: bool = False) -> None:
        manifests = {digest: document for digest, document in self.manifests.items() if digest in going}
        tags = {tag: self.tags[tag] for tag in self.tags_of(going)}
        self.project.bin.append(Deletion(self, is_whole, manifests, tags))

    def artifact_restore(self, digest: str) -> int:
        """By its digest: from the latest deletion that has it, with what refers to it there."""
        if not self.is_there:
            return 404
        if digest in self.manifests:
            return 200
        deletion = self._latest_with(digest)
        if deletion is None:
            return 404
        coming, new = {digest}, {digest}
        while new:
            new = {one for one, document in deletion.manifests.items() if document.subject in new} - coming
            coming |= new
        return self._put_back(deletion, coming)

    def restore(self, deletion: Deletion) -> int:
        """All of it, into the repository of its name."""
        status = self._put_back(deletion, set(deletion.manifests))
        if status == 200:
            self.is_there = True
            self.project.bin = [one for one in self.project.bin if one is not deletion]
        return status

    def _put_back(self, deletion: Deletion, wanted: set[str]) -> int:
        """With what indexes among it list, which was deleted by itself; and its tags as far as they are free."""
        sources = dict.fromkeys(wanted, deletion)
        new = wanted
        while new:
            listed = {child for one in new for child in sources[one].manifests[one].children}
            new = listed - sources.keys() - self.manifests.keys()
            for digest in new:
                source = self._latest_with(digest)
                if source is None:
                    return 412
                sources[digest] = source
        for digest, source in sources.items():
            document = source.manifests.pop(digest)
            for blob in document.blobs:
                self.blob_put(blob)
            self.manifests.setdefault(digest, document)
        for tag, digest in deletion.tags.items():
            if digest in wanted:
                self.tags.setdefault(tag, digest)
        used = {id(source) for source in sources.values()}
        self.project.bin = [one for one in self.project.bin if one.manifests or one.is_whole or id(one) not in used]
        return 200

    def _latest_with(self, digest: str) -> Deletion | None:
        mine = (deletion for deletion in reversed(self.project.bin) if deletion.repository.name == self.name)
        return next((deletion for deletion in mine if digest in deletion.manifests), None)

    # What happens by itself.

    def retained(self, manifests: set[str], tags: dict[str, str], kept: str) -> None:
        """A run of retention left these, of which the policy keeps the artifacts whose tags begin with `kept`.

        What they list and what refers to them stays; what no policy keeps, and nothing else, goes with all its tags.
        """
        roots = {digest for tag, digest in self.tags.items() if tag.startswith(kept)}
        needed = {one for root in roots for one in self.closure(root)}
        assert needed <= manifests <= self.manifests.keys()
        assert tags == {tag: digest for tag, digest in self.tags.items() if digest in manifests}
        assert all(set(self.manifests[one].children) <= manifests for one in manifests)
        alone = set(self.tags.values()) - roots - self.listed
        alone -= {document.subject for document in self.manifests.values() if document.subject}
        for digest in alone:
            assert self.manifests[digest].subject or digest not in manifests, "it was to go"
        self.manifests = {digest: document for digest, document in self.manifests.items() if digest in manifests}
        self.tags = tags

    def collect(self) -> None:
        self._unlink(self.blobs - self.leased - self.referenced)

    def _unlink(self, digests: set[str]) -> None:
        self.blobs -= digests
        self.leased -= digests


@dataclass
class Project:
    """`roles`: what somebody may do in it, by their name; who is not in it has none."""

    name: str
    is_public: bool = False
    is_ruled: bool = False
    """An immutable tag rule covers the tags that begin with IMMUTABLE."""
    roles: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    bin: list[Deletion] = field(default_factory=list)
    """The recycle bin, the latest last."""

    def may(self, who: str | None, action: str) -> bool:
        if self.is_public and action == PULL:
            return True
        return who is not None and action in ROLES[self.roles.get(who)]

    def copy(self) -> "Project":
        """Another one just like it, to try something with."""
        made = Project(self.name, self.is_public, self.is_ruled, {**self.roles})
        for path, held in self.repositories.items():
            made.repositories[path] = Repository(
                made, held.name, {*held.blobs}, {*held.leased}, {**held.manifests}, {**held.tags}, held.is_there
            )
        return made

    def used(self, catalogue: Catalogue) -> int:
        """Bytes that its quota is charged for."""
        held = {blob for repository in self.repositories.values() for blob in repository.blobs}
        return sum(len(catalogue.contents[digest]) for digest in held)


@dataclass
class Session:
    """An upload that is under way; the server acknowledged the first `held` bytes of the blob of that name."""

    repository: Repository
    location: str
    blob: str
    held: int = 0


@dataclass
class Registry:
    """All of it."""

    catalogue: Catalogue
    projects: dict[str, Project] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)

    def repositories(self) -> Iterator[Repository]:
        for project in self.projects.values():
            yield from project.repositories.values()

    def catalog(self, who: str | None) -> list[str]:
        """The names that somebody sees: of the repositories that hold something."""
        return sorted(
            repository.name
            for project in self.projects.values()
            if project.may(who, PULL)
            for repository in project.repositories.values()
            if repository.manifests
        )

    def time_passes(self, *, is_long: bool) -> None:
        """Longer than any lease; or, if it is long, than anything is kept."""
        for repository in self.repositories():
            repository.leased.clear()
        if is_long:
            self.sessions.clear()
            for project in self.projects.values():
                project.bin.clear()

    def collect(self) -> None:
        for repository in self.repositories():
            repository.collect()
