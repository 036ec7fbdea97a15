"""A lock that Django has no word for."""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet


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
