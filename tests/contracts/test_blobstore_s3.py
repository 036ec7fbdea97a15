"""What only the S3 store must show: presigned addresses, limits of multipart uploads, a server that fails and lies."""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Literal

import pytest
import requests

from harborlite.errors import StorageFull, Unavailable
from registry.blobstore import NotThere, Part
from registry.blobstore.s3 import MOST, PART, PARTS, S3Blobstore
from tests.contracts.bytes import KIB, MIB, chunked, content_of, listed, noise, push
from tests.contracts.conftest import Opened
from tests.contracts.troublemaker import (
    Answer,
    Request,
    Trouble,
    Troublemaker,
    drop,
    drop_answer,
    failing,
    troublemaker,
)
from tests.seaweed import Seaweed, free_ports

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def proxied(seaweed: Seaweed) -> Iterator[tuple[Troublemaker, S3Blobstore]]:
    with troublemaker(seaweed.endpoint) as made, closing(Opened(seaweed, made.endpoint)) as opened:
        yield made, opened.store


@pytest.fixture
def trouble(proxied: tuple[Troublemaker, S3Blobstore]) -> Troublemaker:
    """It makes none yet."""
    proxied[0].on = lambda _: None
    proxied[0].seen.clear()
    return proxied[0]


@pytest.fixture
def shaky(proxied: tuple[Troublemaker, S3Blobstore], trouble: Troublemaker) -> S3Blobstore:
    """A store whose server is behind the troublemaker."""
    return proxied[1]


# Addresses for clients.


def address(store: S3Blobstore, key: str, method: Literal["GET", "HEAD"] = "GET") -> str:
    url = store.url(key, method=method)
    assert url is not None
    return url


@pytest.fixture
def stored(s3: S3Blobstore) -> str:
    """The key of an object of 1000 bytes."""
    key = secrets.token_hex(16)
    push(s3, key, noise(1000))
    return key


def test_a_client_gets_the_bytes_itself(s3: S3Blobstore, stored: str) -> None:
    answer = requests.get(address(s3, stored), timeout=10)
    assert (answer.status_code, answer.content) == (200, noise(1000))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    answer = requests.get(address(s3, stored), headers={"Range": "bytes=100-199"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, noise(1000)[100:200])
    assert answer.headers["Content-Range"] == "bytes 100-199/1000"


def test_a_client_may_ask_for_the_head(s3: S3Blobstore, stored: str) -> None:
    answer = requests.head(address(s3, stored, "HEAD"), timeout=10)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "1000")


def test_an_address_is_good_for_nothing_else(s3: S3Blobstore, stored: str, key: str) -> None:
    push(s3, key, b"another's")
    url = address(s3, stored)
    tampered = {
        "key": url.replace(f"{stored[:2]}/{stored}", f"{key[:2]}/{key}"),
        "time": url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
        "signature": url[:-1] + ("0" if url[-1] != "0" else "1"),
    }
    for what, changed in tampered.items():
        assert changed != url
        assert requests.get(changed, timeout=10).status_code == 403, what
    assert requests.put(url, data=b"x", timeout=10).status_code == 403
    assert requests.delete(url, timeout=10).status_code == 403
    assert content_of(s3, stored) == noise(1000)


def test_an_address_expires(s3: S3Blobstore, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_expire", 1)
    url = address(s3, stored)
    deadline = time.monotonic() + 10
    while (status := requests.get(url, timeout=10).status_code) == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert status == 403


def test_addresses_name_the_public_endpoint(seaweed: Seaweed, s3: S3Blobstore, stored: str) -> None:
    public = seaweed.endpoint.replace("127.0.0.1", "localhost")
    with closing(Opened(seaweed, seaweed.endpoint, public=public)) as opened:
        url = address(opened.store, stored)
    assert url.startswith(public)
    assert requests.get(url, timeout=10).content == noise(1000)


def test_without_redirects_there_is_no_address(s3: S3Blobstore, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_redirect", False)
    assert s3.url(stored) is None


# Buckets, parts.


def test_a_missing_bucket_is_made(seaweed: Seaweed, key: str) -> None:
    for _ in range(2):  # the second finds it
        with closing(Opened(seaweed, seaweed.endpoint, bucket="made-when-needed")) as opened:
            assert [entry.size for entry in listed(opened.store)] in ([], [4])
            push(opened.store, key, b"made")


def test_the_largest_object_fits_into_the_parts_a_store_takes(s3: S3Blobstore) -> None:
    store = S3Blobstore.__new__(S3Blobstore)
    store._least = PART
    offset = count = 0
    while offset < 5 << 40:
        size = store._part_size(offset)
        assert 5 * MIB <= size <= MOST
        offset, count = offset + size, count + 1
    assert count <= 10_000
    assert store._part_size(10 << 30) == PART  # and what is usual needs little memory


def test_large_objects_are_copied_in_pieces_a_store_takes(s3: S3Blobstore, key: str) -> None:
    sizes = [100 << 30, 300 * MIB, 9 << 30, 100 * KIB]
    pieces = list(s3._pieces(key, [Part("run", 50 << 30, ('"x"',)), *(Part(f"{size}", size) for size in sizes)]))
    for size in sizes:
        own = [piece for piece in pieces if piece[0].endswith(f"/{size}")]
        assert [first for _, first, _ in own] == [0, *(end for _, _, end in own[:-1])]
        assert own[-1][2] == size
        assert all(end - first <= MOST for _, first, end in own)
        assert len(own) == 1 or all(end - first >= (50 << 30) // PARTS for _, first, end in own)


def test_a_stream_of_one_request_is_not_copied(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    push(shaky, key, noise(10 * MIB))
    assert len([request for request in trouble.seen if request.method == "PUT"]) == 2
    assert content_of(shaky, key) == noise(10 * MIB)


# A server that fails.


@pytest.mark.parametrize("size", [1000, 11 * MIB])
def test_pushes_survive_a_tenth_of_all_calls_failing(shaky: S3Blobstore, trouble: Troublemaker, size: int) -> None:
    dice = random.Random(1)
    troubles = [failing(503, "SlowDown"), failing(500, "InternalError"), drop, drop_answer]
    trouble.on = lambda _: dice.choice(troubles) if dice.random() < 0.1 else None
    for _ in range(2):
        key = secrets.token_hex(16)
        push(shaky, key, noise(size), noise(size))
        assert content_of(shaky, key) == noise(size) * 2
        shaky.abort(key)
        assert key not in list(shaky.uploads())


def test_a_dead_server_is_unavailable(seaweed: Seaweed, key: str) -> None:
    [port] = free_ports(1)
    with closing(Opened(seaweed, f"http://127.0.0.1:{port}")) as opened:
        store = opened.store
        calls: list[Callable[[], object]] = [
            lambda: store.write(key, [], [b"x"]),
            lambda: store.commit(key, [Part("a", 1)]),
            lambda: store.open(key),
            lambda: store.size(key),
            lambda: store.delete(key),
            lambda: listed(store),
            store.check,
        ]
        for call in calls:
            with pytest.raises(Unavailable):
                call()


def test_a_part_that_can_not_be_sent_fails_the_write_and_leaves_nothing(
    shaky: S3Blobstore, trouble: Troublemaker, key: str
) -> None:
    trouble.on = lambda request: drop if request.query.get("partNumber") == ["2"] else None
    with pytest.raises(Unavailable):
        shaky.write(key, [], chunked(noise(16 * MIB)))
    assert key not in list(shaky.uploads())


def test_a_full_store_is_said_to_be_full(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    trouble.on = lambda request: failing(507, "InsufficientStorage") if request.method == "PUT" else None
    with pytest.raises(StorageFull):
        shaky.write(key, [], [b"x"])


def test_a_broken_download_goes_on(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    push(shaky, key, noise(11 * MIB))
    asked: list[Request] = []

    def cut(ask: Callable[[], Answer]) -> Answer:
        return replace(ask(), cut=2 * MIB)

    def on(request: Request) -> Trouble | None:
        asked.append(request)
        return cut if len(asked) <= 3 else None

    trouble.on = on
    assert content_of(shaky, key, 100) == noise(11 * MIB)[100:]
    assert len(asked) == 4


def test_a_download_that_breaks_again_and_again_fails(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    push(shaky, key, noise(MIB))
    trouble.on = lambda _: lambda ask: replace(ask(), cut=10)
    with pytest.raises(Unavailable):
        content_of(shaky, key)


# A server that lies.


def test_a_commit_whose_answer_is_lost_has_happened(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    lost: list[Request] = []

    def on(request: Request) -> Trouble | None:
        if request.completes and not lost:
            lost.append(request)
            return drop_answer
        return None

    trouble.on = on
    push(shaky, key, noise(11 * MIB))
    assert lost
    assert content_of(shaky, key) == noise(11 * MIB)


def test_an_error_under_status_200_is_an_error(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    parts = shaky.write(key, [], chunked(noise(11 * MIB)))
    trouble.on = lambda request: failing(200, "InternalError") if request.completes else None
    with pytest.raises(Unavailable):
        shaky.commit(key, parts)
    assert shaky.size(key) is None
    trouble.on = lambda _: None
    shaky.commit(key, parts)
    assert content_of(shaky, key) == noise(11 * MIB)


@pytest.mark.parametrize("size", [1000, 11 * MIB])
def test_an_object_of_another_size_is_not_committed(
    shaky: S3Blobstore, trouble: Troublemaker, key: str, size: int
) -> None:
    def shorter(ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        headers = [(name, str(size - 1) if name.lower() == "content-length" else text) for name, text in answer.headers]
        return replace(answer, headers=headers)

    parts = shaky.write(key, [], chunked(noise(size)))
    trouble.on = lambda request: shorter if request.method == "HEAD" else None
    with pytest.raises(Unavailable):
        shaky.commit(key, parts)
    trouble.on = lambda _: None
    assert shaky.size(key) is None


def test_a_completion_that_did_nothing_is_not_believed(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    parts = shaky.write(key, [], chunked(noise(11 * MIB)))
    text = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    trouble.on = lambda request: (lambda _: Answer(200, [], text.encode())) if request.completes else None
    with pytest.raises(Unavailable):
        shaky.commit(key, parts)


def test_another_part_than_the_one_that_was_sent_is_noticed(s3: S3Blobstore, key: str) -> None:
    [part] = s3.write(key, [], chunked(noise(10 * MIB)))
    with pytest.raises(NotThere):
        s3.commit(key, [replace(part, etags=(part.etags[0], '"' + "0" * 32 + '"'))])
    assert s3.size(key) is None
    s3.commit(key, [part])
    assert content_of(s3, key) == noise(10 * MIB)


@pytest.mark.parametrize("writes", [[1000], [11 * MIB], [11 * MIB, 6 * MIB, 10]])
def test_listings_decide_nothing(shaky: S3Blobstore, trouble: Troublemaker, key: str, writes: list[int]) -> None:
    trouble.on = lambda request: failing(404, "NoSuchBucket") if request.lists else None
    push(shaky, key, *(noise(size) for size in writes))
    trouble.on = lambda _: None
    assert content_of(shaky, key) == b"".join(noise(size) for size in writes)


def test_ranges_that_are_ignored_are_noticed(shaky: S3Blobstore, trouble: Troublemaker, key: str) -> None:
    push(shaky, key, noise(1000))
    trouble.on = lambda _: lambda ask: replace(ask(), status=200)
    with pytest.raises(Unavailable):
        shaky.open(key, 10)


def test_more_leftovers_than_one_listing_shows_are_removed(
    s3: S3Blobstore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.blobstore.s3.PAGE", 2)
    for _ in range(5):
        s3.write(key, [], chunked(noise(5 * MIB)))
        s3.write(key, [], [b"small"])
    assert len(s3._leftovers(key)) == 10
    s3.abort(key)
    assert s3._leftovers(key) == []
    assert key not in list(s3.uploads())
