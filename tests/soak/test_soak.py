"""Soak (F-20, F-21): clients push, pull and delete while garbage is collected all the time, with leases of 5 seconds.

Not one operation fails; what was acknowledged is there in the end, byte for byte (I1); reads of a tag that all move
are linearizable; database and store agree (fsck), and nothing stays that nobody needs (I4).
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from tests.crash.scene import Scene, image_of
from tests.effort import SECONDS, effort
from tests.images import sha256, unique
from tests.product import Serve
from tests.rest.api import Api
from tests.soak.jobs import gc
from tests.soak.workload import LAYERS, LEASE, Clock, Log, Register, Swift, Truth, Worker

OPERATIONS = 10_000
WORKERS = 6
BREATH = 2  # seconds between two collections
REPOSITORIES = 3
"""Of each worker."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    settings = {
        "HARBORLITE_LEASE_SECONDS": str(LEASE),
        "HARBORLITE_TOMBSTONE_SECONDS": "1",
        "HARBORLITE_RESTORE_DAYS": "0",
        "HARBORLITE_GC_RATE": "0",
    }
    with Serve(settings) as server:
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.mark.timeout(SECONDS)
def test_nothing_is_lost_while_garbage_is_collected(scene: Scene, tmp_path: Path) -> None:
    admin = Api(scene.world.url, scene.world.admin_account)
    clock = Clock(effort(OPERATIONS))
    register = register_of(scene)
    logs = [tmp_path / f"log-{number}" for number in range(WORKERS)]
    workers = [
        Worker(
            number,
            Swift(scene.world.url, scene.world.owner),
            [scene.world.repository() for _ in range(REPOSITORIES)],
            clock,
            register,
            Log(log),
        )
        for number, log in enumerate(logs)
    ]
    over = Event()
    with ExitStack() as closing, scene.quietly(), ThreadPoolExecutor(WORKERS + 1) as pool:
        for worker in workers:
            closing.callback(worker.log.close)
            closing.callback(worker.client.close)
        collecting = pool.submit(collect, admin, over)
        running = [pool.submit(worker.run) for worker in workers]
        try:
            for one in running:
                one.result()
        finally:
            clock.left = 0
            over.set()
        collected = collecting.result()
    print(dict(clock.counts), clock.late, collected)  # noqa: T201 - shown when it fails, and by -s

    assert sum(clock.counts.values()) == effort(OPERATIONS)
    assert clock.late <= effort(OPERATIONS) // 100
    assert collected["blobs"] > effort(OPERATIONS) // 50, "this test has not come to what it is for"
    assert register.stale() == []
    verify(scene, Truth.of(*logs), {digest: text for worker in workers for digest, text in worker.documents.items()})
    scene.assert_sound()
    time.sleep(LEASE)  # the last leases end
    gc(admin)
    time.sleep(2)  # the last tombstones are due
    gc(admin)
    scene.assert_tidy()


def collect(admin: Api, over: Event) -> dict[str, int]:
    """Collects all the time; how often, and what it freed."""
    found = {"runs": 0, "blobs": 0, "links": 0, "removed_objects": 0}
    while not over.wait(BREATH):
        result = gc(admin)["result"]
        found["runs"] += 1
        for name in ("blobs", "links", "removed_objects"):
            found[name] += result[name]
    return found


def register_of(scene: Scene) -> Register:
    """A repository with some images, of which a tag will stand for one or another."""
    client, repository, config = scene.world.player(), scene.world.repository(), unique()
    images = tuple(image_of(config, layer) for layer in LAYERS[:5])
    for content in (config, *LAYERS[:5]):
        client.push_blob(repository, content)
    for image in images:
        assert client.push_manifest(repository, sha256(image), image).status == 201
    return Register(repository, images)


def verify(scene: Scene, truth: Truth, documents: dict[str, bytes]) -> None:
    """All that the logs say is there, is; and of tags nothing else."""
    client = scene.world.player()
    assert any(truth.tags.values())
    for repository, digests in truth.manifests.items():
        found = {tag: sha256(client.get_manifest(repository, tag).body) for tag in client.tags(repository)}
        assert found == truth.tags[repository]
        for digest in digests:
            assert client.pull(repository, digest)[digest] == documents[digest]
