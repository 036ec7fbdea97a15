"""What crash tests act with: a server that may be hurt, a ledger of what it acknowledged, requests sent in pieces."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from tests.factories import Clerk, World
from tests.images import OCI_CONFIG, OCI_LAYER, descriptor, dump, image_manifest, index_manifest, sha256
from tests.ociclient import Client
from tests.product import Serve, wait_for
from tests.wire import Answer, connect, read_answer

RECOVERY = 30.0  # seconds
_ABORT = struct.pack("ii", 1, 0)

T = TypeVar("T")


class Janitor(Clerk):
    """tests.crash.janitor, running; to be closed."""

    module = "tests.crash.janitor"


class Scene:
    """A server with accounts. To be closed."""

    def __init__(self, server: Serve) -> None:
        self.server = server
        self.world = World(server.url, server.env, server.admin_password)
        self.janitor = Janitor(server.env)

    def close(self) -> None:
        self.janitor.close()
        self.world.close()

    def crowd(self, repository: str, count: int) -> list[Client]:
        """So many clients of the owner that may do everything with the repository, with a token already."""
        clients = [self.world.player() for _ in range(count)]
        token = clients[0].token_text(f"repository:{repository}:pull,push,delete")
        for client in clients:
            client.tokens |= {(repository, "push"): token, (repository, "delete"): token}
        return clients

    def is_disarmed(self, failpoint: str) -> bool:
        """Somebody reached the failpoint since it was armed."""
        return not (self.server.faults / failpoint).exists()

    def wait_until_whole(self) -> None:
        """All web workers answer, at most RECOVERY seconds from now."""
        wait_for("both web workers", lambda: len(self.server.web_workers()) == 2, RECOVERY)
        wait_for("an answer", self.server.is_answering, RECOVERY)

    def assert_sound(self) -> None:
        """Database and store agree in every byte (I2, I3)."""
        assert self.janitor("violations") == []

    def assert_tidy(self) -> None:
        """Once sessions are discarded and bytes swept, nothing is left that stands for nothing (I4)."""
        self.janitor("tidy")
        assert self.janitor("leftovers") == []
        self.assert_sound()

    def stored(self, location: str = "") -> int:
        """Bytes on the disk that are no blob yet: of the session that is continued at `location`, or of all."""
        return sum(self._parts(location))

    def writing(self, location: str) -> int:
        """How many requests have bytes on the disk that are no blob yet, each in a part of its own."""
        return sum(size > 0 for size in self._parts(location))

    def _parts(self, location: str) -> Iterator[int]:
        key = location.rpartition("/")[2].replace("-", "")
        return map(_size_of, (self.server.data / "blobs" / "uploads").glob(f"{key or '*'}/*"))

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Inside, no process of the server reports an error of its own or a deadlock."""
        logs = [self.server.log, self.server.data / "logs" / "postgres.log"]
        before = [log.stat().st_size for log in logs]
        yield
        for log, start in zip(logs, before, strict=True):
            said = log.read_bytes()[start:].decode("utf-8", "replace")
            assert not any(word in said for word in ("Traceback", "deadlock detected", "unexpected error")), said


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed since it was listed
        return 0


@dataclass
class Ledger:
    """What one client was told that it is there: the truth the server is held to (I1)."""

    client: Client
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)

    def push_image(self, repository: str, tag: str, *contents: bytes) -> str:
        """The digest of an image of `contents`, the config first, all of it written down."""
        for content in contents:
            self.blobs[repository, self.client.push_blob(repository, content)] = content
        document = image_of(*contents)
        answer = self.client.push_manifest(repository, tag, document)
        assert answer.status == 201, answer
        return self.note_manifest(repository, tag, document)

    def note_manifest(self, repository: str, tag: str, document: bytes) -> str:
        self.manifests[repository, sha256(document)] = document
        self.tags[repository, tag] = sha256(document)
        return sha256(document)

    def verify(self, repository: str | None = None) -> None:
        """All of it (of one repository) is there, byte for byte."""
        for (name, digest), content in self.blobs.items():
            if repository in (None, name):
                assert_blob(self.client, name, digest, content)
        for (name, digest), document in self.manifests.items():
            if repository in (None, name):
                found = self.client.get_manifest(name, digest)
                assert (found.status, found.body) == (200, document), found
        for (name, tag), digest in self.tags.items():
            if repository in (None, name):
                assert tagged(self.client, name, tag) == digest


def assert_blob(client: Client, repository: str, digest: str, content: bytes) -> None:
    """HEAD, GET and a range of it tell of one and the same bytes."""
    head = client.head_blob(repository, digest)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(content))), head
    got = client.get_blob(repository, digest)
    assert got.status == 200, got
    assert got.body == content, "other bytes than were pushed"
    middle = len(content) // 2
    part = client.get_blob(repository, digest, range=f"bytes={middle}-")
    assert (part.status, part.body) == (206, content[middle:])


def tagged(client: Client, repository: str, tag: str) -> str | None:
    """The digest the tag stands for; None when there is no such tag."""
    found = client.get_manifest(repository, tag)
    assert found.status in (200, 404), found
    return sha256(found.body) if found.status == 200 else None


def image_of(config: bytes, *layers: bytes) -> bytes:
    return dump(image_manifest(descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER) for layer in layers]))


def index_of(*images: bytes) -> bytes:
    return dump(index_manifest([descriptor(image, "application/vnd.oci.image.manifest.v1+json") for image in images]))


def offset_of(client: Client, location: str) -> int:
    """How many bytes the server says the session holds. 0-0 may also mean one byte: nothing here is so short."""
    answer = client.request("GET", location)
    assert answer.status == 204, answer
    last = int(answer.headers["Range"].removeprefix("0-"))
    return last + 1 if last else 0


def at_once(actions: Iterable[Callable[[], T]]) -> list[T]:
    """Runs all of them at the same time; returns what they did."""
    waiting = list(actions)
    barrier = threading.Barrier(len(waiting))

    def run(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return list(pool.map(run, waiting))


class Sending:
    """A request that is under way on a connection of its own, its body to follow in pieces."""

    def __init__(self, client: Client, method: str, path: str, token: str, *headers: str) -> None:
        self.method = method
        self.wire = connect(client.url)
        lines = (f"{method} {path} HTTP/1.1", f"Host: {client.host}", f"Authorization: Bearer {token}", *headers)
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def send(self, data: bytes) -> None:
        self.wire.sendall(data)

    def answer(self) -> Answer | None:
        """What the server says; None when it breaks the connection instead."""
        try:
            return read_answer(self.wire, self.method)
        except (ConnectionError, http.client.RemoteDisconnected):
            return None

    def half_close(self) -> None:
        """The server sees the end of what comes (FIN) and can still answer."""
        self.wire.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """The server sees the connection break (RST)."""
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.wire.close()


def assert_chain(moves: Sequence[Sequence[str | None]], tag: str, now: str | None) -> None:
    """The tag's history begins with nothing, each move starts where the one before ended, the last one at `now`."""
    place: str | None = None
    for name, before, after, _actor in moves:
        if name == tag:
            assert before == place, moves
            assert before != after, moves
            place = after
    assert place == now
