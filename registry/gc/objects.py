"""Bytes that no row names: what tombstones list and is due, and parts without a session, removed from the store.

A tombstone goes after its bytes. So all of this may run several times at once and be killed anywhere: removing what is
gone is success.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from harborlite.database import holds
from harborlite.errors import HarborliteError
from harborlite.faults import fault
from registry.blobstore import blobstore
from registry.gc.collection import Counts
from registry.models import Blob, Tombstone, Upload

BATCH = 500
logger = logging.getLogger(__name__)


def sweep(*, limit: int = 10_000) -> tuple[int, int]:
    """Removes the bytes of up to `limit` due tombstones; returns how many went and how many could not.

    One that can't be removed stays for the next run and holds up no other.
    """
    removed, failed, after = 0, 0, 0
    while removed + failed < limit and (batch := list(due().filter(pk__gt=after).order_by("pk")[:BATCH])):
        after = batch[-1].pk
        gone = remove(batch)
        bury(gone)
        removed, failed = removed + len(gone), failed + len(batch) - len(gone)
    return removed, failed


def sweep_parts(between: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Removes parts of uploads that are over; returns of how many uploads they went, and of how many they could not.

    `between` is called before each.
    Such are left by a request that lost its session to another one, or died. An upload's row is there before its first
    byte and for as long as its parts are of use, so parts without one may go at any age; blobs are not touched.
    """
    removed, failed = 0, 0
    for key in parts_left():
        between()
        try:
            blobstore().abort(key)
            removed += 1
        except (HarborliteError, OSError):
            logger.exception("the parts under %s could not be removed", key)
            failed += 1
    return removed, failed


def parts_left() -> Iterator[str]:
    """Keys of uploads that have parts in the store and no session."""
    listed = blobstore().uploads()
    while keys := set(islice(listed, BATCH)):
        yield from sorted(keys - {pk.hex for pk in Upload.objects.filter(pk__in=keys).values_list("pk", flat=True)})


def due() -> QuerySet[Tombstone]:
    """Tombstones whose bytes may go. None whose key a blob has, though there should never be such a one."""
    named = Blob.objects.filter(storage_key=OuterRef("storage_key"))
    return Tombstone.objects.filter(~Exists(named), not_before__lte=Now())


def remove(stones: Sequence[Tombstone], *, workers: int = 1) -> list[Tombstone]:
    """Their bytes are not in the store any more; returns those for which that is so: none while a backup is made.

    The caller has read them before, see harborlite.database.holds.
    """
    if holds.is_held():
        logger.info("%d objects stay for now: a backup is being made", len(stones))
        return []
    if workers == 1:
        return list(filter(_remove, stones))
    shares = [stones[number::workers] for number in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        return list(chain.from_iterable(pool.map(lambda share: list(filter(_remove, share)), shares)))


def bury(stones: Sequence[Tombstone]) -> Counts:
    """The tombstones, whose bytes are gone, go too."""
    Tombstone.objects.filter(pk__in=[stone.pk for stone in stones])._raw_delete("default")
    return {"removed_objects": len(stones), "removed_bytes": sum(stone.size or 0 for stone in stones)}


def _remove(stone: Tombstone) -> bool:
    key = stone.storage_key
    try:
        fault("gc.before_object_delete")
        if stone.size is None:  # of an upload: a process may have died between committing its parts and saying so
            blobstore().abort(key)
        blobstore().delete(key)
        fault("gc.after_object_delete")
    except (HarborliteError, OSError):
        logger.exception("the bytes under %s could not be removed", key)
        return False
    return True
