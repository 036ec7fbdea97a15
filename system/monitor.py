"""Reads for who watches over the jobs: what waits of each kind, which workers there are, what they do, and how far."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Now

from system.jobs.kinds import KINDS, SCHEDULER
from system.models import PausedKind, Status, Task, Worker

TYPES = (*KINDS, SCHEDULER)
"""What can be paused."""
LATELY = timedelta(seconds=60)
"""Who was not seen for longer is not there."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The tasks of a kind that nobody has begun; `latency` is for how many seconds the first of them has waited."""

    job_type: str
    count: int
    latency: int
    paused: bool


class Progress(TypedDict):
    """Of a run, summed over its tasks; the numbers are of the same unit."""

    done: int
    total: int | None
    unit: str
    percent: int | None


# Of the tasks that wait: their kind, how many they are, for how long the first of them could have been begun.
_WAITING = """
    SELECT kind, count(*), greatest(0, extract(epoch FROM now() - min(due_at)))::bigint
    FROM system_task WHERE status = 'Pending' GROUP BY kind
"""


def queues() -> list[Queue]:
    """One for each kind there is, also when nothing waits in it."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        waiting = {kind: (count, latency) for kind, count, latency in cursor.fetchall()}
    paused = paused_kinds()
    return [Queue(kind, *waiting.get(kind, (0, 0)), kind in paused) for kind in TYPES]


def paused_kinds() -> frozenset[str]:
    return frozenset(PausedKind.objects.values_list("kind", flat=True))


def pools() -> QuerySet[Worker]:
    """The workers that were seen lately."""
    return Worker.objects.filter(seen_at__gt=Now() - LATELY).order_by("name")


def workers(of: Iterable[Worker]) -> Iterator[dict[str, Any]]:
    """What each pool does, a line for each task it can do at a time; those that do something first."""
    found = list(of)
    busy: dict[str, list[Task]] = {pool.name: [] for pool in found}
    for task in Task.objects.filter(status=Status.RUNNING, worker__in=busy).order_by("pk"):
        busy[task.worker].append(task)
    for pool in found:
        tasks = busy[pool.name]
        for number in range(max(pool.concurrency, len(tasks))):
            idle = {"id": f"{pool.name}/{number + 1}", "pool_id": pool.name}
            yield {**idle, **_done(tasks[number])} if number < len(tasks) else idle


def _done(task: Task) -> dict[str, Any]:
    told = {"start_at": task.started_at, "checkin_at": task.updated_at}
    return {"job_name": task.kind, "job_id": str(task.pk), "check_in": spoken(task), **told}


def spoken(task: Task) -> str:
    """How far it is, in words; empty when it has not said."""
    total = "" if task.total is None else f"/{task.total}"
    return f"{task.done}{total} {task.unit}".strip() if task.unit else ""


def progress(done: int, total: int | None, unit: str) -> Progress:
    percent = None if not total else min(100, done * 100 // total)
    return {"done": done, "total": total, "unit": unit, "percent": percent}


def progress_of(executions: Sequence[int]) -> dict[int, Progress]:
    """Of each of these executions, by its id. One query."""
    rows = (
        Task.objects.filter(execution__in=executions)
        .values("execution_id")
        .annotate(whole=Sum("total"), so_far=Sum("done"), of=Max("unit"), unknown=Count("pk", Q(total=None)))
    )
    told = {
        row["execution_id"]: progress(row["so_far"], None if row["unknown"] else row["whole"], row["of"])
        for row in rows
    }
    return {execution: told.get(execution, progress(0, None, "")) for execution in executions}
