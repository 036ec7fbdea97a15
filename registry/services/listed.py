"""Which manifests the lists of artifacts show, and how many a repository has: columns that follow from other rows.

A manifest is an accessory of its subject, or of the digest in a legacy cosign tag that it has. It is listed unless it
is an accessory, or an index lists it and it has no tag (Harbor). Lists then are a range of an index, and their length
is a column, however many artifacts there are.
"""

from collections.abc import Iterable

from django.db import connection

_HOLD = "SELECT FROM registry_repository WHERE id = %s FOR NO KEY UPDATE"
_FOUND = """
    SELECT manifest.id, manifest.is_listed AS was_listed, manifest.accessory_of AS was_of, subject.digest,
        subject.digest IS NULL AND (
            EXISTS (SELECT FROM registry_tag AS tag WHERE tag.manifest_id = manifest.id)
            OR NOT EXISTS (SELECT FROM registry_manifestreference AS parent WHERE parent.child_id = manifest.id)
        ) AS is_listed
    FROM registry_manifest AS manifest CROSS JOIN LATERAL (
        SELECT coalesce(manifest.subject_digest, nullif('sha256:' || substr(min(tag.name), 8, 64), manifest.digest))
        FROM registry_tag AS tag
        WHERE tag.manifest_id = manifest.id AND tag.name BETWEEN 'sha256-' AND 'sha256-g'
            AND tag.name ~ '^sha256-[0-9a-f]{64}[.](sig|att|sbom)$'
    ) AS subject (digest)
"""
# What is put together here are this module's own texts.
_SETTLE = f"""
    WITH found AS ({_FOUND} WHERE manifest.id = ANY (%(manifests)s)), settled AS (
        UPDATE registry_manifest AS manifest SET is_listed = found.is_listed, accessory_of = found.digest
        FROM found
        WHERE manifest.id = found.id
            AND (found.was_listed, found.was_of) IS DISTINCT FROM (found.is_listed, found.digest)
        RETURNING found.is_listed::int - found.was_listed::int AS change
    )
    UPDATE registry_repository
    SET updated_at = now(),
        artifact_count = artifact_count + %(change)s + (SELECT coalesce(sum(change), 0) FROM settled)
    WHERE id = %(repository)s
"""  # noqa: S608
_COUNT = """
    UPDATE registry_repository AS repository
    SET artifact_count = (SELECT count(*) FROM registry_manifest WHERE repository_id = repository.id AND is_listed)
    WHERE id = %s
"""
_UNSETTLED = f"""
    SELECT manifest.repository_id, manifest.digest, 'it is shown in lists as it should not be'
    FROM ({_FOUND}) AS found JOIN registry_manifest AS manifest ON manifest.id = found.id
    WHERE (found.was_listed, found.was_of) IS DISTINCT FROM (found.is_listed, found.digest)
    UNION ALL
    SELECT repository.id, project.name || '/' || repository.name,
        'it counts ' || artifact_count || ' artifacts and lists ' || listed
    FROM registry_repository AS repository
    JOIN projects_project AS project ON project.id = repository.project_id
    CROSS JOIN LATERAL (
        SELECT count(*) FROM registry_manifest WHERE repository_id = repository.id AND is_listed
    ) AS counted (listed)
    WHERE artifact_count <> listed
"""  # noqa: S608


def settle(*, repository_id: int, manifest_ids: Iterable[int], change: int = 0) -> None:
    """The columns of the manifests, which got or lost tags or indexes, are right again, and the repository's count.

    `change` is how many listed manifests the caller inserted, less those it deleted. The caller has a transaction, and
    takes no other lock of this repository after this: those who settle take turns from here to their commit, so that
    each sees what the others did.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [repository_id])
        # A statement of its own: its snapshot is later than the lock, and has what was committed before that.
        cursor.execute(_SETTLE, {"manifests": sorted(set(manifest_ids)), "change": change, "repository": repository_id})


def unsettled() -> list[tuple[int, str, str]]:
    """What is not as `settle` would make it: its repository's id, a manifest or a repository, and how it is.

    Reads all of them, in one statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNSETTLED)
        return [(repository, str(subject), str(problem)) for repository, subject, problem in cursor.fetchall()]


def resettle(*, repository_id: int) -> None:
    """All of the repository is as `settle` makes it, whatever it was. The caller has a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [repository_id])
        cursor.execute("SELECT id FROM registry_manifest WHERE repository_id = %s", [repository_id])
        manifests = [row[0] for row in cursor.fetchall()]
        cursor.execute(_SETTLE, {"manifests": manifests, "change": 0, "repository": repository_id})
        cursor.execute(_COUNT, [repository_id])
