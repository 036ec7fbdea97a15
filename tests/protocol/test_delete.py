"""Deletion (C-70..C-72)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import World
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.protocol.calls import check

NOWHERE = sha256(b"nobody has pushed this")


def test_deleted_tag_is_gone_and_its_manifest_stays(player: Client, repository: str) -> None:
    """C-70"""
    image = player.push_image(repository, "v1")
    assert player.push_manifest(repository, "v2", image.content).status == 201
    answer = player.delete(repository, "v1")
    check("DELETE", answer)
    assert (answer.status, answer.body) == (202, b"")
    assert player.head_manifest(repository, "v1").status == 404
    assert player.tags(repository) == ["v2"]
    assert player.get_manifest(repository, image.digest).body == image.content
    assert player.get_manifest(repository, "v2").body == image.content


def test_deletion_of_a_tag_is_written_down(player: Client, world: World, repository: str) -> None:
    image = player.push_image(repository, "v1")
    player.delete(repository, "v1")
    assert world.clerk("moves_of", repository=repository)[-1] == ["v1", image.digest, None, world.owner.login]


def test_last_tag_gone_leaves_the_digest(player: Client, repository: str) -> None:
    """C-70"""
    image = player.push_image(repository, "v1")
    assert player.delete(repository, "v1").status == 202
    assert player.tags(repository) == []
    assert player.pull(repository, image.digest)[image.digest] == image.content


def test_deleted_manifest_is_gone_with_its_tags(player: Client, world: World, repository: str) -> None:
    """C-71"""
    image = player.push_image(repository, "v1")
    assert player.push_manifest(repository, "v2", image.content).status == 201
    other = player.push_image(repository, "other")
    answer = player.delete(repository, image.digest)
    check("DELETE", answer)
    assert answer.status == 202
    for reference in ("v1", "v2", image.digest):
        assert player.get_manifest(repository, reference).codes == ["MANIFEST_UNKNOWN"]
    assert player.tags(repository) == ["other"]
    assert player.pull(repository, "other")[other.digest] == other.content
    gone = [move[0] for move in world.clerk("moves_of", repository=repository) if move[2] is None]
    assert sorted(gone) == ["v1", "v2"]


UNKNOWN = {
    "C-71 a digest": (NOWHERE, "MANIFEST_UNKNOWN"),
    "C-70 a tag": ("none", "MANIFEST_UNKNOWN"),
}


@pytest.mark.parametrize("row", UNKNOWN)
def test_deletion_of_what_is_not_there(player: Client, repository: str, row: str) -> None:
    reference, code = UNKNOWN[row]
    player.push_image(repository, "v1")
    answer = player.delete(repository, reference)
    check("DELETE", answer)
    assert (answer.status, answer.codes) == (404, [code])


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_deletion_in_no_repository(player: Client, world: World, kind: str) -> None:
    answer = player.delete(world.repository(), NOWHERE, kind)
    check("DELETE", answer)
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


def test_second_deletion_finds_nothing(player: Client, repository: str) -> None:
    """C-71"""
    image = player.push_image(repository, "v1")
    assert player.delete(repository, image.digest).status == 202
    assert player.delete(repository, image.digest).status == 404


def test_manifest_that_an_index_lists_is_kept(player: Client, repository: str) -> None:
    """L-05 by another road: an index would be left with a hole."""
    image = player.push_image(repository, "v1")
    index = player.push_index(repository, "index", [image])
    answer = player.delete(repository, image.digest)
    check("DELETE", answer)
    assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
    assert image.digest in player.pull(repository, "index")
    assert player.delete(repository, index.digest).status == 202
    assert player.delete(repository, image.digest).status == 202


def test_tag_of_a_manifest_that_an_index_lists_can_go(player: Client, repository: str) -> None:
    image = player.push_image(repository, "v1")
    player.push_index(repository, "index", [image])
    assert player.delete(repository, "v1").status == 202
    assert image.digest in player.pull(repository, "index")


def test_deleted_manifest_can_be_pushed_again(player: Client, repository: str) -> None:
    image = player.push_image(repository, "v1")
    assert player.delete(repository, image.digest).status == 202
    assert player.push_manifest(repository, "v1", image.content).status == 201
    assert player.pull(repository, "v1")[image.digest] == image.content


def test_deleted_blob_is_gone_at_once(player: Client, repository: str) -> None:
    """C-72"""
    digest = player.push_blob(repository, unique())
    answer = player.delete(repository, digest, "blobs")
    check("DELETE", answer)
    assert (answer.status, answer.body) == (202, b"")
    assert player.head_blob(repository, digest).status == 404
    assert player.get_blob(repository, digest).codes == ["BLOB_UNKNOWN"]
    assert player.delete(repository, digest, "blobs").codes == ["BLOB_UNKNOWN"]


def test_deleted_blob_can_be_pushed_again(player: Client, repository: str) -> None:
    content = unique()
    digest = player.push_blob(repository, content)
    assert player.delete(repository, digest, "blobs").status == 202
    assert player.push_blob(repository, content) == digest
    assert player.get_blob(repository, digest).body == content


def test_deleted_blob_stays_in_other_repositories(player: Client, world: World) -> None:
    """S-46 without tenants"""
    here, elsewhere = world.repository(), world.repository()
    content = unique()
    digest = player.push_blob(here, content)
    assert player.mount(elsewhere, digest, here).status == 201
    assert player.delete(here, digest, "blobs").status == 202
    assert player.head_blob(here, digest).status == 404
    assert player.get_blob(elsewhere, digest).body == content


def test_blob_that_a_manifest_needs_is_kept(player: Client, repository: str) -> None:
    """C-72"""
    image = player.push_image(repository, "v1")
    for blob in (image.config, *image.layers):
        answer = player.delete(repository, sha256(blob), "blobs")
        check("DELETE", answer)
        assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
    player.pull(repository, "v1")
    assert player.delete(repository, image.digest).status == 202
    for blob in (image.config, *image.layers):
        assert player.delete(repository, sha256(blob), "blobs").status == 202


def test_malformed_digest_of_a_blob_is_refused(player: Client, repository: str) -> None:
    player.push_blob(repository, unique())
    answer = player.delete(repository, "sha256:bad", "blobs")
    check("DELETE", answer)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_of_deletions_at_once_one_is_acknowledged(world: World, repository: str) -> None:
    clients = [world.player() for _ in range(6)]
    image = clients[0].push_image(repository, "v1")
    barrier = threading.Barrier(len(clients))

    def delete(client: Client) -> int:
        barrier.wait()
        return client.delete(repository, image.digest).status

    with ThreadPoolExecutor(len(clients)) as pool:
        statuses = sorted(pool.map(delete, clients))
    assert statuses == [202] + [404] * (len(clients) - 1)


def test_push_and_deletion_at_once_leave_all_or_nothing(world: World) -> None:
    """F-25: whatever wins, nothing half is left: a tag that is there pulls whole."""
    clients = [world.player(), world.player()]
    repository = world.repository()
    for number in range(15):
        image = clients[0].push_image(repository, None)
        barrier = threading.Barrier(2)

        def push(barrier: threading.Barrier = barrier, number: int = number, content: bytes = image.content) -> int:
            barrier.wait()
            return clients[0].push_manifest(repository, f"v{number}", content).status

        def delete(barrier: threading.Barrier = barrier, digest: str = image.digest) -> int:
            barrier.wait()
            return clients[1].delete(repository, digest).status

        with ThreadPoolExecutor(2) as pool:
            pushed, deleted = pool.submit(push), pool.submit(delete)
            assert pushed.result() == 201
            assert deleted.result() in (202, 405)
        if f"v{number}" in clients[0].tags(repository):
            assert clients[0].pull(repository, f"v{number}")[image.digest] == image.content
        else:
            assert clients[0].head_manifest(repository, image.digest).status == 404


def test_nothing_is_broken_behind_the_scenes(world: World, player: Client, repository: str) -> None:
    """I3, I4: the product's own check finds the database and the storage in agreement, whatever other tests did."""
    player.push_image(repository, "v1")
    assert world.clerk("violations") == []
