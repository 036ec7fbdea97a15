"""Writes of the audit trail beside system.events: what is old goes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

# A page of the index on (operation, at, id): however few of its rows are of a wanted type, a batch reads no more.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT id, at, resource_type FROM system_event
        WHERE operation = %(operation)s AND at < %(before)s::timestamptz AND (at, id) > (%(at)s::timestamptz, %(id)s)
        ORDER BY at, id LIMIT %(limit)s
    ), wanted AS ("""
_COUNT = "SELECT resource_type FROM page WHERE resource_type = ANY(%(types)s)"
_DELETE = """
    DELETE FROM system_event USING page
    WHERE system_event.id = page.id AND page.resource_type = ANY(%(types)s) RETURNING page.resource_type"""
_TOLD = """)
    SELECT page.at, page.id, (
        SELECT jsonb_object_agg(resource_type, many)
        FROM (SELECT resource_type, count(*) AS many FROM wanted GROUP BY resource_type) AS counted
    ) FROM page ORDER BY page.at DESC, page.id DESC LIMIT 1"""
BEGINNING = "-infinity", 0


@dataclass(frozen=True, slots=True)
class Purged:
    """What a batch removed, or would have, by resource type; `last` is the event up to which it came."""

    counts: Mapping[str, int]
    last: tuple[str, int]


def events_purge(
    *, operation: str, types: Sequence[str], before: str, after: tuple[str, int], limit: int, is_dry: bool
) -> Purged | None:
    """Of `limit` events of that operation behind `after` those of these resource types are gone. Returns what went.

    None when there is none behind it that is older than `before`. Both times are ISO 8601. A dry run only counts. In
    the caller's transaction.
    """
    at, number = after
    asked: dict[str, Any] = {"operation": operation, "types": list(types), "before": before, "limit": limit}
    asked |= {"at": at, "id": number}
    with connection.cursor() as cursor:
        cursor.execute(_PAGE + (_COUNT if is_dry else _DELETE) + _TOLD, asked)
        row = cursor.fetchone()
    return Purged(json.loads(row[2] or "{}"), (row[0].isoformat(), row[1])) if row else None
