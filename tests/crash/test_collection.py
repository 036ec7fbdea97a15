"""Collections of a server whose workers die, and clients that ask while bytes go (F-09, F-22, F-24)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests

from tests.crash.scene import Scene, assert_blob, at_once, image_of
from tests.images import sha256, unique
from tests.product import Serve, wait_for

MANY = 30  # blobs
LONG = 10 * 24 * 3600  # seconds
SETTINGS = {
    "HARBORLITE_JOB_LEASE": "2",
    "HARBORLITE_TOMBSTONE_SECONDS": "0",
    "HARBORLITE_RESTORE_DAYS": "0",
    "HARBORLITE_GC_RATE": "0",
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A server whose collections remove at once what they find."""
    with Serve(SETTINGS) as server:
        scene = Scene(server)
        yield scene
        scene.close()


def collect(scene: Scene, **parameters: object) -> dict[str, Any]:
    """What a collection by the server's own worker says at its end."""
    execution = scene.janitor("collection_start", **parameters)
    return ended(scene, execution)


def ended(scene: Scene, execution: int, status: str = "Success") -> dict[str, Any]:
    told: dict[str, Any] = {}

    def has_ended() -> bool:
        told.update(scene.janitor("collection_told", execution=execution))
        return told["status"] not in ("Pending", "Running")

    wait_for("the collection has ended", has_ended, told=lambda: f"{told} {scene.server.said()}")
    assert told["status"] == status, told
    return told


@pytest.mark.parametrize(
    ("point", "action"),
    [
        ("collection.before_commit", "kill9"),
        ("collection.after_commit", "kill9"),
        ("gc.before_object_delete", "kill9"),
        ("gc.after_object_delete", "kill9"),
        ("collection.before_commit", "raise"),
        ("collection.after_commit", "raise"),
    ],
)
def test_another_worker_goes_on_where_one_died(scene: Scene, repository: str, point: str, action: str) -> None:
    """F-09: nothing is lost of what was done, and nothing is counted twice; there is one run."""
    scene.janitor("time_passes", seconds=LONG)
    collect(scene)  # what other tests have left
    size = scene.janitor("garbage_fill", repository=repository, count=MANY)
    scene.janitor("time_passes", seconds=LONG)
    scene.server.arm(point, action)
    told = collect(scene)
    assert scene.is_disarmed(point)
    assert told["attempt"] == 1
    found = told["result"]
    assert (found["outcome"], found["links"], found["blobs"], found["freed_bytes"]) == ("complete", MANY, MANY, size)
    # The scheduled housekeeping removes what is due, too; then it is not this run's.
    assert found["removed_objects"] <= MANY
    assert (told["done"], told["total"]) == (told["total"], told["total"])
    scene.assert_tidy()


def test_a_run_that_is_stopped_leaves_the_rest(scene: Scene, repository: str) -> None:
    scene.janitor("garbage_fill", repository=repository, count=MANY)
    scene.janitor("time_passes", seconds=LONG)
    scene.server.arm("collection.after_commit", "sleep:3")
    execution = scene.janitor("collection_start")
    wait_for("it has begun", lambda: scene.is_disarmed("collection.after_commit"))
    scene.janitor("collection_stop", execution=execution)
    told = ended(scene, execution, "Stopped")
    assert told["result"]["blobs"] < MANY
    assert collect(scene)["result"]["blobs"] == MANY - told["result"]["blobs"]
    scene.assert_tidy()


def test_a_blob_pushed_again_between_row_and_bytes(scene: Scene, repository: str) -> None:
    """F-22: the old bytes go after the new ones came, and these stay for ever."""
    (client,) = scene.crowd(repository, 1)
    content = unique()
    client.push_blob(repository, content)
    scene.janitor("time_passes", seconds=LONG)
    scene.server.arm("gc.before_object_delete", "sleep:2")
    execution = scene.janitor("collection_start")
    wait_for("the row is gone, the bytes are going", lambda: scene.is_disarmed("gc.before_object_delete"))
    assert client.head_blob(repository, sha256(content)).status == 404
    client.push_blob(repository, content)
    assert_blob(client, repository, sha256(content), content)
    ended(scene, execution)
    collect(scene)
    assert_blob(client, repository, sha256(content), content)
    scene.assert_tidy()


@pytest.mark.parametrize("point", ["manifest.after_lock", "manifest.before_commit"])
def test_a_collection_in_the_middle_of_a_push(scene: Scene, repository: str, point: str) -> None:
    """F-20, L-01: what the push has found stays, though all leases are over in that moment."""
    (client,) = scene.crowd(repository, 1)
    config, layer = unique(), unique()
    for content in (config, layer):
        client.push_blob(repository, content)
    document = image_of(config, layer)
    scene.server.arm(point, "sleep:3")

    def sweep() -> int:
        wait_for(point, lambda: scene.is_disarmed(point))
        scene.janitor("leases_end", repository=repository)
        return int(collect(scene)["result"]["links"])

    pushed, removed = at_once([partial(client.push_manifest, repository, "v1", document), sweep])
    assert (pushed.status, removed) == (201, 0), pushed  # type: ignore[union-attr]
    assert len(client.pull(repository, "v1")) == 3
    scene.assert_sound()


def test_what_was_collected_is_gone_for_every_process(scene: Scene, repository: str) -> None:
    """F-24, L-06: no process remembers that something is there, also when another repository has the same digest."""
    other = scene.world.repository()
    (client,) = scene.crowd(repository, 1)
    (keeper,) = scene.crowd(other, 1)
    config, layer = unique(), unique()
    for one, name in ((client, repository), (keeper, other)):
        for content in (config, layer):
            one.push_blob(name, content)
        assert one.push_manifest(name, sha256(image_of(config, layer)), image_of(config, layer)).status == 201
    assert keeper.push_manifest(other, "kept", image_of(config, layer)).status == 201
    digest = sha256(image_of(config, layer))

    token = client.token_text(f"repository:{repository}:pull")

    def asked(*what: str) -> set[int]:
        """What 20 connections, so both web processes, are told of each."""
        return {head(scene, token, f"{repository}/{one}") for one in what for _ in range(20)}

    blob, manifest = f"blobs/{sha256(layer)}", f"manifests/{digest}"
    assert asked(blob, manifest) == {200}
    scene.janitor("time_passes", seconds=LONG)
    assert collect(scene, delete_untagged=True)["result"]["manifests"] == 1
    assert asked(blob, manifest) == {404}
    assert keeper.head_blob(other, sha256(layer)).status == 200
    assert asked(blob, manifest) == {404}
    client.push_blob(repository, layer)
    assert asked(blob) == {200}
    assert_blob(client, repository, sha256(layer), layer)


def head(scene: Scene, token: str, path: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    return requests.head(f"{scene.server.url}/v2/{path}", headers=headers, timeout=30).status_code
