"""Removal of bytes that no row names any more: what tombstones list, when they are due, and parts without a session."""

import logging
from itertools import islice

from django.db.models.functions import Now

from harborlite.errors import HarborliteError
from harborlite.faults import fault
from registry.blobstore import blobstore
from registry.models import Tombstone, Upload

BATCH = 500
logger = logging.getLogger(__name__)


def sweep(*, limit: int = 10_000) -> tuple[int, int]:
    """Removes the bytes of up to `limit` due tombstones; returns how many went and how many could not.

    May run several times at once and be killed anywhere: removing what is gone is success, and a tombstone goes only
    after its bytes. One that can't be removed stays for the next run and holds up no other.
    """
    removed, failed, after = 0, 0, 0
    while removed + failed < limit:
        due = Tombstone.objects.filter(not_before__lte=Now(), pk__gt=after).order_by("pk")[:BATCH]
        batch = list(due)
        if not batch:
            break
        after = batch[-1].pk
        for tombstone in batch:
            try:
                _remove(tombstone)
                removed += 1
            except (HarborliteError, OSError):
                logger.exception("the bytes under %s could not be removed", tombstone.storage_key)
                failed += 1
    return removed, failed


def sweep_parts() -> tuple[int, int]:
    """Removes parts of uploads that are over; returns of how many uploads they went, and of how many they could not.

    Such are left by a request that lost its session to another one, or died. An upload's row is there before its first
    byte and for as long as its parts are of use, so parts without one may go at any age; blobs are not touched.
    """
    removed, failed, listed = 0, 0, blobstore().uploads()
    while keys := set(islice(listed, BATCH)):
        for key in keys - {pk.hex for pk in Upload.objects.filter(pk__in=keys).values_list("pk", flat=True)}:
            try:
                blobstore().abort(key)
                removed += 1
            except (HarborliteError, OSError):
                logger.exception("the parts under %s could not be removed", key)
                failed += 1
    return removed, failed


def _remove(tombstone: Tombstone) -> None:
    fault("gc.before_object_delete")
    # Both, whatever state the bytes are in: a process may have died between committing them and saying so.
    blobstore().abort(tombstone.storage_key)
    blobstore().delete(tombstone.storage_key)
    fault("gc.after_object_delete")
    Tombstone.objects.filter(pk=tombstone.pk).delete()
