"""The phases of a collection in their order, each as work and as a preview that writes nothing."""

from collections.abc import Callable
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from registry.gc import objects, orphans, preview, rows, untagged
from registry.gc.collection import Collection
from registry.services import deletions, uploads

AT_ONCE = 250  # objects or deletions: each may take long, and a worker that is to end waits for them


class Phase(NamedTuple):
    name: str
    work: Callable[[Collection], None]
    preview: Callable[[Collection], None]


def _uploads(collection: Collection) -> None:
    collection.note(uploads=uploads.uploads_purge())


def _uploads_preview(collection: Collection) -> None:
    collection.note(uploads=uploads.uploads_stale().count())


def _deletions(collection: Collection) -> None:
    while ended := deletions.deletions_expire(AT_ONCE):
        collection.note(deletions=ended)
        collection.pay(ended)


def _links(collection: Collection) -> None:
    collection.walk(rows.links_find, rows.links_collect)


def _blobs(collection: Collection) -> None:
    collection.walk(rows.blobs_find, rows.blobs_collect)


def _objects(collection: Collection) -> None:
    """What can't be removed is left for the next run and holds up no other."""
    while batch := list(objects.due().filter(pk__gt=collection.after).order_by("pk")[:AT_ONCE]):
        collection.run.check()
        gone = objects.remove(batch, workers=collection.workers)
        failed = len(batch) - len(gone)
        collection.did(lambda: {**objects.bury(gone), "failed": failed}, after=batch[-1].pk, looked=len(batch))  # noqa: B023 - called here
        collection.pay(len(batch))
    collection.run.check()
    removed, failed = objects.sweep_parts(collection.run.check)
    collection.note(removed_parts=removed, failed=failed)


def _objects_preview(collection: Collection) -> None:
    """With what the phases before would leave to be removed at once."""
    found = objects.due().aggregate(count=Count("pk"), size=Coalesce(Sum("size"), 0))
    counts = collection.counts
    is_at_once = settings.TOMBSTONE_SECONDS == 0
    collection.note(
        removed_objects=found["count"] + counts.get("uploads", 0) + (counts.get("blobs", 0) if is_at_once else 0),
        removed_bytes=found["size"] + (counts.get("freed_bytes", 0) if is_at_once else 0),
        removed_parts=sum(1 for _ in objects.parts_left()),
    )


PHASES = (
    Phase("uploads", _uploads, _uploads_preview),
    Phase("deletions", _deletions, preview.deletions),
    Phase("manifests", untagged.collect, untagged.collect),
    Phase("links", _links, preview.links),
    Phase("blobs", _blobs, preview.blobs),
    Phase("objects", _objects, _objects_preview),
    Phase("orphans", orphans.collect, orphans.collect),
)
