"""The storage seam: where blobs' bytes are kept. Files or S3; nothing here knows a digest, a repository or a row.

A key is 32 hexadecimal digits, unique to one upload and never used again. No text of a client reaches a name:

    filesystem                           S3 (below HARBORLITE_S3_PREFIX)
    uploads/<key>/<number>-<random>      uploads/<key>/<random>          what one write() left, not committed yet
                                         multipart uploads of the blob   the parts of a large write
    blobs/<key[:2]>/<key>                blobs/<key[:2]>/<key>           a committed blob
    probe-<random>                       probe                           what check() writes

An upload is a list of parts that only grows, and the database holds that list. The store never decides by what a
listing shows: listings only find garbage.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import BinaryIO, Literal, NamedTuple, Protocol

from django.conf import settings
from django.core.files.storage import storages

from harborlite.errors import BlobUnknown

_KEY = re.compile(r"[0-9a-f]{32}")


class NotThere(BlobUnknown):
    """Nothing is committed under `key`, or a part that is needed to commit it is missing."""

    def __init__(self, key: str) -> None:
        super().__init__("the bytes are missing from storage")
        self.key = key


@dataclass(frozen=True)
class Part:
    """What one write left: a file or object `name`; with `etags`, parts 1, 2, ... of the multipart upload `name`."""

    name: str
    size: int
    etags: tuple[str, ...] = ()

    def to_json(self) -> list[object]:
        """A list for a JSON column: [name, size], or [name, size, etags]."""
        return [self.name, self.size, list(self.etags)] if self.etags else [self.name, self.size]

    @classmethod
    def from_json(cls, value: Sequence[object]) -> "Part":
        """The part `to_json` gave `value` for; ValueError for anything else."""
        match value:
            case [str(name), int(size)]:
                return cls(name, size)
            case [str(name), int(size), [*etags]]:
                return cls(name, size, tuple(map(str, etags)))
        raise ValueError(f"not a part: {value!r}")


class Entry(NamedTuple):
    """A committed blob as a listing shows it."""

    key: str
    size: int
    modified: datetime


class Blobstore(Protocol):
    """One place for bytes. Every verb may be called from several threads and processes at once, also for one key.

    Besides what each verb names: ValueError for a key that is none, StorageFull when there is no space left, and
    Unavailable when the store does not answer or refuses.
    """

    def write(self, key: str, parts: Sequence[Part], chunks: Iterable[bytes]) -> list[Part]:
        """The bytes of `chunks` are durable behind those of `parts`; returns the new list of all parts.

        What `parts` names is never changed. So of two writers that start from the same `parts` both may finish, and
        whichever list the caller then stores is whole and right; the other one's bytes are garbage, which commit()
        or abort() of the key removes. A chunk is used up before the next is asked for. When `chunks` raises, what
        this call wrote is dropped and the error goes on; a caller that wants to keep a piece ends the iterator.
        NotThere when `parts` is gone.
        """

    def commit(self, key: str, parts: Sequence[Part]) -> None:
        """The bytes of `parts` are durable and readable under `key` as one object, and nothing else is left of it.

        No parts make an empty object. Committing again, after a crash or at the same time, succeeds. NotThere when a
        part is gone and the object does not exist.
        """

    def abort(self, key: str) -> None:
        """Nothing that was written under `key` without being committed is left. Does not touch a committed object."""

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """The object's bytes from `start` on, at most `length`; none when it ends before. To be closed by the caller.

        A stored file is a real one, at position `start`, whose descriptor may be handed to sendfile; a remote object
        is a stream that holds little in memory. read(n) may give less than n before the end. NotThere.
        """

    def size(self, key: str) -> int | None:
        """Length of the committed object in bytes; None when there is none."""

    def url(self, key: str, *, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        """An address at which a client gets the object with `method`, for a while; None when there is none to give.

        It is made without asking the store, and is good for this key and method alone.
        """

    def delete(self, key: str) -> None:
        """The committed object is gone; it need not have existed."""

    def keys(self) -> Iterator[Entry]:
        """The committed objects a listing shows, in any order."""

    def uploads(self) -> Iterator[str]:
        """Each key once under which a listing shows bytes that are not committed, in any order."""

    def check(self) -> None:
        """The store took a write just now."""


def checked(key: str) -> str:
    """`key` itself; ValueError when it is not 32 hexadecimal digits."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def checked_range(start: int, length: int | None) -> None:
    """ValueError when there are no such bytes in any object."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"not a range: {length} bytes from {start}")


@cache
def blobstore() -> Blobstore:
    """The store that the settings name, one for the process."""
    # Imported here: each imports this module, and a server that keeps files need not load an S3 client.
    if settings.STORAGE == "s3":
        from registry.blobstore.s3 import S3Blobstore

        public = storages["blobs_public"] if settings.S3_PUBLIC_ENDPOINT else None
        return S3Blobstore(storages["blobs"], public=public, redirect=settings.S3_REDIRECT)
    from registry.blobstore.filesystem import FilesystemBlobstore

    return FilesystemBlobstore(storages["blobs"].path(""))


# A forked child makes its own: it may not share its parent's connections.
os.register_at_fork(after_in_child=blobstore.cache_clear)
