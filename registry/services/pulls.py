"""Pulls, counted and dated some seconds later and many at a time (system.events.on_pulls)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from accounts.constraints import retried
from system import config
from system.events import Pull

# Rows are locked by their ids: other processes write down their pulls at the same time.
_COUNT = """
    WITH seen (id, count) AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[])), held AS MATERIALIZED (
        SELECT id FROM registry_repository WHERE id IN (SELECT id FROM seen) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE registry_repository AS repository SET pull_count = repository.pull_count + seen.count
    FROM held JOIN seen USING (id) WHERE repository.id = held.id
"""
_DATE = """
    WITH seen (id, at) AS (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[])), held AS MATERIALIZED (
        SELECT id FROM registry_manifest WHERE id IN (SELECT id FROM seen) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE registry_manifest AS manifest SET pulled_at = greatest(manifest.pulled_at, seen.at)
    FROM held JOIN seen USING (id) WHERE manifest.id = held.id
"""
_DATE_TAGS = """
    WITH seen (repository_id, name, at) AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[])
    ), held AS MATERIALIZED (
        SELECT tag.id, seen.at FROM registry_tag AS tag JOIN seen USING (repository_id, name)
        ORDER BY tag.id FOR NO KEY UPDATE OF tag
    )
    UPDATE registry_tag AS tag SET pulled_at = greatest(tag.pulled_at, held.at) FROM held WHERE tag.id = held.id
"""


def pulls_count(pulls: Sequence[Pull]) -> None:
    """The pulls are counted with their repositories, and manifests and tags tell when they were pulled last.

    Both as far as administrators have not switched it off.

    A statement a table, each by itself: whoever pushes locks these tables' rows in another order.
    """
    counts = Counter(pull.artifact.repository_id for pull in pulls)
    manifests = {pull.artifact.manifest_id: _moment(pull) for pull in pulls}
    tags = {
        (pull.artifact.repository_id, pull.artifact.tag): _moment(pull)
        for pull in pulls
        if pull.artifact.tag is not None
    }
    if not config.get("pull_count_update_disable"):
        _write(_COUNT, [list(counts), list(counts.values())])
    if config.get("pull_time_update_disable"):
        return
    _write(_DATE, _columns(manifests))
    if tags:
        _write(_DATE_TAGS, [[pk for pk, _ in tags], [name for _, name in tags], list(tags.values())])


def _columns(values: Mapping[Any, Any]) -> list[list[Any]]:
    return [list(values), list(values.values())]


def _moment(pull: Pull) -> datetime:
    return datetime.fromtimestamp(pull.at, UTC)


@retried
def _write(statement: str, values: list[list[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
