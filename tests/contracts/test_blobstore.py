"""The contract of the storage seam, for every kind of store."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry.blobstore import Blobstore, NotThere, Part
from tests.contracts.bytes import KIB, MIB, breaking, chunked, content_of, listed, noise, push, reloaded, total
from tests.contracts.conftest import Place

SIZES = [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB - 1, 10 * MIB, 12 * MIB + 3]
LARGE = 6 * MIB
"""More than one part of a large upload, as the S3 store under test cuts them."""
STARTS = [0, 300 * KIB, LARGE]
"""Bytes an upload has already: none, less than one part of a large upload, more."""


# Writing and reading.


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back_as_they_were(store: Blobstore, key: str, size: int) -> None:
    content = noise(size)
    push(store, key, content)
    assert store.size(key) == size
    assert content_of(store, key) == content


def test_no_parts_make_an_empty_object(store: Blobstore, key: str) -> None:
    store.commit(key, [])
    assert store.size(key) == 0
    assert content_of(store, key) == b""


def test_a_write_of_nothing_changes_nothing(store: Blobstore, key: str) -> None:
    parts = store.write(key, [], [b"some"])
    assert store.write(key, parts, [b"", b""]) == parts
    assert store.write(key, parts, []) == parts


@pytest.mark.parametrize("chunk", [1 * KIB + 1, 3 * MIB, 40 * MIB])
def test_the_size_of_chunks_does_not_matter(store: Blobstore, key: str, chunk: int) -> None:
    content = noise(11 * MIB)
    store.commit(key, store.write(key, [], chunked(content, chunk)))
    assert content_of(store, key) == content


def test_a_chunk_is_used_up_before_the_next_is_asked_for(store: Blobstore, key: str) -> None:
    def reusing_its_buffer() -> Iterator[Any]:
        buffer = bytearray(256 * KIB)
        for number in range(80):
            buffer[:] = bytes([number]) * len(buffer)
            yield buffer

    store.commit(key, store.write(key, [], reusing_its_buffer()))
    assert content_of(store, key) == b"".join(bytes([number]) * 256 * KIB for number in range(80))


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param([70 * KIB] * 10, id="small"),
        pytest.param([LARGE] * 3, id="large"),
        pytest.param([1, LARGE, 0, 2 * MIB, 4 * MIB, 3 * MIB, 11 * MIB, 5], id="mixed"),
        pytest.param([3 * MIB, 3 * MIB, 3 * MIB], id="large together"),
    ],
)
def test_writes_follow_each_other(store: Blobstore, key: str, writes: list[int]) -> None:
    contents = [noise(size, seed) for seed, size in enumerate(writes)]
    push(store, key, *contents)
    assert content_of(store, key) == b"".join(contents)


def test_the_list_of_parts_knows_the_length(store: Blobstore, key: str) -> None:
    parts: list[Part] = []
    for expected, size in [(LARGE, LARGE), (LARGE + 5, 5), (LARGE + 5 + 3 * MIB, 3 * MIB)]:
        parts = store.write(key, parts, chunked(noise(size)))
        assert total(parts) == expected


RANGES = [(0, 1), (0, None), (3 * MIB, 100), (LARGE - 10, 10), (LARGE - 10, 99), (LARGE - 1, None)]
OUTSIDE = [(LARGE, None), (LARGE, 5), (LARGE + 7, 5), (5, 0), (0, 0)]


@pytest.mark.parametrize(("start", "length"), RANGES)
def test_a_range_is_read(store: Blobstore, key: str, start: int, length: int | None) -> None:
    content = noise(LARGE)
    push(store, key, content)
    end = None if length is None else start + length
    assert content_of(store, key, start, length) == content[start:end]
    with store.open(key, start, length) as stored:
        assert stored.read() == content[start:end]
    with store.open(key, start, length) as stored:
        buffer = bytearray(50)
        assert bytes(buffer[: stored.readinto(buffer)]) in content[start:end]  # type: ignore[attr-defined, operator]


def test_a_range_outside_the_object_is_empty(store: Blobstore, key: str) -> None:
    push(store, key, noise(LARGE))
    for start, length in OUTSIDE:
        assert content_of(store, key, start, length) == b"", (start, length)


def test_an_impossible_range_is_refused(store: Blobstore, key: str) -> None:
    push(store, key, b"content")
    for start, length in [(-1, None), (0, -1)]:
        with pytest.raises(ValueError, match="not a range"):
            store.open(key, start, length)


def test_many_read_one_object_at_once(store: Blobstore, key: str) -> None:
    content = noise(LARGE)
    push(store, key, content)
    starts = [number * 977 * KIB % len(content) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: content_of(store, key, start, 500 * KIB), starts))
    assert found == [content[start : start + 500 * KIB] for start in starts]


def test_many_write_different_objects_at_once(store: Blobstore) -> None:
    contents = {secrets.token_hex(16): noise(size) for size in (10, 6 * MIB, LARGE, 11 * MIB)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: push(store, *item), contents.items()))
    for key, content in contents.items():
        assert content_of(store, key) == content


def test_memory_stays_flat(place: Place, key: str) -> None:
    def measured() -> Iterator[bytes]:
        for _ in range(200):
            highest.append(max(highest.pop(), resident()))
            yield block

    block = noise(MIB)
    before = resident()
    highest = [before]
    place.store.commit(key, place.store.write(key, [], measured()))
    with place.store.open(key) as stored:
        while stored.read(MIB):
            highest.append(max(highest.pop(), resident()))
    assert highest[0] - before < 80 * MIB


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4 * KIB


# What is visible when.


@pytest.mark.parametrize("size", [100, LARGE])
def test_nothing_is_visible_before_commit(store: Blobstore, key: str, size: int) -> None:
    parts = store.write(key, [], chunked(noise(size)))
    assert store.size(key) is None
    assert key not in [entry.key for entry in listed(store)]
    assert key in list(store.uploads())
    with pytest.raises(NotThere):
        store.open(key)
    store.commit(key, parts)
    assert store.size(key) == size
    assert key not in list(store.uploads())


def test_the_listing_shows_what_is_committed(store: Blobstore, key: str) -> None:
    push(store, key, noise(1000))
    [entry] = [entry for entry in listed(store) if entry.key == key]
    assert entry.size == 1000
    assert abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_upload_is_listed_once(store: Blobstore, key: str) -> None:
    parts = store.write(key, [], chunked(noise(LARGE)))
    store.write(key, parts, [b"more"])
    store.write(key, [], chunked(noise(LARGE)))
    assert list(store.uploads()).count(key) == 1


def test_what_was_never_written_is_not_there(store: Blobstore, key: str) -> None:
    assert store.size(key) is None
    for start, length in [(0, None), (5, 10), (0, 0)]:
        with pytest.raises(NotThere) as caught:
            store.open(key, start, length)
        assert caught.value.key == key


@pytest.mark.parametrize("writes", [[], [100], [LARGE], [LARGE, LARGE, 100]])
def test_committing_again_succeeds(store: Blobstore, key: str, writes: list[int]) -> None:
    parts: list[Part] = []
    for size in writes:
        parts = store.write(key, parts, chunked(noise(size)))
    for _ in range(3):
        store.commit(key, reloaded(parts))
        assert content_of(store, key) == b"".join(noise(size) for size in writes)


@pytest.mark.parametrize("size", [100, LARGE])
def test_two_may_commit_at_once(store: Blobstore, key: str, size: int) -> None:
    parts = store.write(key, [], chunked(noise(size)))
    parts = store.write(key, parts, [b"end"])
    at_once([lambda: store.commit(key, parts)] * 3)
    assert content_of(store, key) == noise(size) + b"end"
    assert key not in list(store.uploads())


def test_commit_needs_all_parts(store: Blobstore, key: str) -> None:
    parts = store.write(key, [], chunked(noise(LARGE)))
    parts = store.write(key, parts, [b"end"])
    store.abort(key)
    with pytest.raises(NotThere):
        store.commit(key, parts)
    assert store.size(key) is None


# Writers that do not know of each other.


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("winner", [0, 1])
def test_of_two_writers_either_may_win(store: Blobstore, key: str, start: int, size: int, winner: int) -> None:
    before = store.write(key, [], chunked(noise(start, 7)))
    contents = [noise(size, 1), noise(size + 1, 2)]

    def write(content: bytes) -> list[Part]:
        return store.write(key, reloaded(before), chunked(content))

    lists = at_once([partial(write, each) for each in contents])
    parts = lists[winner]
    assert isinstance(parts, list)
    parts = store.write(key, parts, [b"end"])
    store.commit(key, parts)
    assert content_of(store, key) == noise(start, 7) + contents[winner] + b"end"
    assert key not in list(store.uploads())


# Giving up.


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("size", [0, 1000, LARGE, 11 * MIB])
def test_a_write_whose_source_fails_leaves_nothing(store: Blobstore, key: str, start: int, size: int) -> None:
    error = RuntimeError("gone")
    parts = store.write(key, [], chunked(noise(start)))
    with pytest.raises(RuntimeError) as caught:
        store.write(key, parts, breaking(noise(size), error))
    assert caught.value is error
    assert (key in list(store.uploads())) is bool(parts)
    store.commit(key, parts)
    assert content_of(store, key) == noise(start)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_abort_leaves_nothing(store: Blobstore, key: str, size: int) -> None:
    parts = store.write(key, [], chunked(noise(size)))
    parts = store.write(key, parts, chunked(noise(size)))
    for _ in range(2):
        store.abort(key)
        assert key not in list(store.uploads())
    with pytest.raises(NotThere):
        store.commit(key, parts)


def test_abort_of_what_never_was_succeeds(store: Blobstore, key: str) -> None:
    store.abort(key)


def test_abort_does_not_touch_what_is_committed(store: Blobstore, key: str) -> None:
    push(store, key, noise(LARGE), b"end")
    store.abort(key)
    assert content_of(store, key) == noise(LARGE) + b"end"


def test_continuing_an_aborted_upload_fails_at_the_latest_at_commit(store: Blobstore, key: str) -> None:
    parts = store.write(key, [], [b"start"])
    store.abort(key)
    with pytest.raises(NotThere):
        store.commit(key, store.write(key, parts, [b"end"]))
    assert store.size(key) is None


def test_a_deleted_object_is_gone(store: Blobstore, key: str) -> None:
    other = secrets.token_hex(16)
    push(store, key, b"content")
    push(store, other, b"other")
    for _ in range(2):
        store.delete(key)
        assert store.size(key) is None
    assert content_of(store, other) == b"other"


# Keys and parts.


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "..",
        "a",
        "/" * 32,
        "../" * 10 + "ab",
        "A" * 32,
        "g" * 32,
        "a" * 31,
        "a" * 33,
        "a" * 32 + "\n",
        "a" * 31 + "\0",
    ],
)
def test_what_is_no_key_is_refused(store: Blobstore, bad: str) -> None:
    verbs: list[Callable[[], object]] = [
        lambda: store.write(bad, [], [b"x"]),
        lambda: store.write(bad, [], []),
        lambda: store.commit(bad, []),
        lambda: store.abort(bad),
        lambda: store.open(bad),
        lambda: store.size(bad),
        lambda: store.url(bad),
        lambda: store.delete(bad),
    ]
    for verb in verbs:
        with pytest.raises(ValueError, match="not a storage key"):
            verb()


def test_parts_survive_json() -> None:
    for part in [Part("0-abc", 5), Part("upload", 1 << 40, ('"a"', '"b"'))]:
        assert Part.from_json(part.to_json()) == part
        assert part.to_json()[1] == part.size


@pytest.mark.parametrize("bad", [[], ["a"], [1, 2], ["a", "b"], ["a", 1, "c"], ["a", 1, [], 3]])
def test_other_json_is_no_part(bad: list[object]) -> None:
    with pytest.raises(ValueError, match="not a part"):
        Part.from_json(bad)


def test_a_working_store_passes_its_check(store: Blobstore) -> None:
    before = listed(store)
    store.check()
    store.check()
    assert listed(store) == before
