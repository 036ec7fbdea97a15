"""Repairs of rows that a check found wrong (registry.fsck), each looked at once more under its lock.

Every function says what it did; nothing, in an empty text, when the row is as it must be by now.
"""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from harborlite import generations
from harborlite.errors import HarborliteError
from projects.services import quotas
from registry.models import Blob, Manifest, ProjectBlob, RepositoryBlob, Tag, TagMove, Tombstone, Upload
from registry.services import listed, manifests, uploads
from system.jobs import rows
from system.models import Execution, Status, Task

ACTOR = "fsck"
_HOLD = """
    INSERT INTO registry_projectblob (project_id, blob_id, size)
    SELECT repository.project_id, blob.id, blob.size
    FROM registry_repositoryblob AS link
    JOIN registry_repository AS repository ON repository.id = link.repository_id
    JOIN registry_blob AS blob ON blob.id = link.blob_id
    WHERE link.id = %(link)s
    ON CONFLICT DO NOTHING
"""
_RELINK = """
    UPDATE registry_repositoryblob AS link SET holding_id = holding.id
    FROM registry_repository AS repository, registry_projectblob AS holding
    WHERE link.id = %(link)s AND repository.id = link.repository_id
        AND holding.project_id = repository.project_id AND holding.blob_id = link.blob_id
        AND link.holding_id <> holding.id
"""
_WRONG = """
    SELECT coalesce((SELECT sum(size) FROM registry_projectblob WHERE project_id = %(project)s), 0)
        - folded - coalesce((SELECT sum(delta) FROM projects_quotaentry WHERE project_id = %(project)s), 0)
    FROM projects_quota WHERE project_id = %(project)s
"""


def is_as_read(blob: Blob) -> bool:
    """The blob has the bytes and the quarantine it had when it was read. One query."""
    same = Blob.objects.filter(storage_key=blob.storage_key, quarantined_at=blob.quarantined_at)
    return same.filter(pk=blob.pk).exists()


def upload_discard(*, upload: Upload) -> str:
    """The session is gone."""
    uploads.upload_cancel(upload=upload)
    return "the session is discarded"


def tombstone_remove(*, storage_key: str) -> str:
    """The bytes don't wait for their removal any more, if a blob has them."""
    with transaction.atomic(durable=True):
        if not Blob.objects.filter(storage_key=storage_key).exists():
            return ""
        return "kept" if Tombstone.objects.filter(storage_key=storage_key).delete()[0] else ""


def stray_bury(*, storage_key: str, size: int) -> str:
    """The bytes, which no row named, are removed after the time that is right for collected blobs."""
    due = Now() + timedelta(seconds=settings.TOMBSTONE_SECONDS)
    Tombstone.objects.bulk_create(
        [Tombstone(storage_key=storage_key, not_before=due, size=size)], ignore_conflicts=True
    )
    return f"to be removed in {settings.TOMBSTONE_SECONDS} s"


def parts_remove(*, storage_key: str) -> str:
    """The parts, whose upload is over, are gone."""
    uploads.parts_remove(storage_key=storage_key)
    return "removed"


def references_mend(*, manifest_id: int) -> str:
    """The manifest's references are those that its bytes name; nothing when the repository lacks one of these."""
    try:
        with transaction.atomic(durable=True):
            return "its references are made anew" if manifests.references_remake(manifest_id=manifest_id) else ""
    except HarborliteError:
        return ""


def tag_mend(*, tag_id: int) -> str:
    """The tag points at a manifest of its own repository: at the same one, or else it is gone."""
    with transaction.atomic(durable=True):
        tag = Tag.objects.select_for_update(of=("self",)).filter(pk=tag_id).first()
        if tag is None or tag.manifest.repository_id == tag.repository_id:
            return ""
        digest = tag.manifest.digest
        own = Manifest.objects.filter(repository=tag.repository_id, digest=digest).only("pk").first()
        if own is not None:
            Tag.objects.filter(pk=tag.pk).update(manifest=own)
        else:
            tag.delete()
            _moved(tag.repository_id, tag.name, digest, None)
        generations.bump_on_commit("repository", tag.repository_id)
    return "it points at its own repository's" if own is not None else "the tag is deleted"


def history_mend(*, repository_id: int, name: str) -> str:
    """The last move of the tag went where the tag is now."""
    with transaction.atomic(durable=True):
        tag = Tag.objects.select_for_update(of=("self",)).filter(repository=repository_id, name=name).first()
        last = TagMove.objects.filter(repository=repository_id, tag=name).order_by("pk").last()
        there, told = tag.manifest.digest if tag else None, last.to_digest if last else None
        if there == told:
            return ""
        _moved(repository_id, name, told, there)
    return "the move is added"


def _moved(repository_id: int, name: str, before: str | None, after: str | None) -> None:
    TagMove.objects.create(repository_id=repository_id, tag=name, from_digest=before, to_digest=after, actor=ACTOR)


def lists_mend(*, repository_id: int) -> str:
    """Lists show what they should of the repository, and it counts what they show."""
    with transaction.atomic(durable=True):
        listed.resettle(repository_id=repository_id)
        generations.bump_on_commit("repository", repository_id)
    return "listed and counted anew"


def link_mend(*, link_id: int) -> str:
    """The repository's link stands on what its own project is charged."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_HOLD, {"link": link_id})
        cursor.execute(_RELINK, {"link": link_id})
        return "its own project is charged" if cursor.rowcount else ""


def holding_mend(*, holding_id: int) -> str:
    """The project holds the blob with its size, or not at all when no repository links it. See `quota_mend`."""
    with transaction.atomic(durable=True):
        holding = ProjectBlob.objects.select_for_update(of=("self",)).filter(pk=holding_id).first()
        if holding is None:
            return ""
        if not RepositoryBlob.objects.filter(holding=holding).exists():
            holding.delete()
            return "no longer held"
        sizes = ProjectBlob.objects.filter(pk=holding.pk).exclude(size=F("blob__size"))
        return "its size is corrected" if sizes.update(size=Blob.objects.get(pk=holding.blob_id).size) else ""


def quota_mend(*, project_id: int) -> str:
    """The project is charged for what it holds."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # One snapshot: a push charges and holds in one transaction, so it sees both or neither.
        cursor.execute(_WRONG, {"project": project_id})
        row = cursor.fetchone()
        wrong = int(row[0]) if row else 0
        if wrong:
            quotas.quota_correct(project_id=project_id, delta=wrong)
    return f"corrected by {wrong:+} bytes" if wrong else ""


def quota_make(*, project_id: int) -> str:
    """The project has a quota."""
    with transaction.atomic(durable=True):
        return "it has the usual one" if quotas.quota_ensure(project_id=project_id) else ""


def tasks_reap() -> None:
    """Tasks whose workers have let their leases run out are there for others."""
    while rows.reap():
        pass


def task_reap(*, task_id: int) -> str:
    """The task is there for another worker."""
    tasks_reap()
    running = Task.objects.filter(pk=task_id, status=Status.RUNNING)
    return "" if running.exists() else "given to another worker"


def execution_end(*, execution_id: int) -> str:
    """The execution has ended as its tasks did, all of which have."""
    with transaction.atomic(durable=True):
        execution = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id, ended_at=None).first()
        if execution is not None:
            rows.end_if_done(execution)
    return "ended" if execution is not None and execution.ended_at is not None else ""
