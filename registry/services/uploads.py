"""Upload sessions: start, append, finish, cancel, and the sweep of what was left behind.

    row                 bytes (registry.blobstore)              acknowledged to the client
    upload_start        -                                       202, nothing stored
    upload_append       a new durable part under the key        offset, after the row names the part
    upload_finish       the key readable as one object          201, after blob, link and lease are committed

No transaction and no database connection is held while bytes move. Several writers of one session can't hurt each
other: each writes parts of its own, and the row takes the parts of the one whose `version` it still has.
"""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite.database.base import release
from harborlite.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    NameUnknown,
    QuotaExceeded,
    RangeInvalid,
    RequestTimeout,
    SizeInvalid,
    TooManyRequests,
)
from harborlite.faults import fault
from harborlite.http import Disconnected
from registry.blobstore import NotThere, Part, blobstore
from registry.models import Blob, Tombstone, Upload
from registry.oci.digest import Digest, Hasher
from registry.quota import Room
from registry.services import blobs

SWEEP = 500  # rows a batch


@dataclass
class Content:
    """Bytes on their way in. `start` is where the client says they continue, `length` how many it says they are."""

    chunks: Iterable[bytes]
    start: int | None = None
    length: int | None = None
    cut: Exception | None = field(default=None, init=False)
    """Why the stream ended early, if it did; what had arrived is kept, so the client can resume."""

    def hashed(self, hasher: Hasher, held: int, room: Room | None) -> Iterator[bytes]:
        """The bytes, each of which `hasher` has seen, behind `held` others; QuotaExceeded when they are too many."""
        try:
            for chunk in self.chunks:
                held += len(chunk)
                if room is not None:
                    room.admit(held)
                hasher.update(chunk)
                yield chunk
        except (Disconnected, RequestTimeout) as error:
            self.cut = error


def upload_start(*, repository_id: int, actor: str, algorithm: str = "sha256") -> Upload:
    """A new session in the repository. TooManyRequests when `actor` has too many open ones.

    NameUnknown when the repository was deleted in this moment.
    """
    limit = settings.UPLOADS_PER_ACTOR
    if Upload.objects.filter(actor=actor)[:limit].count() >= limit:
        raise TooManyRequests(f"{limit} uploads are open for this account; finish or cancel some first")
    try:
        upload = Upload.objects.create(id=uuid.uuid4(), repository_id=repository_id, actor=actor, algorithm=algorithm)
    except IntegrityError:
        raise NameUnknown() from None
    fault("upload.after_session_row")
    return upload


def upload_get(*, repository_id: int | None, upload_id: uuid.UUID) -> Upload:
    """The session, if it is this repository's; BlobUploadUnknown otherwise."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None or upload.repository_id != repository_id:
        raise BlobUploadUnknown()
    return upload


def upload_append(*, upload: Upload, content: Content, room: Room | None = None) -> Upload:
    """`content` is durable behind what the session had, and the session's size says so.

    RangeInvalid (416) when it does not continue the session or another request did first, SizeInvalid when it is not
    as long as announced, Disconnected when the client went away: then what had arrived is kept. QuotaExceeded when no
    blob of that size has a place in `room`: then the session is gone.
    """
    with _refused_is_over(upload):
        hasher = _write(upload, content, room)
    fault("upload.after_write_before_offset")
    _save(upload, hasher)
    if content.cut is not None:
        raise content.cut
    return upload


def upload_finish(*, upload: Upload, digest: Digest, content: Content | None, room: Room | None = None) -> None:
    """The session's bytes (and `content`, when given, behind them) are the blob `digest` of its repository, leased.

    DigestInvalid when they are not, QuotaExceeded when there is no room for them: then the session is gone.
    RangeInvalid, SizeInvalid and Disconnected as for `upload_append`: then the session is as before.

    The session is sealed first: whoever finishes it, also after a crash, commits the same parts under its key. Else
    two requests that finish one session with different bytes could bind the digest of one to the bytes of the other.
    """
    with _refused_is_over(upload):
        _finish(upload, digest, content, room)


def upload_cancel(*, upload: Upload) -> None:
    """The session is gone; its bytes go with the next sweep."""
    _discard(upload)


def uploads_stale() -> QuerySet[Upload]:
    """Sessions idle or open for too long."""
    idle = Q(progressed_at__lt=Now() - timedelta(seconds=settings.UPLOAD_IDLE_SECONDS))
    return Upload.objects.filter(idle | Q(started_at__lt=Now() - timedelta(seconds=settings.UPLOAD_MAX_SECONDS)))


def uploads_purge(*, now: bool = False) -> int:
    """Stale sessions are gone (all, with `now`); returns how many. Their bytes go with the sweep."""
    purged = 0
    while batch := list((Upload.objects.all() if now else uploads_stale()).order_by("pk")[:SWEEP]):
        for upload in batch:
            _discard(upload)
        purged += len(batch)
    return purged


def parts_remove(*, storage_key: str) -> None:
    """Nothing is left of the parts of an upload that is over. Does not touch a blob."""
    blobstore().abort(storage_key)


def _finish(upload: Upload, digest: Digest, content: Content | None, room: Room | None) -> None:
    if upload.is_sealed and _hasher(upload).digest() == digest:
        content = None  # the request that sealed it is sent once more: all its bytes are here
    hasher = _hasher(upload) if content is None else _write(upload, content, room)
    if content is not None and content.cut is not None:
        raise content.cut
    if room is not None:
        room.admit(upload.size)
    if not upload.is_sealed:
        _save(upload, hasher, is_sealed=True)
    release()
    is_committed = digest.algorithm != upload.algorithm
    if is_committed:
        _commit(upload)
    computed = _digest_of_stored(upload, digest.algorithm) if is_committed else hasher.digest()
    if computed != digest:
        _discard(upload)
        raise DigestInvalid(detail={"provided": str(digest), "computed": str(computed)})
    fault("commit.after_hash")
    while True:
        existing = Blob.objects.filter(digest=str(digest)).first()
        is_sound = (
            existing is not None
            and existing.quarantined_at is None
            and blobstore().size(existing.storage_key) == existing.size
        )
        if not is_sound and not is_committed:
            release()
            _commit(upload)
            is_committed = True
        if _record(upload, digest, existing, is_sound=is_sound):
            fault("commit.after_db_commit_before_response")
            return


def _save(upload: Upload, hasher: Hasher, *, is_sealed: bool = False) -> None:
    """The row says what `upload` says in memory, if it is still as it was read.

    RangeInvalid when it is not, BlobUploadUnknown when it is gone.
    """
    upload.hash_state = hasher.state()
    changed = Upload.objects.filter(pk=upload.pk, version=upload.version).update(
        size=upload.size,
        parts=upload.parts,
        hash_state=upload.hash_state,
        is_sealed=is_sealed,
        version=upload.version + 1,
        progressed_at=Now(),
    )
    if not changed:  # another request had the session meanwhile; what we wrote is swept
        if Upload.objects.filter(pk=upload.pk).exists():
            raise RangeInvalid("another request continued this upload meanwhile; ask for its status")
        raise BlobUploadUnknown()
    upload.version += 1
    upload.is_sealed = is_sealed


def _hasher(upload: Upload) -> Hasher:
    if upload.hash_state is None:
        return Hasher(upload.algorithm)
    try:
        return Hasher.resume(upload.algorithm, bytes(upload.hash_state))
    except ValueError:  # written by another version of the library: the client starts anew
        raise BlobUploadUnknown("the upload can't be continued after an upgrade; start it again") from None


def _write(upload: Upload, content: Content, room: Room | None) -> Hasher:
    """Writes `content` durably and sets `upload.size` and `.parts` in memory; the hasher has seen all of it.

    QuotaExceeded, before anything is read when its length was announced, when it is more than has a place in `room`.
    """
    if content.start is not None and content.start != upload.size:
        raise RangeInvalid(f"the next byte of this upload is {upload.size}", detail={"next": upload.size})
    if upload.is_sealed:
        raise RangeInvalid("the upload is being finished; nothing can be added")
    hasher = _hasher(upload)
    if room is not None:
        room.admit(upload.size + (content.length or 0))
    release()
    with _gone_is_unknown():
        after = blobstore().write(upload.storage_key, _parts(upload), content.hashed(hasher, upload.size, room))
    received = sum(part.size for part in after) - upload.size
    if content.length is not None and content.cut is None and received != content.length:
        raise SizeInvalid(f"{content.length} bytes were announced, {received} arrived")
    upload.size += received
    upload.parts = [part.to_json() for part in after]
    return hasher


def _parts(upload: Upload) -> list[Part]:
    return [Part.from_json(part) for part in upload.parts]


def _commit(upload: Upload) -> None:
    with _gone_is_unknown():
        blobstore().commit(upload.storage_key, _parts(upload))


@contextmanager
def _gone_is_unknown() -> Iterator[None]:
    """Bytes that are gone mean that the session was ended meanwhile, and swept."""
    try:
        yield
    except NotThere:
        raise BlobUploadUnknown() from None


@contextmanager
def _refused_is_over(upload: Upload) -> Iterator[None]:
    """What a quota has no room for is given up at once: it would only fill the disk."""
    try:
        yield
    except QuotaExceeded:
        _discard(upload)
        raise


def _digest_of_stored(upload: Upload, algorithm: str) -> Digest:
    """The digest of the committed bytes in another algorithm than they were hashed in on their way in."""
    with _gone_is_unknown():
        return blobs.blob_digest(storage_key=upload.storage_key, algorithm=algorithm)


@retried
def _record(upload: Upload, digest: Digest, existing: Blob | None, *, is_sound: bool) -> bool:
    """One transaction: blob, link and lease; the session gone, superfluous bytes under a tombstone.

    False, with nothing changed, when the blob's row is no longer what the caller saw.
    """
    key = upload.storage_key
    with transaction.atomic(durable=True):
        if not Upload.objects.filter(pk=upload.pk).delete()[0]:
            raise BlobUploadUnknown()
        if existing is not None and is_sound:
            sound = Blob.objects.filter(pk=existing.pk, storage_key=existing.storage_key, quarantined_at=None)
            blob = sound.select_for_update(no_key=True).first()
            Tombstone.objects.create(storage_key=key, not_before=Now())
        else:
            lost = existing.storage_key if existing else None
            blob = blobs.blob_bind(digest=digest, size=upload.size, storage_key=key, instead_of=lost)
        if blob is None:
            transaction.set_rollback(True)
            return False
        blobs.blobs_link(repository_id=upload.repository_id, blob_ids=[blob.pk])
        fault("commit.before_db_commit")
    return True


def _discard(upload: Upload) -> None:
    with transaction.atomic(durable=True):
        if Upload.objects.filter(pk=upload.pk).delete()[0]:
            Tombstone.objects.create(storage_key=upload.storage_key, not_before=Now())
