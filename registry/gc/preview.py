"""What a collection would do now, in exact numbers: the same decisions as in `rows`, taken as if all phases before had
been gone through. Writes nothing.
"""

from collections.abc import Callable, Sequence

from django.conf import settings
from django.db.models import Sum
from django.db.models.functions import Now

from projects.models import DeletedProject
from registry.gc.collection import Collection, Counts, Found
from registry.gc.rows import find
from registry.models import Blob, Deletion

# A link is of use while its lease lives, or a manifest needs it that would not go. What is put together here are this
# module's own texts.
_OF_USE = """(
    link.leased_until >= now() OR EXISTS (
        SELECT FROM registry_manifestreference AS reference
        WHERE reference.link_id = link.id AND NOT reference.manifest_id = ANY(%(doomed)s::bigint[])
    )
)"""
_LINKS = f"""
    WITH link AS MATERIALIZED (
        SELECT id, leased_until FROM registry_repositoryblob WHERE id > %(after)s ORDER BY id LIMIT %(look)s
    )
    SELECT ARRAY(SELECT id FROM link WHERE NOT {_OF_USE} ORDER BY id), max(id), count(*) FROM link
"""  # noqa: S608
_BLOBS = f"""
    WITH blob AS MATERIALIZED (SELECT id FROM registry_blob WHERE id > %(after)s ORDER BY id LIMIT %(look)s)
    SELECT ARRAY(
        SELECT id FROM blob
        WHERE NOT EXISTS (SELECT FROM registry_repositoryblob AS link WHERE link.blob_id = blob.id AND {_OF_USE})
            AND NOT EXISTS (
                SELECT FROM registry_deletedblob AS held
                JOIN registry_deletion AS deletion ON deletion.id = held.deletion_id
                WHERE held.blob_id = blob.id AND deletion.expires_at > now()
            )
        ORDER BY id
    ), max(id), count(*) FROM blob
"""  # noqa: S608


def deletions(collection: Collection) -> None:
    """What can't be restored any more."""
    over = {"expires_at__lte": Now()}
    collection.note(deletions=Deletion.objects.filter(**over).count() + DeletedProject.objects.filter(**over).count())


def links(collection: Collection) -> None:
    """Also those that only manifests need which would go."""
    collection.walk(_finder(_LINKS, collection.doomed), lambda ids: {"links": len(ids)})


def blobs(collection: Collection) -> None:
    """Those of manifests that would go are kept for their restoration, if there is a recycle bin."""
    doomed = set() if settings.RESTORE_DAYS else collection.doomed
    collection.walk(_finder(_BLOBS, doomed), _freed)


def _finder(statement: str, doomed: set[int]) -> Callable[[int], Found]:
    array = f"{{{','.join(map(str, sorted(doomed)))}}}"
    return lambda after: find(statement, after, doomed=array)


def _freed(ids: Sequence[int]) -> Counts:
    size = Blob.objects.filter(pk__in=ids).aggregate(sum=Sum("size"))["sum"]
    return {"blobs": len(ids), "freed_bytes": int(size or 0)}
