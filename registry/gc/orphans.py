"""Bytes in the store that no row names, which there should not be: found by a listing, and given tombstones.

A listing decides nothing by what it does not show. What it shows too much may as well mean that the database lacks
rows, having been restored from an old backup perhaps: then nothing is done, and an event tells of it.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from registry.blobstore import Entry, blobstore
from registry.gc.collection import BATCH, Collection, Counts
from registry.gc.rows import rows_of
from system import events

YOUNG = timedelta(hours=24)
"""Bytes younger than this may be of a request that is under way."""
SHARE = 20
"""Of so many objects at most one is believed to be an orphan."""
LISTED = 1000  # keys a query
logger = logging.getLogger(__name__)

# One statement, so that nothing moves from one table to another between two looks.
_ORPHANS = """
    SELECT key, size FROM unnest(%(keys)s::text[], %(sizes)s::bigint[]) AS listed (key, size)
    WHERE NOT EXISTS (SELECT FROM registry_blob WHERE storage_key = key)
        AND NOT EXISTS (SELECT FROM registry_upload WHERE id = key::uuid)
        AND NOT EXISTS (SELECT FROM registry_tombstone WHERE storage_key = key)
"""
_BURY = f"""
    INSERT INTO registry_tombstone (storage_key, not_before, size)
    SELECT key, now() + %(delay)s * interval '1 second', size FROM ({_ORPHANS}) AS orphan
    ON CONFLICT DO NOTHING RETURNING size
"""  # noqa: S608 - put together from this module's own texts


class Stored(NamedTuple):
    """What a listing shows: how many objects, and which of them are orphans, at most one more than may go."""

    objects: int
    orphans: list[Entry]


def collect(collection: Collection) -> None:
    """Every orphan has a tombstone, in a preview only counted; or there are too many, and that is told."""
    stored = _listed(collection)
    if not stored.orphans:
        return
    if len(stored.orphans) > min(settings.GC_ORPHANS, stored.objects // SHARE):
        _refuse(collection, stored)
        return
    for start in range(0, len(stored.orphans), BATCH):
        _bury(collection, stored.orphans[start : start + BATCH])


def find(entries: Sequence[Entry]) -> list[Entry]:
    """Those of the objects that no row names."""
    found = {key for key, _ in rows_of(_ORPHANS, **_columns(entries))}
    return [each for each in entries if each.key in found]


def _columns(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    return {"keys": [each.key for each in entries], "sizes": [each.size for each in entries]}


def _listed(collection: Collection) -> Stored:
    orphans: list[Entry] = []
    objects = 0
    for entries in _pages(blobstore().keys()):
        objects += len(entries)
        before = timezone.now() - YOUNG
        found = find([each for each in entries if each.modified < before])
        orphans += found[: settings.GC_ORPHANS + 1 - len(orphans)]
        collection.looked(len(entries))
    return Stored(objects, orphans)


def _pages(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while page := list(islice(entries, LISTED)):
        yield page


def _bury(collection: Collection, entries: Sequence[Entry]) -> None:
    def write() -> Counts:
        if collection.is_dry:
            return {"orphans": len(entries), "orphan_bytes": sum(each.size for each in entries)}
        sizes = [size for (size,) in rows_of(_BURY, **_columns(entries), delay=settings.TOMBSTONE_SECONDS)]
        return {"orphans": len(sizes), "orphan_bytes": sum(sizes)}

    with collection.run.step():
        for entry in entries:
            collection.run.log(f"No row names the {entry.size} bytes under {entry.key}")
    collection.did(write)


def _refuse(collection: Collection, stored: Stored) -> None:
    count = len(stored.orphans)
    text = (
        f"{count}{' or more' if count > settings.GC_ORPHANS else ''} of {stored.objects} stored objects have no row in"
        " the database: nothing was done about them. Was it restored from an old backup?"
    )
    logger.error(text)
    collection.run.log(text)

    def write() -> Counts:
        if not collection.is_dry:
            events.emit("warn", "storage", "garbage collection", description=text, is_successful=False)
        return {"orphans_kept": count}

    collection.did(write)
