"""The protocol with blobs in S3 and everything outside the web server: downloads are redirects (C-14, C-29, S-45)."""

from urllib.parse import urlsplit

import pytest
import requests

from tests.factories import World
from tests.images import EMPTY, sha256, sha512, unique
from tests.ociclient import HOW, Client
from tests.wire import Answer, bearer, raw

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def world(split_world: World) -> World:
    """Of the split server; the other fixtures build on it."""
    return split_world


@pytest.fixture(scope="module")
def player(world: World) -> Client:
    return world.player()


def redirect_of(player: Client, repository: str, digest: str, **headers: str) -> Answer:
    """The answer itself, not what it leads to."""
    token = player.token_text(f"repository:{repository}:pull")
    return raw(player.url, "GET", f"/v2/{repository}/blobs/{digest}", {**bearer(token), **headers})


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("size", ["empty", "braces", "small", "large"])
def test_blob_by_every_method(player: Client, repository: str, how: str, size: str) -> None:
    """C-20..C-29; the large one has parts of S3's least size and a rest."""
    content = {"empty": b"", "braces": EMPTY, "small": unique(2048), "large": unique(1 << 16) * 201}[size]
    digest = player.push_blob(repository, content, how)
    assert player.head_blob(repository, digest).headers["Content-Length"] == str(len(content))
    assert player.get_blob(repository, digest).body == content


def test_sha512_is_found_by_reading_again(player: Client, repository: str) -> None:
    """C-28"""
    content = unique(1 << 16) * 101
    digest = player.push_blob(repository, content, "stream", digest=sha512(content))
    assert player.get_blob(repository, digest).body == content


def test_wrong_digest_leaves_nothing(player: Client, repository: str) -> None:
    """C-26"""
    content = unique()
    answer = player.finish(player.session_of(repository), sha256(b"other"), content)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert player.head_blob(repository, sha256(content)).status == 404


def test_image_and_index_pull(player: Client, repository: str) -> None:
    images = [player.push_image(repository, None, layers=2, how="stream") for _ in range(2)]
    index = player.push_index(repository, "v1", images)
    assert len(player.pull(repository, "v1")) == 1 + 2 * 4
    assert player.delete(repository, index.digest).status == 202
    assert player.get_manifest(repository, "v1").status == 404


def test_download_is_a_redirect_that_says_what_it_leads_to(player: Client, repository: str) -> None:
    digest = player.push_blob(repository, unique())
    answer = redirect_of(player, repository, digest)
    assert answer.status == 307
    assert answer.headers["Docker-Content-Digest"] == digest
    assert urlsplit(answer.headers["Location"]).netloc != player.host
    assert answer.body == b""


@pytest.mark.parametrize(("asked", "part"), [("bytes=500-1499", slice(500, 1500)), ("bytes=-500", slice(-500, None))])
def test_range_over_a_redirect(player: Client, repository: str, asked: str, part: slice) -> None:
    """C-14"""
    content = unique(2048)
    digest = player.push_blob(repository, content)
    answer = player.get_blob(repository, digest, range=asked)
    assert (answer.status, answer.body) == (206, content[part])


def test_presigned_address_is_good_for_nothing_else(player: Client, repository: str) -> None:
    """S-45: not for another method, not for another blob, not with another end."""
    digests = [player.push_blob(repository, unique()) for _ in range(2)]
    address, other = (redirect_of(player, repository, digest).headers["Location"] for digest in digests)
    assert requests.get(address, timeout=10).status_code == 200
    assert requests.put(address, data=b"evil", timeout=10).status_code == 403
    assert requests.delete(address, timeout=10).status_code == 403
    moved = urlsplit(address)._replace(path=urlsplit(other).path).geturl()
    assert requests.get(moved, timeout=10).status_code == 403
    assert requests.get(address.replace("X-Amz-Expires=", "X-Amz-Expires=9"), timeout=10).status_code == 403
    assert player.get_blob(repository, digests[0]).status == 200


def test_what_is_taken_ends_reads_at_once(world: World) -> None:
    """Without shared memory between machines nothing is remembered: every read asks the database."""
    member = world.user()
    project = world.project(members={member: "guest"})
    image = world.player().push_image(world.repository(project), "v1")
    path = f"/v2/{image.repository}/manifests/v1"
    token = world.client(member).token_text(f"repository:{image.repository}:pull")
    assert {raw(world.url, "GET", path, bearer(token)).status for _ in range(6)} == {200}
    world.clerk("member_remove", project=project, username=member.login)
    assert {raw(world.url, "GET", path, bearer(token)).status for _ in range(6)} == {401}


def test_nothing_is_broken_behind_the_scenes(world: World, player: Client, repository: str) -> None:
    """I3, I4"""
    player.push_image(repository, "v1")
    assert world.clerk("violations") == []
