"""Bytes: what the database says of the store, and what the store holds."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from django.db import connection
from django.db.models import Exists, OuterRef

from registry.blobstore import blobstore
from registry.fsck.violations import Violation
from registry.models import Blob, Tombstone, Upload
from registry.services import repairs
from registry.services.blobs import blob_problem
from registry.services.quarantine import blob_settle

BATCH = 1000  # rows or keys
THREADS = 8
FEW = 100
SHARE = 20
"""Of so many objects at most one is believed to be a stray, if there are more than FEW."""

# One statement: a key goes from an upload to a blob in one transaction, which must not come between two looks.
_UNNAMED = """
    SELECT key FROM unnest(%(keys)s::text[]) AS listed (key)
    WHERE NOT EXISTS (SELECT FROM registry_blob WHERE storage_key = key)
        AND NOT EXISTS (SELECT FROM registry_upload WHERE id = key::uuid)
        AND NOT EXISTS (SELECT FROM registry_tombstone WHERE storage_key = key)
"""
T = TypeVar("T")


def blobs(*, deep: bool) -> Iterator[Violation]:
    """With `deep` also those in quarantine are read, whose bytes may be right again."""
    rows = iter(Blob.objects.order_by("pk").iterator(BATCH))
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(rows, BATCH)):
            # No row is written or read in those threads.
            problems = pool.map(partial(_problem, deep=deep), batch)
            for blob, problem in zip(batch, problems, strict=True):
                if (blob.quarantined_at is not None or problem) and repairs.is_as_read(blob):
                    yield _blob(blob, problem, deep=deep)


def _problem(blob: Blob, *, deep: bool) -> str:
    return blob_problem(digest=blob.digest, size=blob.size, storage_key=blob.storage_key, deep=deep)


def _blob(blob: Blob, problem: str, *, deep: bool) -> Violation:
    if blob.quarantined_at is None:
        text = f"{problem}; push it again to repair it"
        hide = partial(blob_settle, storage_key=blob.storage_key, problem=problem)
        return Violation("blob", blob.digest, text, hide, needs_push=True)
    since = f"it is in quarantine since {blob.quarantined_at:%Y-%m-%d %H:%M} UTC"
    if problem:
        return Violation("blob", blob.digest, f"{since}: {problem}; push it again to repair it")
    if deep:
        mend = partial(blob_settle, storage_key=blob.storage_key, problem="")
        return Violation("blob", blob.digest, f"{since}, and its bytes are right", mend)
    return Violation("blob", blob.digest, f"{since}; push it again, or read it with --deep")


def uploads() -> Iterator[Violation]:
    for upload in Upload.objects.order_by("pk").iterator(BATCH):
        total = sum(part[1] for part in upload.parts)
        if total != upload.size:
            problem = f"its parts hold {total} bytes, it says {upload.size}"
            yield Violation("upload", upload.storage_key, problem, partial(repairs.upload_discard, upload=upload))


def tombstones() -> Iterator[Violation]:
    named = Blob.objects.filter(storage_key=OuterRef("storage_key"))
    for stone in Tombstone.objects.filter(Exists(named)).order_by("pk").iterator(BATCH):
        mend = partial(repairs.tombstone_remove, storage_key=stone.storage_key)
        yield Violation("tombstone", stone.storage_key, "a blob has these bytes, and they wait for their removal", mend)


def strays() -> Iterator[Violation]:
    """Told at the end, once it is known how many there are: too many are rather a sign of the wrong database."""
    objects, found = 0, dict[str, int]()
    for batch in _batches((entry.key, entry.size) for entry in blobstore().keys()):  # noqa: SIM118 - not a dict
        objects += len(batch)
        # A collection may have removed one with its tombstone since it was listed.
        unnamed = _unnamed(key for key, _ in batch)
        found |= {key: size for key, size in batch if key in unnamed and _is_there(key)}
    is_believed = len(found) <= max(FEW, objects // SHARE)
    for key, size in found.items():
        bury = partial(repairs.stray_bury, storage_key=key, size=size) if is_believed else None
        yield Violation("stray", key, "no blob, upload or tombstone names these bytes", bury)
    for keys in _batches(blobstore().uploads()):
        if left := _unnamed(keys):
            for key in sorted(left & set(blobstore().uploads())):
                mend = partial(repairs.parts_remove, storage_key=key)
                yield Violation("stray", key, "no upload or tombstone names these parts", mend)


def _is_there(key: str) -> bool:
    return blobstore().size(key) is not None


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _unnamed(keys: Iterable[str]) -> set[str]:
    """Those of `keys` that no row names."""
    with connection.cursor() as cursor:
        cursor.execute(_UNNAMED, {"keys": list(keys)})
        return {key for (key,) in cursor.fetchall()}
