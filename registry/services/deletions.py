"""The recycle bin's way in, and its end: what is deleted is kept for HARBORLITE_RESTORE_DAYS, and then it is gone.

    Deletion --< DeletedManifest     the bytes, tags and labels of an artifact and of what went with it
       |     --< DeletedBlob         what may not be collected meanwhile
       '----< TagMove                the whole history of a repository

Rows go in by a few statements, however many there are. The way out is services.restorations.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite.errors import NotFound
from projects.models import Project
from projects.services.deletions import deleted_projects_expire
from registry.models import DeletedBlob, DeletedManifest, Deletion, Repository, TagMove
from system import events

Reason = Deletion.Reason

# Of every family of manifests its root, which is no child and no accessory of another member, with its tags.
_ROOTS = """
    WITH given AS (
        SELECT id, family FROM unnest(%(ids)s::bigint[], %(families)s::int[]) AS given (id, family)
    ), child AS (
        SELECT DISTINCT reference.child_id AS id, given.family
        FROM given JOIN registry_manifestreference AS reference ON reference.manifest_id = given.id
        WHERE reference.child_id IS NOT NULL
    ), member AS (
        SELECT given.family, manifest.id, manifest.digest, manifest.accessory_of
        FROM given JOIN registry_manifest AS manifest ON manifest.id = given.id
    )
    SELECT DISTINCT ON (member.family) member.digest,
        ARRAY(SELECT name::text FROM registry_tag WHERE manifest_id = member.id ORDER BY name),
        member.family
    FROM member
    LEFT JOIN child ON child.id = member.id AND child.family = member.family
    LEFT JOIN member AS subject ON subject.family = member.family AND subject.digest = member.accessory_of
    ORDER BY member.family, child.id IS NOT NULL, subject.id IS NOT NULL, member.id DESC
"""
_KEEP_MANIFESTS = """
    INSERT INTO registry_deletedmanifest (deletion_id, digest, media_type, content, accessory_of, extra_attrs,
        pushed_by_id, pushed_at, pulled_at, tags, labels)
    SELECT going.deletion_id, manifest.digest, manifest.media_type, manifest.content, manifest.accessory_of,
        manifest.extra_attrs, manifest.pushed_by_id, manifest.pushed_at, manifest.pulled_at,
        coalesce((
            SELECT jsonb_agg(
                jsonb_build_object(
                    'name', tag.name, 'created_at', tag.created_at, 'moved_at', tag.moved_at,
                    'pulled_at', tag.pulled_at, 'expires_at', tag.expires_at
                ) ORDER BY tag.name
            )
            FROM registry_tag AS tag WHERE tag.manifest_id = manifest.id
        ), '[]'),
        coalesce((
            SELECT jsonb_agg(link.label_id ORDER BY link.label_id)
            FROM registry_manifestlabel AS link WHERE link.manifest_id = manifest.id
        ), '[]')
    FROM unnest(%(ids)s::bigint[], %(deletions)s::bigint[]) AS going (id, deletion_id)
    JOIN registry_manifest AS manifest ON manifest.id = going.id
    ORDER BY manifest.id
    ON CONFLICT (deletion_id, digest) DO UPDATE SET tags = registry_deletedmanifest.tags || EXCLUDED.tags
"""
_KEEP_BLOBS = """
    INSERT INTO registry_deletedblob (deletion_id, blob_id)
    SELECT DISTINCT going.deletion_id, link.blob_id
    FROM unnest(%(ids)s::bigint[], %(deletions)s::bigint[]) AS going (id, deletion_id)
    JOIN registry_manifestreference AS reference ON reference.manifest_id = going.id
    JOIN registry_repositoryblob AS link ON link.id = reference.link_id
    ON CONFLICT DO NOTHING
"""
# The deletion of every tag is a move too, later than all others.
_KEEP_MOVES = """
    WITH moved AS (
        INSERT INTO registry_tagmove (deletion_id, tag, from_digest, actor)
        SELECT %(deletion)s, tag.name, manifest.digest, %(actor)s
        FROM registry_tag AS tag JOIN registry_manifest AS manifest ON manifest.id = tag.manifest_id
        WHERE tag.repository_id = %(repository)s
        ORDER BY tag.name
    )
    UPDATE registry_tagmove SET repository_id = NULL, deletion_id = %(deletion)s WHERE repository_id = %(repository)s
"""
_COUNT = """
    UPDATE registry_deletion AS deletion
    SET artifact_count = (SELECT count(*) FROM registry_deletedmanifest WHERE deletion_id = deletion.id),
        size = coalesce((
            SELECT sum(octet_length(content)) FROM registry_deletedmanifest WHERE deletion_id = deletion.id
        ), 0) + coalesce((
            SELECT sum(blob.size)
            FROM registry_deletedblob AS kept JOIN registry_blob AS blob ON blob.id = kept.blob_id
            WHERE kept.deletion_id = deletion.id
        ), 0)
    WHERE id = ANY(%(deletions)s)
"""


def bin_manifests(
    *,
    repository_id: int,
    manifest_ids: Sequence[int],
    reason: str,
    username: str,
    families: Sequence[Sequence[int]] = (),
) -> Deletion | None:
    """The manifests, which the caller removes next, can be restored together, with their tags and labels.

    In the caller's transaction, which has locked them. `families`, of which together they consist, can be restored one
    by one. Returns the deletion, of several the last; None when there is no recycle bin or there are no manifests.
    """
    if not settings.RESTORE_DAYS or not manifest_ids:
        return None
    members = [(pk, number) for number, family in enumerate(families or [manifest_ids]) for pk in family]
    ids = [pk for pk, _ in members]
    repository = Repository.objects.get(pk=repository_id)
    with connection.cursor() as cursor:
        cursor.execute(_ROOTS, {"ids": ids, "families": [number for _, number in members]})
        found = cursor.fetchall()
    made = Deletion.objects.bulk_create(
        Deletion(
            kind=Deletion.Kind.ARTIFACT,
            project_id=repository.project_id,
            repository_id=repository.pk,
            repository=repository.name,
            digest=digest,
            reason=reason,
            username=username,
            tags=tags,
            expires_at=window_end(),
        )
        for digest, tags, _ in found
    )
    deletion_of = {family: deletion.pk for (_, _, family), deletion in zip(found, made, strict=True)}
    manifests_keep(manifest_ids=ids, deletion_ids=[deletion_of[number] for _, number in members])
    deletions_count(deletion_ids=list(deletion_of.values()))
    return made[-1] if made else None


def bin_repository(*, repository: Repository, username: str) -> Deletion | None:
    """A deletion of the whole repository, still empty; None when there is no recycle bin. In a transaction."""
    if not settings.RESTORE_DAYS:
        return None
    return Deletion.objects.create(
        kind=Deletion.Kind.REPOSITORY,
        project_id=repository.project_id,
        repository_id=repository.pk,
        repository=repository.name,
        username=username,
        facts={"names": sorted(repository.redirects.values_list("name", flat=True))},
        artifact_count=0,
        expires_at=window_end(),
    )


def bin_repository_end(*, deletion: Deletion, repository: Repository) -> None:
    """The deletion of the repository, whose last values these are, knows what it holds. In the same transaction."""
    deletions_count(deletion_ids=[deletion.pk])
    Deletion.objects.filter(pk=deletion.pk).update(
        repository=repository.name,
        facts={
            **deletion.facts,
            "description": repository.description,
            "pull_count": repository.pull_count,
            "created_at": repository.created_at.isoformat(),
        },
    )


def manifests_keep(*, manifest_ids: Sequence[int], deletion_ids: Sequence[int]) -> None:
    """The manifests, which the caller removes next, are in these deletions, one for each. In the same transaction."""
    values = {"ids": list(manifest_ids), "deletions": list(deletion_ids)}
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_MANIFESTS, values)
        cursor.execute(_KEEP_BLOBS, values)


def moves_keep(*, repository_id: int, deletion_id: int, username: str) -> None:
    """The history of the repository, all of whose tags are deleted next, is the deletion's. In the same transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_MOVES, {"repository": repository_id, "deletion": deletion_id, "actor": username})


def deletions_count(*, deletion_ids: Sequence[int]) -> None:
    """The deletions say how much they hold. In the transaction that changed it."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"deletions": list(deletion_ids)})


@retried
def deletion_purge(*, project: Project, deletion_id: int) -> None:
    """What was deleted can't be restored any more; its bytes are left for collection. NotFound when it is not there."""
    with transaction.atomic(durable=True):
        held = Deletion.objects.select_for_update().filter(pk=deletion_id, project_id=project.pk).first()
        if held is None:
            raise NotFound("there is no such deletion")
        deletions_remove(deletion_ids=[held.pk])
        name = f"{project.name}/{held.repository}" + (f"@{held.digest}" if held.digest else "")
        events.emit("purge", held.kind, name, project_id=project.pk, project=project.name)


@retried
def deletions_expire(limit: int) -> int:
    """Up to `limit` deletions whose time is over are gone, and such of projects; returns how many these were.

    What somebody is restoring in this moment stays until the next time.
    """
    with transaction.atomic(durable=True):
        over = Deletion.objects.filter(expires_at__lte=Now()).order_by("expires_at", "pk")
        ids = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        deletions_remove(deletion_ids=ids)
        return len(ids) + deleted_projects_expire(limit=limit)


def deletions_remove(*, deletion_ids: Sequence[int]) -> None:
    """The deletions are gone with all they kept. The caller has locked them, in a transaction."""
    for kind in (DeletedManifest, DeletedBlob, TagMove):
        kind.objects.filter(deletion__in=deletion_ids)._raw_delete("default")
    Deletion.objects.filter(pk__in=deletion_ids)._raw_delete("default")


def window_end() -> CombinedExpression:
    """Until when what is deleted now can be restored, by the database's clock."""
    return Now() + timedelta(days=settings.RESTORE_DAYS)
