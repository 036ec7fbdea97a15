"""How many rows the database looks at for something, by its own word: EXPLAIN ANALYZE of every statement.

A number that must not grow with the tables: it shows a missing index, or a sweep that is not bounded, on tables of
any size, whatever the machine does besides.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import connection, transaction

T = TypeVar("T")
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def looked_at(call: Callable[[], T]) -> tuple[int, T]:
    """The rows that `call` made the database look at, and what it returned. In a transaction of the caller's."""
    rows: list[int] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.lstrip().upper().startswith(EXPLAINED):
            with transaction.atomic(), connection.cursor() as cursor:
                # Below the wrappers, and undone: what it explains, it does.
                cursor.cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
                (plan,) = cursor.cursor.fetchone()
                rows.append(sum(_scanned((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])))
                transaction.set_rollback(True)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        result = call()
    return sum(rows), result


def _scanned(node: dict[str, Any]) -> Iterator[int]:
    """Of each node that reads a table: its rows, also those that a filter left out, in all its loops."""
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        yield int((node["Actual Rows"] + left_out) * node["Actual Loops"])
    for below in node.get("Plans", ()):
        yield from _scanned(below)
