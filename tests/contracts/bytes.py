"""Content for the stores: bytes that repeat nowhere near, in chunks, and what a store gives back."""

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from registry.blobstore import Blobstore, Entry, Part

KIB, MIB = 1 << 10, 1 << 20


@lru_cache(maxsize=24)
def noise(size: int, seed: int = 0) -> bytes:
    """`size` bytes of no text, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def chunked(content: bytes, size: int = 64 * KIB) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def breaking(content: bytes, error: BaseException) -> Iterator[bytes]:
    yield from chunked(content)
    raise error


def reloaded(parts: Sequence[Part]) -> list[Part]:
    """The parts as they come back out of the database."""
    return [Part.from_json(part.to_json()) for part in parts]


def push(store: Blobstore, key: str, *writes: bytes) -> None:
    """Commits what several requests brought."""
    parts: list[Part] = []
    for content in writes:
        parts = reloaded(store.write(key, parts, chunked(content)))
    store.commit(key, parts)


def content_of(store: Blobstore, key: str, start: int = 0, length: int | None = None) -> bytes:
    with store.open(key, start, length) as stored:
        return b"".join(iter(lambda: stored.read(100_000), b""))


def total(parts: Iterable[Part]) -> int:
    return sum(part.size for part in parts)


def listed(store: Blobstore) -> list[Entry]:
    return sorted(store.keys())
