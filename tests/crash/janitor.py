"""The clerk with a broom: what crash tests ask a server's database and store, beside what the clerk answers.

A program like tests.clerk, for tests.crash.scene.
"""

from django.db.models.functions import Now

from tests.clerk import serve, service  # isort: skip - sets Django up for what follows

from registry import gc
from registry.blobstore import blobstore
from registry.models import Blob, Repository, Tombstone, Upload
from registry.services import uploads


@service
def tidy() -> None:
    """Every upload session is discarded, and the bytes that are due are removed."""
    uploads.uploads_purge(now=True)
    sweep()


@service
def sweep() -> None:
    """The bytes that are due are removed."""
    gc.sweep()
    gc.sweep_parts()


@service
def leftovers() -> list[str]:
    """What is there and stands for nothing that a client was told of: bytes, sessions, tombstones that are due."""
    stored = {entry.key for entry in blobstore().keys()}  # noqa: SIM118 - not a dict
    return sorted(
        [
            *(f"bytes {key}" for key in stored - set(Blob.objects.values_list("storage_key", flat=True))),
            *(f"parts {key}" for key in blobstore().uploads()),
            *(f"session {upload.storage_key}" for upload in Upload.objects.all()),
            *(f"tombstone {stone.storage_key}" for stone in Tombstone.objects.filter(not_before__lte=Now())),
        ]
    )


@service
def blob_rows(digest: str) -> int:
    return Blob.objects.filter(digest=digest).count()


@service
def repository_rows(name: str) -> int:
    project, _, path = name.partition("/")
    return Repository.objects.filter(project__name=project, name=path).count()


if __name__ == "__main__":
    serve()
