"""The clerk with keys to the store: what integrity tests do to a server's bytes and rows behind its back.

A program like tests.clerk, for tests.integrity.conftest.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from tests.clerk import serve, service  # isort: skip - sets Django up for what follows

from registry import gc, scrub
from registry.blobstore import blobstore
from registry.models import Blob, RepositoryBlob, Tombstone, Upload
from registry.services import blobs
from system.jobs import rows
from system.models import Execution, Task


def _key(digest: str) -> str:
    return Blob.objects.values_list("storage_key", flat=True).get(digest=digest)


def _overwrite(key: str, content: bytes) -> None:
    blobstore().delete(key)
    blobstore().commit(key, blobstore().write(key, [], [content]))


@service
def corrupt(digest: str) -> None:
    """One bit of the blob's bytes is another."""
    with blobstore().open(_key(digest)) as stored:
        content = stored.readall() if hasattr(stored, "readall") else stored.read()
    _overwrite(_key(digest), bytes([content[0] ^ 1]) + content[1:])


@service
def truncate(digest: str) -> None:
    """The blob's last byte is missing."""
    with blobstore().open(_key(digest)) as stored:
        content = stored.readall() if hasattr(stored, "readall") else stored.read()
    _overwrite(_key(digest), content[:-1])


@service
def lose(digest: str) -> str:
    """The blob's bytes are gone; returns the key they had."""
    blobstore().delete(_key(digest))
    return _key(digest)


@service
def put(key: str, content: str) -> None:
    """Bytes under a key, which a row may name."""
    _overwrite(key, bytes.fromhex(content))


@service
def is_stored(key: str) -> bool:
    return blobstore().size(key) is not None


@service
def key_of(digest: str) -> str:
    return _key(digest)


@service
def quarantined() -> list[str]:
    return sorted(Blob.objects.exclude(quarantined_at=None).values_list("digest", flat=True))


@service
def collect(digest: str) -> str:
    """The blob, which nothing references, is collected and its bytes are due; returns the key they have."""
    with transaction.atomic(durable=True):
        blob = Blob.objects.get(digest=digest)
        blobs.links_remove(links=RepositoryBlob.objects.filter(blob=blob))
        Tombstone.objects.create(storage_key=blob.storage_key, not_before=Now())
        blob.delete()
    return blob.storage_key


@service
def sweep() -> None:
    """The bytes that are due are removed."""
    gc.sweep()


@service
def scrub_with_lost_worker() -> int:
    """A scrub that a worker has begun which will never be heard of again; returns its execution's id."""
    with transaction.atomic(durable=True):
        execution = scrub.scrub_start(is_all=True)
        Task.objects.filter(execution=execution).update(due_at=Now() - timedelta(seconds=10))  # before this began
        assert rows.claim("gc", "lost") is not None
    return execution.pk


@service
def status(execution_id: int) -> str:
    return Execution.objects.get(pk=execution_id).status


@service
def sessions() -> int:
    return Upload.objects.count()


if __name__ == "__main__":
    serve()
