"""Locks that Django has no words for."""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from projects.immutability import rules_held
from registry.models import Tag


def hold(rows: "QuerySet[Any, tuple[Any, ...]]") -> list[tuple[Any, ...]]:
    """What `rows`, a values_list, gives; none of the rows is deleted before the caller's transaction ends.

    FOR KEY SHARE is what a foreign key takes at the commit: many may hold it, and what no foreign key points at may
    change. Who deletes one of the rows in this moment is waited for, and what is gone then is left out.
    """
    try:
        statement, values = rows.order_by("pk").query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that there are none
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} FOR KEY SHARE OF {connection.ops.quote_name(rows.model._meta.db_table)}", values)
        return list(cursor.fetchall())


def tags_held(tags: "QuerySet[Tag]") -> list[Tag]:
    """The tags, by name, locked to be moved or deleted; what the rules say of them does not change meanwhile."""
    rows = tags.select_for_update(of=("self",)).annotate(rules=rules_held("repository__project_id"))
    return list(rows.order_by("name"))
