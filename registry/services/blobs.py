"""Blobs: binding bytes to a digest, linking them to repositories, reading and unlinking them."""

from datetime import timedelta
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from harborlite.errors import BlobUnknown, Unsupported
from registry.blobstore import NotThere, blobstore
from registry.models import Blob, ManifestReference, RepositoryBlob, Tombstone
from registry.oci.digest import Digest
from registry.queries import FoundBlob
from registry.services.inserts import insert_if_absent

READ = 1 << 20  # bytes


def blob_bind(*, digest: Digest, size: int, storage_key: str, instead_of: str | None = None) -> Blob | None:
    """The blob `digest` with its bytes under `storage_key`. The caller has a transaction.

    None when the digest has other bytes already; but when these are under the key `instead_of`, which the caller
    found to be missing from the store, they are given up for the new ones.
    """
    row = Blob(digest=str(digest), size=size, storage_key=storage_key)
    row.pk = insert_if_absent(row)
    if row.pk is not None:
        return row
    blob = Blob.objects.select_for_update(no_key=True).filter(digest=row.digest).first()
    if blob is None or instead_of is None or blob.storage_key != instead_of:
        return None
    Tombstone.objects.create(storage_key=instead_of, not_before=Now())
    blob.storage_key, blob.size = storage_key, size
    blob.save(update_fields=["storage_key", "size"])
    return blob


def blob_link(*, repository_id: int, blob_id: int) -> None:
    """The repository holds the blob, for a whole lease from now. The caller has a transaction."""
    RepositoryBlob.objects.bulk_create(
        [RepositoryBlob(repository_id=repository_id, blob_id=blob_id, leased_until=_lease_end())],
        update_conflicts=True,
        unique_fields=["repository", "blob"],
        update_fields=["leased_until"],
    )


def lease_renew(*, found: FoundBlob) -> None:
    """At least half a lease is left: to be called before an answer that lets a client skip an upload.

    Written only when less than half is left, so that reads of popular layers don't rewrite their rows. BlobUnknown
    when the blob was collected in this moment.
    """
    if found.is_lease_short and not RepositoryBlob.objects.filter(pk=found.link_id).update(leased_until=_lease_end()):
        raise BlobUnknown()


def blob_mount(*, repository_id: int, digest: Digest, blob_id: int) -> None:
    """The blob is linked to the repository too, with a lease of its own; BlobUnknown if it went away."""
    try:
        with transaction.atomic(durable=True):
            blob_link(repository_id=repository_id, blob_id=blob_id)
    except IntegrityError:
        raise BlobUnknown(detail={"digest": str(digest)}) from None


def blob_open(*, storage_key: str, start: int, length: int) -> BinaryIO:
    """The bytes from `start` on, to be closed by the caller. BlobUnknown when the store lost them."""
    try:
        return blobstore().open(storage_key, start, length)
    except NotThere:
        raise BlobUnknown("the blob's bytes are missing from storage; push it again to repair it") from None


def blob_digest(*, storage_key: str, algorithm: str) -> Digest:
    """The digest of the stored bytes, all of which are read; NotThere when there are none."""
    with blobstore().open(storage_key) as stored:
        return Digest.of_pieces(iter(lambda: stored.read(READ), b""), algorithm)


def blob_location(*, storage_key: str) -> str | None:
    """An address where the client can fetch the bytes itself, for a while; None when we send them."""
    return blobstore().url(storage_key)


def blob_unlink(*, repository_id: int, digest: Digest) -> None:
    """The repository no longer holds the blob. BlobUnknown when it did not, Unsupported when a manifest needs it."""
    refused = Unsupported("a manifest of this repository references the blob; delete the manifest first")
    try:
        with transaction.atomic(durable=True):
            link = (
                RepositoryBlob.objects.select_for_update(of=("self",))
                .filter(repository_id=repository_id, blob__digest=str(digest))
                .first()
            )
            if link is None:
                raise BlobUnknown()
            if ManifestReference.objects.filter(link=link).exists():
                raise refused
            RepositoryBlob.objects.filter(pk=link.pk).delete()
    except IntegrityError:  # a manifest was pushed meanwhile
        raise refused from None


def _lease_end() -> CombinedExpression:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
