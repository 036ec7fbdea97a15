"""Mounts (C-40..C-42)."""

import pytest

from tests.factories import World
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.protocol.calls import check


def test_mount_makes_the_blob_readable_at_once(player: Client, world: World) -> None:
    """C-40"""
    source, target = world.repository(), world.repository()
    content = unique()
    digest = player.push_blob(source, content)
    answer = player.mount(target, digest, source)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{target}/blobs/{digest}"
    assert answer.headers["Docker-Content-Digest"] == digest
    assert player.get_blob(target, digest).body == content


def test_mount_without_a_source_finds_what_the_caller_may_pull(player: Client, world: World) -> None:
    """C-42"""
    source, target = world.repository(), world.repository()
    digest = player.push_blob(source, unique())
    assert player.mount(target, digest).status == 201
    assert player.head_blob(target, digest).status == 200


UNMOUNTABLE = {
    "C-41 no such blob": ("$source", sha256(b"nobody has pushed this")),
    "C-41 no such repository": ("$source-nowhere", ""),
    "C-41 no such project": ("nowhere-$unique/repository", ""),
    "C-41 no name": ("../..", ""),
    "C-41 upper case": ("UPPER/case", ""),
    "C-41 empty": ("", ""),
    "C-41 no such blob anywhere": (None, sha256(b"nobody has pushed this")),
}


@pytest.mark.parametrize("row", UNMOUNTABLE)
def test_mount_of_what_is_not_there_opens_a_session_that_works(player: Client, world: World, row: str) -> None:
    """C-41: never an error."""
    source, target = world.repository(), world.repository()
    content = unique()
    pushed = player.push_blob(source, content)
    named, digest = UNMOUNTABLE[row]
    if named is not None:
        named = named.replace("$source", source).replace("$unique", target.rpartition("/")[2])
    answer = player.mount(target, digest or pushed, named)
    check("POST", answer)
    assert answer.status == 202
    assert player.head_blob(target, digest or pushed).status == 404
    assert player.finish(answer.headers["Location"], pushed, content).status == 201


def test_mount_of_a_malformed_digest_is_refused(player: Client, repository: str) -> None:
    answer = player.mount(repository, "sha256:baddigeststring", repository)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_mount_from_itself(player: Client, repository: str) -> None:
    digest = player.push_blob(repository, unique())
    assert player.mount(repository, digest, repository).status == 201
