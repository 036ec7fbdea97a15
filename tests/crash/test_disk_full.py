"""The disk of the blobs is full, out of files, read-only, or takes no large files (F-10, F-11).

PostgreSQL's data is elsewhere. Who wants to write is told so, what is there can be read and deleted, and when there is
space again everything goes on where it was.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.crash.scene import Ledger, Scene, assert_blob, image_of, offset_of, tagged
from tests.images import sha256, unique
from tests.ociclient import HOW, Client
from tests.product import Serve, wait_for
from tests.wire import Answer

MIB = 1 << 20
SIZE = 256 * MIB
HELD = 100_000  # bytes acknowledged before
SMALL, LARGE = MIB // 2, 3 * MIB  # bytes; the store gathers a MiB before it writes
LITTLE = 300_000  # bytes: some of either fits, but not all of it

Write = Callable[[Client, str, str, bytes], Answer]


class Disk:
    """A file system in memory, mounted at `root`, that can be made too small."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.root)], check=True)

    @contextmanager
    def filled(self, leave: int = 0) -> Iterator[None]:
        """Inside, there is no more space than `leave` bytes."""
        found = os.statvfs(self.root)
        self.remount(f"size={(found.f_blocks - found.f_bfree) * found.f_frsize + leave}")
        try:
            yield
        finally:
            self.remount(f"size={SIZE}")

    @contextmanager
    def without_inodes(self) -> Iterator[None]:
        """Inside, no file can be made."""
        found = os.statvfs(self.root)
        self.remount(f"nr_inodes={found.f_files - found.f_ffree}")
        try:
            yield
        finally:
            self.remount(f"nr_inodes={found.f_files}")

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self.remount("ro")
        try:
            yield
        finally:
            self.remount("rw")


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[Disk, Scene]]:
    """A server whose blobs have a small disk of their own."""
    server = Serve()
    disk = Disk(server.data / "blobs")
    disk.root.mkdir(mode=0o700, parents=True)
    server.data.chmod(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "harborlite-test", str(disk.root)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    try:
        if mounted.returncode != 0:
            pytest.skip(f"a file system can't be mounted here: {mounted.stderr.strip()}")
        server.start()
        scene = Scene(server)
        yield disk, scene
        scene.close()
    finally:
        server.stop()
        if mounted.returncode == 0:
            subprocess.run(["umount", str(disk.root)], check=True)
        server.close()


@pytest.fixture
def full(disk: tuple[Disk, Scene]) -> Disk:
    return disk[0]


@pytest.fixture
def scene(disk: tuple[Disk, Scene]) -> Iterator[Scene]:
    """Here in place of the server of the other crash tests. Nothing is left behind by any test."""
    yield disk[1]
    disk[1].assert_tidy()


@pytest.fixture
def client(scene: Scene, repository: str) -> Client:
    return scene.crowd(repository, 1)[0]


@pytest.fixture
def ledger(client: Client, repository: str) -> Ledger:
    """An image that is there already."""
    ledger = Ledger(client)
    ledger.push_image(repository, "latest", unique(), unique(HELD))
    return ledger


def patch(client: Client, _repository: str, location: str, content: bytes) -> Answer:
    return client.append(location, content[HELD:], content_range=f"{HELD}-{len(content) - 1}")


def stream(client: Client, _repository: str, location: str, content: bytes) -> Answer:
    return client.append(location, content[HELD:], chunked=True)


def put(client: Client, _repository: str, location: str, content: bytes) -> Answer:
    return client.finish(location, sha256(content), content[HELD:])


def post(client: Client, repository: str, _location: str, content: bytes) -> Answer:
    return HOW["post_only"](client, repository, content, sha256(content))


TROUBLES: dict[str, tuple[Callable[[Disk], AbstractContextManager[None]], int, int]] = {
    "full": (Disk.filled, SMALL, 507),
    "full behind the first bytes": (lambda disk: disk.filled(leave=LITTLE), SMALL, 507),
    "full in the middle": (lambda disk: disk.filled(leave=LITTLE), LARGE, 507),
    "no inodes": (Disk.without_inodes, SMALL, 507),
    "read-only": (Disk.read_only, SMALL, 503),
}


@pytest.mark.parametrize("write", [patch, stream, put, post])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_write_is_refused_and_goes_on_later(
    scene: Scene, full: Disk, ledger: Ledger, repository: str, trouble: str, write: Write
) -> None:
    cause, size, status = TROUBLES[trouble]
    client, content = ledger.client, unique(size)
    location = client.session_of(repository)
    assert client.append(location, content[:HELD]).status == 202
    with cause(full):
        assert_refused(write(client, repository, location, content), status)
        assert offset_of(client, location) == scene.stored() == HELD
        assert client.head_blob(repository, sha256(content)).status == 404
        ledger.verify(repository)
        assert scene.server.is_answering()
    answer = write(client, repository, location, content)
    assert answer.status in (201, 202), answer
    if answer.status == 202:
        assert client.finish(location, sha256(content)).status == 201
    assert_blob(client, repository, sha256(content), content)
    ledger.verify(repository)


def assert_refused(answer: Answer, status: int) -> None:
    assert (answer.status, answer.codes) == (status, ["UNAVAILABLE"]), answer
    assert answer.headers["Content-Type"] == "application/json"


def test_parts_that_can_not_be_joined_wait_for_space(scene: Scene, full: Disk, client: Client, repository: str) -> None:
    location, content = client.session_of(repository), unique(4 * MIB)
    for half in (content[: 2 * MIB], content[2 * MIB :]):
        assert client.append(location, half).status == 202
    with full.filled(leave=MIB):
        for _ in range(2):
            assert_refused(client.finish(location, sha256(content)), 507)
            assert offset_of(client, location) == scene.stored(location) == len(content)
            assert client.head_blob(repository, sha256(content)).status == 404
    assert client.finish(location, sha256(content)).status == 201
    assert_blob(client, repository, sha256(content), content)


def test_deletions_work_and_make_room(scene: Scene, full: Disk, ledger: Ledger, repository: str) -> None:
    client, locations = ledger.client, []
    with full.filled(leave=4 * MIB + LITTLE):
        while True:
            locations.append(client.session_of(repository))
            answer = client.append(locations[-1], unique(MIB))
            if answer.status != 202:
                break
        assert_refused(answer, 507)
        image = client.push_manifest(repository, "other", next(iter(ledger.manifests.values())))
        assert image.status == 201, "a manifest takes no space on this disk"
        assert client.delete(repository, "other").status == 202
        for location in locations[:3]:
            assert client.request("DELETE", location).status == 204
        scene.janitor("sweep")
        assert client.push_blob(repository, unique(2 * MIB))
        digest = ledger.tags.pop((repository, "latest"))
        document = ledger.manifests.pop((repository, digest))
        assert client.delete(repository, digest).status == 202
        assert tagged(client, repository, "latest") is None
        for _, blob in list(ledger.blobs):
            assert client.delete(repository, blob, "blobs").status == 202
    ledger.push_image(repository, "latest", *ledger.blobs.values())
    assert (repository, digest) in ledger.manifests, document
    ledger.verify(repository)


def test_small_pushes_that_need_no_space_go_on(full: Disk, client: Client, repository: str) -> None:
    """What is stored already is linked, mounted, tagged."""
    contents = unique(), unique(HELD)
    for content in contents:
        client.push_blob(repository, content)
    other = f"{repository}-other"
    with full.filled():
        for content in contents:
            assert client.mount(other, sha256(content), repository).status == 201
        assert client.push_manifest(other, "latest", image_of(*contents)).status == 201
        assert len(client.pull(other, "latest")) == 3


def test_readiness_tells_of_a_disk_that_takes_nothing(scene: Scene, full: Disk, ledger: Ledger) -> None:
    for trouble in (full.filled, full.read_only):
        with trouble():
            wait_for("it is not ready", lambda: not scene.server.is_answering("/readyz"), 10)
            assert scene.server.is_answering("/healthz")
            ledger.verify()
        wait_for("it is ready", lambda: scene.server.is_answering("/readyz"), 10)


def test_files_that_may_not_grow(scene: Scene, client: Client, repository: str) -> None:
    """RLIMIT_FSIZE: another way to be told that a file has no room."""
    location, content = client.session_of(repository), unique(3 * MIB)
    assert client.append(location, content[:HELD]).status == 202
    workers = scene.server.web_workers()
    before = {worker: resource.prlimit(worker, resource.RLIMIT_FSIZE) for worker in workers}
    try:
        for worker, (_, most) in before.items():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (MIB, most))
        assert_refused(patch(client, repository, location, content), 507)
        assert offset_of(client, location) == scene.stored(location) == HELD
    finally:
        for worker, limits in before.items():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
    assert put(client, repository, location, content).status == 201
    assert_blob(client, repository, sha256(content), content)
