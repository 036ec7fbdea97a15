"""Digests: the value, and the running hash that an upload carries from request to request. Pure.

Two algorithms are registered by the OCI image spec ("Registered Algorithms") and known here: sha256 and sha512.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import rehashes

from harborlite.errors import DigestInvalid


class _Running(Protocol):
    """What `rehashes` gives."""

    def update(self, data: bytes, /) -> None: ...
    def finalize(self) -> str: ...
    def serialize(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Algorithm:
    hex_length: int
    start: Callable[[], _Running]
    restore: Callable[[bytes], _Running]


_ALGORITHMS = {
    "sha256": _Algorithm(64, rehashes.PySha256, rehashes.PySha256.deserialize),
    "sha512": _Algorithm(128, rehashes.PySha512, rehashes.PySha512.deserialize),
}
ALGORITHMS = frozenset(_ALGORITHMS)

_LOWERCASE_HEX = re.compile(r"[0-9a-f]+")


def _known(algorithm: str) -> _Algorithm:
    if algorithm not in _ALGORITHMS:
        raise DigestInvalid(f"unsupported digest algorithm; known are {', '.join(sorted(ALGORITHMS))}")
    return _ALGORITHMS[algorithm]


@dataclass(frozen=True, slots=True)
class Digest:
    """The name of content: an algorithm and its result in lowercase hexadecimal. Made by `parse` and `of`."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The digest written as `text`; DigestInvalid unless it is exactly ALGORITHM:HEX."""
        digest = cls.parse_or_none(text)
        if digest is None:
            raise DigestInvalid(
                "malformed digest: it must be sha256: and 64, or sha512: and 128 lowercase hexadecimal digits"
            )
        return digest

    @classmethod
    def parse_or_none(cls, text: str) -> Self | None:
        """As `parse`, but None for what is no digest: for callers whose error is about something larger."""
        name, _, digits = text.partition(":")
        algorithm = _ALGORITHMS.get(name)
        if algorithm is None or len(digits) != algorithm.hex_length or not _LOWERCASE_HEX.fullmatch(digits):
            return None
        return cls(name, digits)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """The digest of `content`; DigestInvalid for an unknown algorithm."""
        return cls.of_pieces((content,), algorithm)

    @classmethod
    def of_pieces(cls, pieces: Iterable[bytes], algorithm: str = "sha256") -> Self:
        """The digest of all `pieces` in turn, hashed while other threads run; DigestInvalid for an unknown algorithm.

        For bytes that are read in one go: `Hasher` holds the interpreter's lock and is slower for sha512.
        """
        _known(algorithm)
        running = hashlib.new(algorithm)
        for piece in pieces:
            running.update(piece)
        return cls(algorithm, running.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


class Hasher:
    """A hash of bytes that arrive over several requests, perhaps in several processes.

    hashlib can't write its state down, so this runs on `rehashes`, which can. It is as fast for SHA-256 but keeps the
    interpreter's lock while it hashes (about 0.7 ms a MiB where the processor has SHA instructions): feed it
    pieces of at most about one MiB, so that other threads get their turn in between.
    """

    __slots__ = ("_running", "algorithm")

    def __init__(self, algorithm: str) -> None:
        """DigestInvalid for an unknown algorithm."""
        self.algorithm = algorithm
        self._running = _known(algorithm).start()

    @classmethod
    def resume(cls, algorithm: str, state: bytes) -> Self:
        """A hasher that goes on where the one that gave `state` was.

        ValueError when `state` is no state of this algorithm. It must come from our own database: nothing tells a
        forged state, it gives a wrong digest.
        """
        hasher = cls(algorithm)
        hasher._running = _known(algorithm).restore(state)
        return hasher

    def update(self, data: bytes) -> None:
        """`data` is hashed behind what came before."""
        self._running.update(data)

    def digest(self) -> Digest:
        """The digest of everything so far; more may follow."""
        return Digest(self.algorithm, self._running.finalize())

    def state(self) -> bytes:
        """What `resume` needs; more may follow here too."""
        return self._running.serialize()
