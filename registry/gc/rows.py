"""Links and blobs that nothing needs, found and removed.

Locks are taken in the order in which pushes take them, first what a project holds, then its links; and they are never
waited for. `now()` is when the transaction began: no lease that was renewed since is over by it.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from registry.gc.collection import Counts, Found
from registry.models import RepositoryBlob
from registry.services import blobs

LOOK = 10_000  # rows a query

_UNREFERENCED = "NOT EXISTS (SELECT FROM registry_manifestreference WHERE link_id = link.id)"
_UNUSED = """
    NOT EXISTS (SELECT FROM registry_repositoryblob WHERE blob_id = blob.id)
    AND NOT EXISTS (SELECT FROM registry_projectblob WHERE blob_id = blob.id)
    AND NOT EXISTS (SELECT FROM registry_deletedblob WHERE blob_id = blob.id)
"""
# What is put together here are this module's own texts.
_FIND_LINKS = f"""
    WITH link AS MATERIALIZED (
        SELECT id, leased_until FROM registry_repositoryblob WHERE id > %(after)s ORDER BY id LIMIT %(look)s
    )
    SELECT ARRAY(SELECT id FROM link WHERE leased_until < now() AND {_UNREFERENCED} ORDER BY id), max(id), count(*)
    FROM link
"""  # noqa: S608
_FIND_BLOBS = f"""
    WITH blob AS MATERIALIZED (SELECT id FROM registry_blob WHERE id > %(after)s ORDER BY id LIMIT %(look)s)
    SELECT ARRAY(SELECT id FROM blob WHERE {_UNUSED} ORDER BY id), max(id), count(*) FROM blob
"""  # noqa: S608
_HOLD_HOLDINGS = """
    SELECT holding.id FROM registry_projectblob AS holding
    WHERE holding.id IN (SELECT holding_id FROM registry_repositoryblob WHERE id = ANY(%(ids)s))
    ORDER BY holding.id FOR UPDATE SKIP LOCKED
"""
_HOLD_LINKS = """
    SELECT id FROM registry_repositoryblob
    WHERE id = ANY(%(ids)s) AND holding_id = ANY(%(holdings)s) AND leased_until < now()
    ORDER BY id FOR UPDATE SKIP LOCKED
"""
_STILL_UNREFERENCED = f"SELECT id FROM registry_repositoryblob AS link WHERE id = ANY(%(ids)s) AND {_UNREFERENCED}"  # noqa: S608
_HOLD_BLOBS = "SELECT id FROM registry_blob WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE SKIP LOCKED"
_COLLECT = f"""
    WITH gone AS (
        DELETE FROM registry_blob AS blob WHERE id = ANY(%(ids)s) AND {_UNUSED} RETURNING storage_key, size
    ), buried AS (
        INSERT INTO registry_tombstone (storage_key, not_before, size)
        SELECT storage_key, now() + %(delay)s * interval '1 second', size FROM gone
    )
    SELECT count(*), coalesce(sum(size), 0) FROM gone
"""  # noqa: S608


def links_find(after: int) -> Found:
    """Links whose lease is over and that no manifest needs."""
    return find(_FIND_LINKS, after)


def links_collect(ids: Sequence[int]) -> Counts:
    """Those of the links are gone that are still not needed, and their projects are charged no more for them."""
    holdings = ids_of(_HOLD_HOLDINGS, ids=list(ids))
    held = ids_of(_HOLD_LINKS, ids=list(ids), holdings=holdings)
    # A statement of its own: whoever had one of them before us has committed, and is seen.
    gone = ids_of(_STILL_UNREFERENCED, ids=held)
    return {"links": blobs.links_remove(links=RepositoryBlob.objects.filter(pk__in=gone)) if gone else 0}


def blobs_find(after: int) -> Found:
    """Blobs that no repository links and no deletion needs."""
    return find(_FIND_BLOBS, after)


def blobs_collect(ids: Sequence[int]) -> Counts:
    """Those of the blobs are gone that are still not needed; tombstones have the keys of their bytes.

    Who links one in this moment did not hold its row yet: of the two, the one that commits later is refused.
    """
    held = ids_of(_HOLD_BLOBS, ids=list(ids))
    with connection.cursor() as cursor:
        cursor.execute(_COLLECT, {"ids": held, "delay": settings.TOMBSTONE_SECONDS})
        blobs_gone, size = cursor.fetchone()
    return {"blobs": blobs_gone, "freed_bytes": int(size)}


def find(statement: str, after: int, **values: Any) -> Found:
    """What `statement` finds behind the id `after`, as all here are written."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"after": after, "look": LOOK, **values})
        ids, last, looked = cursor.fetchone()
    return Found(ids, last if looked == LOOK else None, looked)


def ids_of(statement: str, **values: Any) -> list[int]:
    """The ids it selects."""
    return [pk for (pk,) in rows_of(statement, **values)]


def rows_of(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """What it selects."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
