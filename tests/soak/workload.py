"""The soak's clients: what each does at random, what it wrote down of what it was told, and what follows from that.

    Worker (a thread) --- operations ---> the server          Log (a file, in the order of the answers)
       |                                                        |
       '--- each acknowledged change, after the answer ---------'---> Truth: what must be there at the end (I1)

Repositories belong to one worker each, so that its log tells how they end. Layers belong to all: what one worker's
deletion leaves for collection is what another one's push is told that it need not send. One repository's tags are
moved by all, and read: each read must give what a move gave that was under way, or the last one before it.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import shake_256
from pathlib import Path
from urllib.parse import urlencode

from requests.structures import CaseInsensitiveDict

from tests.crash.scene import image_of, index_of
from tests.factories import Account
from tests.images import sha256
from tests.ociclient import HOW, Client
from tests.wire import TIMEOUT, Answer

LEASE = 5  # seconds
TAGS = ("a", "b", "c", "d", "e", "f")
LAYERS = tuple(
    shake_256(f"layer {number}".encode()).digest(size)
    for number, size in enumerate((200, 1000, 5000, 20_000, 100_000, 300_000) * 8)
)
SEED = 20
IDLE = 1  # seconds


class Swift(Client):
    """A client of one connection that stays open: a quarter of the work that the library in between would be."""

    def __init__(self, url: str, account: Account) -> None:
        super().__init__(url, account.login, account.secret)
        self._connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
        self._used = time.monotonic()

    def close(self) -> None:
        self._connection.close()
        super().close()

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        params: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        target = path.removeprefix(self.url)
        if params:
            target += ("&" if "?" in target else "?") + urlencode(params, safe=":/")
        data = iter([body or b""]) if chunked else body
        if time.monotonic() - self._used > IDLE:
            self._connection.close()  # the server may be closing it in this moment; the next request opens it
        self._connection.request(method, target, data, dict(headers or {}))
        response = self._connection.getresponse()
        answer = Answer(response.status, CaseInsensitiveDict(response.getheaders()), response.read())
        self._used = time.monotonic()
        return answer


class Wrong(AssertionError):
    """The server did what it must not do."""


class Log:
    """Append-only, one line for each acknowledged change of one worker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")

    def __call__(self, what: str, repository: str, name: str, value: str = "") -> None:
        self._file.write(json.dumps([what, repository, name, value]) + "\n")

    def close(self) -> None:
        self._file.close()


@dataclass
class Truth:
    """What the log says is there: manifests and tags by repository. Blobs are there as far as manifests need them."""

    manifests: dict[str, set[str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, *logs: Path) -> "Truth":
        truth = cls()
        for log in logs:
            for line in log.read_text().splitlines():
                truth.learn(*json.loads(line))
        return truth

    def learn(self, what: str, repository: str, name: str, value: str) -> None:
        manifests = self.manifests.setdefault(repository, set())
        tags = self.tags.setdefault(repository, {})
        if what == "manifest":
            manifests.add(name)
        elif what == "tag":
            tags[name] = value
        elif what == "tag gone":
            del tags[name]
        elif what == "manifest gone":
            manifests.remove(name)
            self.tags[repository] = {tag: digest for tag, digest in tags.items() if digest != name}
        elif what == "repository gone":
            manifests.clear()
            tags.clear()


@dataclass(frozen=True)
class Turn:
    """A move or a read of a tag that all move: from when to when it took, and the digest (None: no such tag)."""

    start: float
    end: float
    digest: str | None


@dataclass
class Register:
    """The tag that all move; it is not there in the beginning."""

    repository: str
    images: tuple[bytes, ...]
    moves: list[Turn] = field(default_factory=lambda: [Turn(0, 0, None)])
    reads: list[Turn] = field(default_factory=list)

    def stale(self) -> list[Turn]:
        """Reads that gave what neither a move under way nor the last one before the read had given."""
        return [read for read in self.reads if not any(_may_give(move, read, self.moves) for move in self.moves)]


def _may_give(move: Turn, read: Turn, moves: list[Turn]) -> bool:
    if move.digest != read.digest or move.start > read.end:
        return False
    return not any(move.end < later.start and later.end < read.start for later in moves)


class Clock:
    """Counts operations for all workers; over when there were enough."""

    def __init__(self, operations: int) -> None:
        self.left = operations
        self.counts = Counter[str]()
        self.late = 0
        """Pushes that were done again, for the client was slower than what it had been promised."""
        self.failure: BaseException | None = None
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more is to be done."""
        with self._lock:
            self.left -= 1
            return self.left >= 0 and self.failure is None

    def count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1


class Worker:
    """One client; `run` until the clock is over."""

    def __init__(
        self, number: int, client: Client, repositories: list[str], clock: Clock, register: Register, log: Log
    ) -> None:
        self.client, self.repositories, self.clock, self.register, self.log = client, repositories, clock, register, log
        self.chance = random.Random(SEED + number)
        self.truth = Truth()
        self.documents: dict[str, bytes] = {}
        """By digest, of all that this worker ever pushed."""
        self.blobs = {sha256(layer): layer for layer in LAYERS}
        """By digest: the layers, and this worker's configs."""

    def run(self) -> None:
        while self.clock.take():
            act = self.chance.choices([*ACTS], [*ACTS.values()])[0]
            try:
                act(self)
            except BaseException as error:
                self.clock.failure = error
                raise
            self.clock.count(act.__name__)

    def told(self, what: str, repository: str, name: str, value: str = "") -> None:
        """The server acknowledged it."""
        self.log(what, repository, name, value)
        self.truth.learn(what, repository, name, value)

    def some_repository(self) -> str:
        return self.chance.choice(self.repositories)

    def images(self, repository: str) -> list[str]:
        """Digests of the images that are there, in an order that is the same in each run."""
        held = self.truth.manifests.get(repository, set())
        return [digest for digest, document in self.documents.items() if digest in held and b'"layers"' in document]

    def expect(self, answer: Answer, *statuses: int) -> Answer:
        if answer.status not in statuses:
            raise Wrong(f"one of {statuses} was expected: {answer}")
        return answer

    # Operations.

    def push(self) -> None:
        config = json.dumps({"number": self.chance.getrandbits(64)}).encode()
        self.blobs[sha256(config)] = config
        self.put(self.some_repository(), image_of(config, *self.chance.sample(LAYERS, self.chance.randint(1, 2))))

    def push_again(self) -> None:
        """Perhaps what was deleted, or never was in this repository: its blobs may be collected in this moment."""
        images = [document for document in self.documents.values() if b'"layers"' in document]
        if images:
            self.put(self.some_repository(), self.chance.choice(images[-30:]))

    def push_index(self) -> None:
        repository = self.some_repository()
        images = self.images(repository)
        if len(images) > 1:
            self.put(repository, index_of(*(self.documents[digest] for digest in self.chance.sample(images, 2))))

    def put(self, repository: str, document: bytes) -> None:
        """As clients do: what the server says it has is not sent; then the manifest, under a tag, must be taken."""
        digest, tag = sha256(document), self.chance.choice(TAGS)
        parts = json.loads(document)
        names = [part["digest"] for part in (*parts.get("layers", ()), parts.get("config")) if part]
        for _ in range(3):
            since = time.monotonic()
            for name in dict.fromkeys(names):
                self.have(repository, name)
            answer = self.client.push_manifest(repository, tag, document, parts["mediaType"])
            if answer.status == 404 and time.monotonic() - since > LEASE / 2:
                self.clock.late += 1
                continue
            break
        self.expect(answer, 201)
        self.documents.setdefault(digest, document)
        self.told("manifest", repository, digest)
        self.told("tag", repository, tag, digest)

    def have(self, repository: str, digest: str) -> None:
        """The server says that the repository has the blob: at once, by a mount, or pushed in some way."""
        content = self.blobs[digest]
        if self.expect(self.client.head_blob(repository, digest), 200, 404).status == 200:
            return
        if self.chance.random() < 0.3:
            answer = self.expect(self.client.mount(repository, digest, self.some_repository()), 201, 202)
            if answer.status == 202:
                self.expect(self.client.finish(answer.headers["Location"], digest, content), 201)
        else:
            self.client.push_blob(repository, content, self.chance.choice(sorted(HOW)))

    def pull(self) -> None:
        """What must be there: the manifest that the tag is to stand for, and a layer."""
        repository = self.some_repository()
        tags = self.truth.tags.get(repository, {})
        if tags:
            tag = self.chance.choice(sorted(tags))
            answer = self.expect(self.client.get_manifest(repository, tag), 200)
            if answer.body != self.documents[tags[tag]]:
                raise Wrong(f"{repository}:{tag} is not what was pushed")
            for part in answer.json().get("layers", ())[:1]:
                found = self.expect(self.client.get_blob(repository, part["digest"]), 200)
                if found.body != self.blobs[part["digest"]]:
                    raise Wrong(f"{repository}@{part['digest']} has other bytes")

    def pull_config(self) -> None:
        """By its digest, of an image that may have no tag any more."""
        repository = self.some_repository()
        if images := self.images(repository):
            digest = self.chance.choice(images)
            config = json.loads(self.documents[digest])["config"]["digest"]
            if self.expect(self.client.get_blob(repository, config), 200).body != self.blobs[config]:
                raise Wrong(f"{repository}@{config} has other bytes")

    def list_tags(self) -> None:
        repository = self.some_repository()
        if self.truth.manifests.get(repository) and self.client.tags(repository) != sorted(self.truth.tags[repository]):
            raise Wrong(f"the tags of {repository} are not those that were pushed")

    def delete_tag(self) -> None:
        repository = self.some_repository()
        if tags := sorted(self.truth.tags.get(repository, {})):
            tag = self.chance.choice(tags)
            self.expect(self.client.delete(repository, tag), 202)
            self.told("tag gone", repository, tag)

    def delete_manifest(self) -> None:
        """An index may keep it."""
        repository = self.some_repository()
        if held := [digest for digest in self.documents if digest in self.truth.manifests.get(repository, ())]:
            digest = self.chance.choice(held)
            indexes = [self.documents[other] for other in held if b'"manifests"' in self.documents[other]]
            is_listed = any(digest.encode() in index for index in indexes)
            if self.expect(self.client.delete(repository, digest), 405 if is_listed else 202).status == 202:
                self.told("manifest gone", repository, digest)

    def delete_blob(self) -> None:
        repository, digest = self.some_repository(), self.chance.choice(sorted(self.blobs)[:200])
        self.expect(self.client.delete(repository, digest, "blobs"), 202, 404, 405)

    def move_register(self) -> None:
        """The tag that all move, or now and then delete."""
        document: bytes | None = self.chance.choice([*self.register.images, None])
        start = time.monotonic()
        if document is None:
            answer = self.expect(self.client.delete(self.register.repository, "latest"), 202, 404)
        else:
            answer = self.expect(self.client.push_manifest(self.register.repository, "latest", document), 201)
        if answer.status != 404:
            digest = sha256(document) if document else None
            self.register.moves.append(Turn(start, time.monotonic(), digest))

    def read_register(self) -> None:
        start = time.monotonic()
        answer = self.expect(self.client.get_manifest(self.register.repository, "latest"), 200, 404)
        digest = sha256(answer.body) if answer.status == 200 else None
        self.register.reads.append(Turn(start, time.monotonic(), digest))


ACTS: Mapping[Callable[[Worker], None], int] = {
    Worker.push: 10,
    Worker.push_again: 7,
    Worker.push_index: 3,
    Worker.pull: 24,
    Worker.pull_config: 18,
    Worker.list_tags: 8,
    Worker.delete_tag: 6,
    Worker.delete_manifest: 11,
    Worker.delete_blob: 2,
    Worker.move_register: 4,
    Worker.read_register: 7,
}
"""How often each is drawn, of 100."""
