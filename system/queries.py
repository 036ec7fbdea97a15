"""Reads of the audit trail, and of jobs.

The trail may hold tens of millions of rows: every page comes out of an index, in its order.
"""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from harborlite.database.base import release
from harborlite.errors import BadRequest
from harborlite.rest.listing import Field, Flag, Listing, Moment, Number, Rows, where
from harborlite.rest.q import Condition
from system.events import TYPES
from system.models import Event, Execution, Task, TaskLog

EXACT = 10_000
"""Up to so many events are counted; how many there are beyond that is estimated."""
BATCH = 1000


def _by_word(place: int, lookup: str) -> Any:
    """A filter on a column of few words: which of them hold a part is known without reading a row."""
    words = frozenset(event_type.split("_", 1)[place] for event_type in TYPES)
    field = Field(lookup)

    def apply(rows: Rows, condition: Condition) -> Rows:
        if condition.match != "fuzzy":
            return rows.filter(where(field, condition))
        part = condition.values[0].lower()
        return rows.filter(**{f"{lookup}__in": [word for word in words if part in word]})

    return apply


EVENTS = Listing(
    fields={
        "op_time": Field("at", Moment),
        "id": Field("pk", Number),
        "username": Field("username"),
        "resource": Field("resource"),
        "resource_type": Field("resource_type", apply=_by_word(1, "resource_type")),
        "operation": Field("operation", apply=_by_word(0, "operation")),
        "project_id": Field("project_id", Number, is_sortable=False),
        "operation_result": Field("is_successful", Flag, is_sortable=False),
    },
    default="-op_time",
)


def events(*, projects: Rows | None) -> QuerySet[Event]:
    """The events of `projects`, or all of them."""
    return Event.objects.all() if projects is None else Event.objects.filter(project_id__in=projects.values("pk"))


def events_of(project_id: int) -> QuerySet[Event]:
    """The events of one project."""
    return Event.objects.filter(project_id=project_id)


def count(rows: Rows, reached: int, is_more: bool) -> int:
    """How many `rows` there are: exactly up to EXACT, then as the database estimates.

    The estimate agrees with what is known: that there are more behind the first `reached`, or that there are not.
    """
    counted: int = rows.order_by()[: EXACT + 1].count()
    if counted <= EXACT:
        return counted
    estimate = max(counted, _estimate(rows))
    return max(estimate, reached + 1) if is_more else min(estimate, reached)


def _estimate(rows: Rows) -> int:
    plan = json.loads(rows.order_by().explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])


def is_by_time(sort: str) -> bool:
    """Whether the list is in the order of time, or in the reverse."""
    return [order.key for order in EVENTS.orders(sort)] == ["op_time"]


def behind(rows: Rows, sort: str, last: Event) -> Rows:
    """Those of `rows`, which are in the order of time, that come behind `last`."""
    side = "lt" if EVENTS.orders(sort)[0].is_descending else "gt"
    return rows.filter(Q(**{f"at__{side}e": last.at}), ~Q(at=last.at) | Q(**{f"pk__{side}": last.pk}))


def walk(rows: Rows, sort: str) -> Iterator[Event]:
    """All of `rows`, which are in the order of sort. BadRequest when that is not the order of time.

    Read as they are taken, some at a time; between, no connection is held.
    """
    if not is_by_time(sort):
        raise BadRequest("sort: the whole list can only be had in the order of op_time")
    return _walk(rows, sort)


def _walk(rows: Rows, sort: str) -> Iterator[Event]:
    rest = rows
    while batch := list(rest[:BATCH]):
        release()
        yield from batch
        rest = behind(rows, sort, batch[-1])


# Jobs.


def executions_of(kind: str, vendor_id: int | None = None) -> QuerySet[Execution]:
    """The jobs of a kind, of one policy or of all, the newest first."""
    found = Execution.objects.filter(kind=kind).order_by("-pk")
    return found if vendor_id is None else found.filter(vendor_id=vendor_id)


def tasks_of(execution: Execution) -> QuerySet[Task]:
    """In the order in which they were made."""
    return execution.tasks.order_by("pk")


def log_of(of: Task | Execution) -> Iterator[str]:
    """What a task wrote down, a line each with its time before it; of an execution, one task after the other.

    Read as it is taken, some at a time; between, no connection is held.
    """
    logs = TaskLog.objects.filter(task=of) if isinstance(of, Task) else TaskLog.objects.filter(task__execution=of)
    rest = logs.order_by("task_id", "pk")
    while batch := list(rest[:BATCH]):
        if not connection.in_atomic_block:
            release()
        for log in batch:
            at = log.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield from (f"{at} {line}" for line in log.text.splitlines() or [""])
        last = batch[-1]
        rest = logs.filter(task_id__gte=last.task_id).exclude(task_id=last.task_id, pk__lte=last.pk)
        rest = rest.order_by("task_id", "pk")
