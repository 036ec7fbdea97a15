"""Blobs: binding bytes to a digest, linking them to repositories, reading and unlinking them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite.database.base import release
from harborlite.errors import BlobUnknown, Unsupported
from projects.services import quotas
from registry.blobstore import NotThere, blobstore
from registry.models import Blob, ProjectBlob, RepositoryBlob, Tombstone
from registry.oci.digest import Digest
from registry.queries import FoundBlob
from registry.services.inserts import insert_if_absent
from registry.services.locks import hold
from registry.services.quarantine import blob_lost, blob_repaired

READ = 1 << 20  # bytes
ATTEMPTS = 5

# Waits for a transaction that is inserting the like, and for one that is deleting it; by blob, so that two that insert
# several don't wait for each other.
_HOLD = """
    INSERT INTO registry_projectblob (project_id, blob_id, size)
    SELECT repository.project_id, blob.id, blob.size
    FROM registry_repository AS repository, registry_blob AS blob
    WHERE repository.id = %s AND blob.id = ANY(%s)
    ORDER BY blob.id
    ON CONFLICT DO NOTHING
    RETURNING blob_id, id, size, project_id
"""


def blob_bind(*, digest: Digest, size: int, storage_key: str, instead_of: str | None = None) -> Blob | None:
    """The blob `digest` with its bytes under `storage_key`. The caller has a transaction.

    None when the digest has other bytes already; but when these are under the key `instead_of`, which the caller
    found to be missing from the store or quarantined, they are given up for the new ones.
    """
    row = Blob(digest=str(digest), size=size, storage_key=storage_key)
    row.pk = insert_if_absent(row)
    if row.pk is not None:
        return row
    blob = Blob.objects.select_for_update(no_key=True).filter(digest=row.digest).first()
    if blob is None or instead_of is None or blob.storage_key != instead_of:
        return None
    Tombstone.objects.create(storage_key=instead_of, not_before=Now())
    if blob.quarantined_at is not None:
        blob_repaired(blob=blob)
    blob.storage_key, blob.size = storage_key, size
    Blob.objects.filter(pk=blob.pk).update(storage_key=storage_key, size=size, checked_at=Now(), quarantined_at=None)
    return blob


def blobs_link(*, repository_id: int, blob_ids: Collection[int]) -> None:
    """The repository holds the blobs, for a whole lease from now, and its project is charged for those new to it.

    The caller has a transaction. QuotaExceeded when there is no room for them; BlobUnknown when one of them, or the
    repository, is gone.
    """
    holdings, charges = _holdings_ensure(repository_id, sorted(set(blob_ids)))
    RepositoryBlob.objects.bulk_create(
        [
            RepositoryBlob(repository_id=repository_id, blob_id=blob_id, holding_id=holding, leased_until=lease_end())
            for blob_id, holding in sorted(holdings.items())
        ],
        update_conflicts=True,
        unique_fields=["repository", "blob"],
        update_fields=["leased_until"],
    )
    for project_id, size in charges.items():
        quotas.quota_charge(project_id=project_id, delta=size)


def links_remove(*, links: QuerySet[RepositoryBlob]) -> int:
    """The repositories don't hold the blobs of `links` any more; their projects are released of those that none of
    their repositories holds. Returns how many links these were. The caller has a transaction.

    IntegrityError, at the latest when it commits, when a manifest references one. Not bound by any quota: what goes can
    always go.
    """
    found = dict(links.values_list("pk", "holding"))
    holdings = set(found.values())
    # Who links the blob in another repository of the project, or unlinks it there, is waited for: of two that remove
    # the last two links, one sees that nothing is left.
    list(ProjectBlob.objects.select_for_update().filter(pk__in=holdings).order_by("pk").values_list("pk"))
    # By one statement each: Django's own delete would fetch every row to look for others.
    removed = RepositoryBlob.objects.filter(pk__in=found)._raw_delete("default")
    left = RepositoryBlob.objects.filter(holding=OuterRef("pk"))
    orphans = list(ProjectBlob.objects.filter(~Exists(left), pk__in=holdings))
    ProjectBlob.objects.filter(pk__in=[orphan.pk for orphan in orphans])._raw_delete("default")
    released = Counter[int]()
    for orphan in orphans:
        released[orphan.project_id] += orphan.size
    for project_id, size in released.items():
        quotas.quota_charge(project_id=project_id, delta=-size)
    return removed


def lease_renew(*, found: FoundBlob) -> None:
    """At least half a lease is left: to be called before an answer that lets a client skip an upload.

    Written only when less than half is left, so that reads of popular layers don't rewrite their rows. BlobUnknown
    when the blob was collected in this moment.
    """
    if found.is_lease_short and not RepositoryBlob.objects.filter(pk=found.link_id).update(leased_until=lease_end()):
        raise BlobUnknown()


@retried
def blob_mount(*, repository_id: int, blob_id: int) -> bool:
    """The blob is linked to the repository too, with a lease of its own; False if it went away in this moment."""
    try:
        with transaction.atomic(durable=True):
            blobs_link(repository_id=repository_id, blob_ids=[blob_id])
    except (BlobUnknown, IntegrityError):
        return False
    return True


def blob_open(*, storage_key: str, start: int, length: int) -> BinaryIO:
    """The bytes from `start` on, to be closed by the caller. BlobUnknown when the store lost them."""
    try:
        return blobstore().open(storage_key, start, length)
    except NotThere:
        raise BlobUnknown("the blob's bytes are missing from storage; push it again to repair it") from None


def blob_send(*, storage_key: str, start: int, length: int) -> BinaryIO:
    """As `blob_open`, for a client. No transaction is open.

    When the store lost the bytes, the blob is quarantined: else clients that push it would be told that it is there.
    """
    try:
        return blob_open(storage_key=storage_key, start=start, length=length)
    except BlobUnknown:
        blob_lost(storage_key=storage_key)
        raise


def blob_read(*, storage_key: str, size: int) -> bytes:
    """All `size` bytes, for small blobs. No transaction is open. BlobUnknown when the store lost them."""
    release()
    with closing(blob_open(storage_key=storage_key, start=0, length=size)) as stored:
        return b"".join(iter(lambda: stored.read(READ), b""))


def blob_digest(*, storage_key: str, algorithm: str, pace: Callable[[int], None] = lambda _: None) -> Digest:
    """The digest of the stored bytes, all of which are read; NotThere when there are none.

    `pace` is told how many were read, each time, and may take its time.
    """
    with blobstore().open(storage_key) as stored:
        return Digest.of_pieces(_paced(iter(lambda: stored.read(READ), b""), pace), algorithm)


def _paced(pieces: Iterable[bytes], pace: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        pace(len(piece))


def store_check() -> None:
    """The store took a write just now; Unavailable, StorageFull when it did not."""
    blobstore().check()


def blob_problem(
    *, digest: str, size: int, storage_key: str, deep: bool = True, pace: Callable[[int], None] = lambda _: None
) -> str:
    """What is wrong with the stored bytes of a blob; empty when nothing is.

    With `deep` they are read, at this pace, not only measured. Unavailable when the store does not answer. Asks no
    database.
    """
    stored = blobstore().size(storage_key)
    if stored is None:
        return "its bytes are not stored"
    if stored != size:
        return f"{stored} bytes are stored, it has {size}"
    if not deep:
        return ""
    try:
        found = blob_digest(storage_key=storage_key, algorithm=Digest.parse(digest).algorithm, pace=pace)
    except NotThere:
        return "its bytes are not stored"
    except OSError as error:
        return f"its bytes can't be read: {error.strerror}"
    return "" if str(found) == digest else f"the stored bytes have the digest {found}"


def blob_location(*, storage_key: str) -> str | None:
    """An address where the client can fetch the bytes itself, for a while; None when we send them."""
    return blobstore().url(storage_key)


@retried
def blob_unlink(*, repository_id: int, digest: Digest) -> None:
    """The repository no longer holds the blob. BlobUnknown when it did not, Unsupported when a manifest needs it."""
    refused = Unsupported("a manifest of this repository references the blob; delete the manifest first")
    try:
        with transaction.atomic(durable=True):
            links = RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest=str(digest))
            if not links_remove(links=links):
                raise BlobUnknown()
    except IntegrityError:
        raise refused from None


def _holdings_ensure(repository_id: int, blob_ids: list[int]) -> tuple[dict[int, int], dict[int, int]]:
    """The ProjectBlob of each blob in the repository's project, which nobody removes before the transaction ends; and
    how many bytes were new to the project, by its id.
    """
    there = ProjectBlob.objects.filter(project__repositories=repository_id).values_list("blob", "pk")
    holdings: dict[int, int] = {}
    charges = Counter[int]()
    for _ in range(ATTEMPTS):
        with connection.cursor() as cursor:
            cursor.execute(_HOLD, [repository_id, [pk for pk in blob_ids if pk not in holdings]])
            for blob_id, pk, size, project_id in cursor.fetchall():
                holdings[blob_id] = pk
                charges[project_id] += size
        if missing := [pk for pk in blob_ids if pk not in holdings]:
            holdings |= dict(hold(there.filter(blob__in=missing)))
        if len(holdings) == len(blob_ids):
            return holdings, charges
        # What was there at the first statement was removed before the second.
    raise BlobUnknown()


def lease_end() -> CombinedExpression:
    """When a lease is over that begins now, by the database's clock."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
