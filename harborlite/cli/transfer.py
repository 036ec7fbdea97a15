"""Blobs from one store into another, each compared with its digest on the way."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from harborlite.cli.backups import Stored
from harborlite.cli.output import say
from registry.blobstore import Blobstore, NotThere
from registry.oci.digest import Digest

THREADS = 4
AHEAD = 64  # blobs that wait for a thread
READ = 1 << 20  # bytes
SAID = 10.0  # seconds between words about progress


@dataclass
class Copied:
    """What came of copying: how many blobs were there already, came, and are wrong or missing at the source."""

    there: int = 0
    came: int = 0
    size: int = 0
    damaged: list[str] = field(default_factory=list)


def copy_blobs(wanted: Iterable[Stored], source: Blobstore, target: Blobstore, *, rechecks: bool, total: int) -> Copied:
    """`target` has each blob that `source` has whole. With `rechecks`, also what was there is compared with its digest.

    Unavailable when one of the two does not answer, StorageFull when there is no room.
    """
    copied, said, rest = Copied(), time.monotonic(), iter(wanted)
    with ThreadPoolExecutor(THREADS) as pool:
        flying: set[Future[tuple[Stored, str]]] = set()
        try:
            while True:
                more = islice(rest, AHEAD - len(flying))
                flying |= {pool.submit(_copy, blob, source, target, rechecks) for blob in more}
                if not flying:
                    return copied
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    _count(copied, *future.result())
                if time.monotonic() > said + SAID:
                    said = time.monotonic()
                    say(f"{copied.there + copied.came + len(copied.damaged)} of {total} blobs")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _count(copied: Copied, blob: Stored, outcome: str) -> None:
    if outcome == "damaged":
        copied.damaged.append(blob.digest)
    elif outcome == "there":
        copied.there += 1
    else:
        copied.came += 1
        copied.size += blob.size


def _copy(blob: Stored, source: Blobstore, target: Blobstore, rechecks: bool) -> tuple[Stored, str]:
    """The blob, and what became of it: there, came or damaged."""
    there = target.size(blob.key)
    if there == blob.size and (not rechecks or _is_whole(blob, target)):
        return blob, "there"
    algorithm = Digest.parse(blob.digest).algorithm
    running = hashlib.new(algorithm)
    try:
        with closing(source.open(blob.key)) as stored:
            parts = target.write(blob.key, [], _hashed(iter(lambda: stored.read(READ), b""), running.update))
    except NotThere:
        return blob, "damaged"
    if str(Digest(algorithm, running.hexdigest())) != blob.digest:
        target.abort(blob.key)
        return blob, "damaged"
    if there is not None:
        target.delete(blob.key)  # it is not whole
    target.commit(blob.key, parts)
    return blob, "came"


def _is_whole(blob: Stored, target: Blobstore) -> bool:
    with closing(target.open(blob.key)) as stored:
        found = Digest.of_pieces(iter(lambda: stored.read(READ), b""), Digest.parse(blob.digest).algorithm)
    return str(found) == blob.digest


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk
