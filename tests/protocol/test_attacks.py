"""Hostile requests (S-96, S-120..S-146, S-166..S-169): refused, at bounded cost, and never answered with 5xx.

Bad names, references and manifests stand with their grammar: test_pull, test_push_manifests, test_lists.
"""

import re
import threading
import time
from collections.abc import Iterator

import pytest

from tests.factories import World
from tests.images import (
    DOCKER_IMAGE,
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    Image,
    descriptor,
    dump,
    image_manifest,
    index_manifest,
    sha256,
)
from tests.ociclient import Client
from tests.protocol.calls import check
from tests.protocol.sockets import REFUSALS, head_of, status_of
from tests.wire import bearer, connect, is_closed, raw, read_answer


@pytest.fixture(autouse=True)
def server_stays_well(world: World) -> Iterator[None]:
    """After each attack the next client is served as before."""
    yield
    started = time.monotonic()
    assert raw(world.url, "GET", "/v2/").status == 401
    assert time.monotonic() - started < 2


# Paths.

PATHS = [
    "/v2/../../etc/passwd", "/v2/%2e%2e/%2e%2e/etc/passwd", "/v2/..%2f..%2fetc/passwd", "/v2/%252e%252e/x/tags/list",
    "//v2/", "/v2//", "/v2/;a=b/x/tags/list", "/v2/a\\b/tags/list", "/v2/a%5c..%5cb/tags/list", "/v2/a/b/tags/list%0a",
    "/v2/a/b/tags/list%00", "/v2/a/b/blobs/uploads/..%2f..", "/v2/a/b/blobs/..%2f..%2f..",
    "/v2/a/b/blobs/%2fetc%2fpasswd",
    "/v2/a/b/manifests/..%2f..%2fetc", "/v2/a/b/blobs/uploads/../../manifests/v1", "/./v2/a/b/tags/list",
    "/v2/%c0%ae%c0%ae/",
    "/static/../harborlite/settings.py", "/static/..%2f..%2fmanage.py", "/blobs/", "/internal/", "/admin/",
    "/.env", "/%00",
    "/healthz/..", "/service/token/..", "/service/token%0a", "/v2%0a", "/v2/_catalog%00", "/%ff%fe", "*",
    "/v2/?%00=%ff",
    "http://evil.example/v2/", "/v2/a/b/tags/list?n=%00", "/v2/a/b/tags/list?" + "n=1&" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda text: text[:40])
def test_odd_path_is_refused(world: World, token: str, path: str) -> None:
    """S-120, S-122"""
    for headers in ({}, bearer(token), {**bearer(token), "X-Accel-Redirect": "/etc/passwd", "X-Original-URL": "/v2/"}):
        for method in ("GET", "PUT", "DELETE"):
            answer = raw(world.url, method, path, headers)
            assert answer.status in REFUSALS or answer.status == 200, answer
            assert b"root:" not in answer.body
            if answer.status == 200:
                assert answer.body in (b"{}", b"") or path.startswith("/healthz"), answer


def test_storage_keys_hold_no_text_of_clients(world: World, player: Client, repository: str) -> None:
    """S-121"""
    player.push_image(repository, "v1")
    player.session_of(repository)
    keys = world.clerk("storage_keys")
    assert keys
    assert all(re.fullmatch(r"[0-9a-f]{32}", key) for key in keys)


# Sizes.


def test_manifest_announced_too_large_is_refused_before_it_is_read(world: World, image: Image, token: str) -> None:
    """S-130"""
    head = head_of(
        world, "PUT", f"/v2/{image.repository}/manifests/big", token, f"Content-Length: {4 * 1024 * 1024 + 1}"
    )
    with connect(world.url, timeout=10) as wire:
        wire.sendall(head)
        answer = read_answer(wire, "PUT")
        assert (answer.status, answer.codes) == (413, ["MANIFEST_INVALID"])
        assert is_closed(wire)


def test_endless_chunked_manifest_is_refused_at_the_limit(world: World, image: Image, token: str) -> None:
    """S-130"""
    head = head_of(world, "PUT", f"/v2/{image.repository}/manifests/big", token, "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(world.url, timeout=10) as wire:
        wire.sendall(head + chunk * 65)  # one chunk more than is allowed, and no end
        answer = read_answer(wire, "PUT")
        assert (answer.status, answer.codes) == (413, ["MANIFEST_INVALID"])


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "5, 5", "5,6", "", "\uff15", " ", "9" * 30, "abc"])
def test_malformed_content_length(world: World, image: Image, token: str, length: str) -> None:
    head = head_of(world, "PUT", f"/v2/{image.repository}/manifests/x", token, f"Content-Length: {length}")
    with connect(world.url, timeout=10) as wire:
        wire.sendall(head + b"{}")
        wire.shutdown(1)
        status = status_of(wire)
        assert status is None or status in REFUSALS


def test_huge_announcement_costs_nothing(world: World, image: Image) -> None:
    """S-131: nothing is reserved for what was only announced."""
    client = world.player()
    location = client.session_of(image.repository)
    held = client.token_text(f"repository:{image.repository}:pull,push")
    with connect(world.url) as wire:
        wire.sendall(head_of(world, "PATCH", location, held, f"Content-Length: {10**18}") + b"x" * 1000)
    for _ in range(100):
        answer = client.request("GET", location)
        assert answer.status == 204
        if answer.headers["Range"] == "0-999":
            break
        threading.Event().wait(0.02)
    assert answer.headers["Range"] in ("0-0", "0-999")


def test_range_of_a_size_nobody_has(player: Client, repository: str) -> None:
    location = player.session_of(repository)
    answer = player.append(location, b"x", content_range=f"{2**63}-{2**63}")
    check("PATCH", answer)
    assert answer.status == 416


# Manifests.


def test_refusing_deep_json_takes_no_time(player: Client, repository: str) -> None:
    """S-133"""
    for content in (b"[" * 4_000_000, b'{"a":' * 800_000, b'"' + b"\\u0000" * 600_000 + b'"', b"9" * 4_000_000):
        started = time.monotonic()
        answer = player.push_manifest(repository, "v1", content)
        assert answer.status == 400
        assert time.monotonic() - started < 3


def test_ten_thousand_layers_are_bounded_work(player: Client, repository: str) -> None:
    """S-134"""
    player.push_blob(repository, EMPTY)
    layer = descriptor(EMPTY, "application/x")
    started = time.monotonic()
    many = image_manifest(descriptor(EMPTY, OCI_EMPTY), [layer] * 10_000)
    assert player.push_manifest(repository, "same", many).status == 201
    missing = [{**layer, "digest": sha256(str(n).encode())} for n in range(10_000)]
    answer = player.push_manifest(repository, "missing", image_manifest(descriptor(EMPTY, OCI_EMPTY), missing))
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
    children = index_manifest([{**child, "mediaType": OCI_IMAGE} for child in missing])
    assert player.push_manifest(repository, "children", children).codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert time.monotonic() - started < 10


def test_index_that_lists_itself_or_comes_round(player: Client, repository: str) -> None:
    """S-134: a digest can't be known before its content, so a circle is always a missing child."""
    guess = {"mediaType": OCI_INDEX, "digest": sha256(b"itself"), "size": 100}
    assert player.push_manifest(repository, "v1", index_manifest([guess])).codes == ["MANIFEST_BLOB_UNKNOWN"]


def test_subject_that_is_itself_or_comes_round(player: Client, repository: str) -> None:
    """S-134: subjects may be missing, so circles of digests that do not exist may not hurt either."""
    player.push_blob(repository, EMPTY)
    subject = {"mediaType": OCI_IMAGE, "digest": sha256(b"itself"), "size": 100}
    document = image_manifest(descriptor(EMPTY, OCI_EMPTY), [], subject=subject)
    assert player.push_manifest(repository, "v1", document).status == 201
    assert len(player.referrers(repository, sha256(b"itself"))) == 1


def test_deeply_nested_indexes(player: Client, repository: str) -> None:
    """S-134"""
    below = player.push_image(repository, None)
    for _ in range(100):
        below = player.push_index(repository, None, [below])
    assert player.push_manifest(repository, "top", below.content, OCI_INDEX).status == 201
    assert player.delete(repository, below.digest).status == 202


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff\\ud800", "\\u202e", "\\uffff", "\\ud83d\\ude00"])
def test_odd_characters_in_annotations_are_kept(player: Client, repository: str, text: str) -> None:
    """S-136: the bytes are kept; what the database can't hold is not a 500."""
    player.push_blob(repository, EMPTY)
    subject = player.push_image(repository, "subject")
    document = image_manifest(
        descriptor(EMPTY, OCI_EMPTY, annotations={"a@": "b@"}),
        [],
        subject=subject.descriptor,
        annotations={"c@": "d@", "plain": "yes"},
    )
    content = dump(document).replace(b"@", text.encode())
    assert player.push_manifest(repository, "v1", content).status == 201
    assert player.get_manifest(repository, "v1").body == content
    (found,) = player.referrers(repository, subject.digest)
    assert found["annotations"]["plain"] == "yes"
    assert found["digest"] == sha256(content)


@pytest.mark.parametrize("field", ["mediaType", "artifactType"])
def test_odd_characters_in_types(player: Client, repository: str, field: str) -> None:
    player.push_blob(repository, EMPTY)
    for text in ("a\\u0000b", "a\\r\\nX-Evil: 1", "\\ud800", "x" * 5000, "\\u00e9"):
        config = {**descriptor(EMPTY, OCI_EMPTY), field: "@"}
        content = dump(image_manifest(config, [], **({field: "@"} if field == "artifactType" else {})))
        answer = player.push_manifest(repository, "v1", content.replace(b'"@"', f'"{text}"'.encode()))
        check("PUT", answer)
        assert answer.status == 400


def test_document_is_what_its_bytes_say(player: Client, repository: str) -> None:
    """S-144..S-146: what was pushed as one type is never served as another."""
    player.push_blob(repository, EMPTY)
    content = dump({k: v for k, v in image_manifest(descriptor(EMPTY, OCI_CONFIG), []).items() if k != "mediaType"})
    assert player.push_manifest(repository, "v1", content, OCI_IMAGE).status == 201
    again = player.push_manifest(repository, "v1", content, DOCKER_IMAGE)
    got = player.get_manifest(repository, "v1")
    assert got.body == content
    assert got.headers["Content-Type"] == OCI_IMAGE, f"after {again}"


def test_unreadable_layers_are_only_bytes(player: Client, repository: str) -> None:
    """S-137: nothing in the registry unpacks what it stores."""
    import gzip

    bomb = gzip.compress(b"\0" * 10_000_000)
    digest = player.push_blob(repository, bomb)
    document = image_manifest(
        descriptor(EMPTY, OCI_EMPTY), [descriptor(bomb, "application/vnd.oci.image.layer.v1.tar+gzip")]
    )
    player.push_blob(repository, EMPTY)
    assert player.push_manifest(repository, "v1", document).status == 201
    answer = player.get_blob(repository, digest)
    assert answer.body == bomb
    assert "Content-Encoding" not in answer.headers


def test_many_referrers_of_one_digest(world: World, player: Client, repository: str) -> None:
    """S-138"""
    subject = player.push_image(repository, "v1")
    player.attach(subject, "application/vnd.example.first")
    world.clerk("referrers_fill", repository=repository, subject=subject.digest, count=10_000)
    try:
        started = time.monotonic()
        answer = player.request("GET", f"/v2/{repository}/referrers/{subject.digest}")
        assert time.monotonic() - started < 2
        assert 0 < len(answer.json()["manifests"]) <= 1000
        assert len(answer.body) < 4 * 1024 * 1024
        assert answer.next_page is not None
        assert len(player.referrers(repository, subject.digest)) == 10_001
    finally:
        world.clerk("rows_drop", repository=repository)
