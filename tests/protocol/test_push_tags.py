"""Tags of a push, and pushes at once (C-57, C-58, B-14, F-16)."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.factories import World
from tests.images import (
    Image,
    dump,
    sha256,
    unique,
)
from tests.ociclient import Client
from tests.protocol.calls import check
from tests.protocol.documents import CONFIG, document_of


def test_tag_parameters_make_all_tags(player: Client, repository: str, layer: bytes) -> None:
    """C-57: 32 tags are enough for everybody; the spec asks for 10."""
    content = dump(document_of(layer))
    tags = [f"t{n}" for n in range(32)]
    answer = player.push_manifest(repository, sha256(content), content, tags=tags)
    assert answer.status == 201, answer
    assert sorted(answer.headers["OCI-Tag"].split(", ")) == sorted(tags)
    assert player.tags(repository) == sorted(tags)
    assert player.get_manifest(repository, "t31").body == content


def test_of_tag_parameters_all_or_none_are_made(player: Client, repository: str, layer: bytes) -> None:
    """C-57"""
    content = dump(document_of(layer))
    answer = player.push_manifest(repository, sha256(content), content, tags=["good", "-bad", "also-good"])
    check("PUT", answer)
    assert answer.status == 400
    assert player.tags(repository) == []
    assert player.head_manifest(repository, sha256(content)).status == 404


def test_too_many_tag_parameters_are_refused(player: Client, repository: str, layer: bytes) -> None:
    """C-57: 414 is the spec's word for it."""
    content = dump(document_of(layer))
    answer = player.push_manifest(repository, sha256(content), content, tags=[f"t{n}" for n in range(100)])
    assert answer.status in (400, 414)
    assert player.tags(repository) == []


def test_push_over_a_tag_moves_it(player: Client, world: World, repository: str) -> None:
    """C-58"""
    first, second = player.push_image(repository, "v1"), player.push_image(repository, "v1")
    assert player.get_manifest(repository, "v1").body == second.content
    assert player.get_manifest(repository, first.digest).body == first.content
    owner = world.owner.login
    assert world.clerk("moves_of", repository=repository) == [
        ["v1", None, first.digest, owner],
        ["v1", first.digest, second.digest, owner],
    ]


def test_same_push_again_changes_nothing(player: Client, world: World, repository: str) -> None:
    """C-58"""
    image = player.push_image(repository, "v1")
    answer = player.push_manifest(repository, "v1", image.content)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, image.digest)
    assert len(world.clerk("moves_of", repository=repository)) == 1


def test_second_tag_of_one_manifest(player: Client, repository: str) -> None:
    image = player.push_image(repository, "v1")
    assert player.push_manifest(repository, "v2", image.content).status == 201
    assert player.tags(repository) == ["v1", "v2"]


def test_pushes_of_one_tag_at_once_leave_one_of_them(world: World, repository: str) -> None:
    """B-14: each is acknowledged, and the tag's history is one chain."""
    clients = [world.player() for _ in range(6)]
    images = [client.push_image(repository, None) for client in clients]
    barrier = threading.Barrier(len(clients))

    def push(client: Client, image: Image) -> int:
        barrier.wait()
        return client.push_manifest(repository, "latest", image.content).status

    with ThreadPoolExecutor(len(clients)) as pool:
        assert list(pool.map(push, clients, images)) == [201] * len(clients)
    moves = [move[1:3] for move in world.clerk("moves_of", repository=repository)]
    assert len(moves) == len(clients)
    assert moves[0][0] is None
    assert all(before[1] == after[0] for before, after in itertools.pairwise(moves))
    assert clients[0].get_manifest(repository, "latest").headers["Docker-Content-Digest"] == moves[-1][1]


def test_pushes_of_one_manifest_at_once_all_succeed(world: World, repository: str) -> None:
    """F-16"""
    clients = [world.player() for _ in range(8)]
    layer = unique()
    for blob in (layer, CONFIG):
        clients[0].push_blob(repository, blob)
    document = document_of(layer)
    barrier = threading.Barrier(len(clients))

    def push(client: Client, number: int) -> int:
        barrier.wait()
        return client.push_manifest(repository, f"t{number % 3}", document).status

    with ThreadPoolExecutor(len(clients)) as pool:
        assert list(pool.map(push, clients, range(len(clients)))) == [201] * len(clients)
    assert clients[0].tags(repository) == ["t0", "t1", "t2"]


def test_image_pushed_by_every_method_pulls(player: Client, repository: str) -> None:
    for how in ("post_put", "post_only", "stream", "chunked", "patch_put"):
        image = player.push_image(repository, how, layers=3, how=how)
        got = player.pull(repository, how)
        assert got == {
            image.digest: image.content,
            **{sha256(blob): blob for blob in (image.config, *image.layers)},
        }
