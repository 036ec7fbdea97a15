"""The rows of executions and tasks, and the one way through their states.

            claim            settle: done, stopped, failed for the last time
    Pending ------> Running -------------------------------------------------> Success, Stopped, Error
       ^               |
       +---------------+ settle: failed, handed over; reap: its lease ran out

A worker has a task while the row is Running under the fence that its claim gave it. It keeps it by its lease, which is
reckoned by the database's clock; when that has run out, anybody may reap the task, and whoever claims it then raises
the fence. So a worker that was asleep finds out at its next write, which begins with `hold`.

Who locks rows of both locks the execution first, then its tasks. A step, which has locked its task, locks no execution.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from system.jobs import handlers
from system.jobs.kinds import KINDS, of_queue
from system.models import Execution, Status, Task, TaskLog

logger = logging.getLogger(__name__)

FIRST_WAIT, MOST_WAIT = 10.0, 600.0  # seconds before a task is tried again, doubled each time
BATCH = 10_000  # rows
_MESSAGE = 2000  # characters


class Leave(BaseException):
    """The handler is to end now; its task is taken care of. Not an Exception, so that no handler takes it for one."""


class Fenced(Leave):
    """Another worker has the task, or nobody has it any more: nothing more can be written for it."""


class Stopped(Leave):
    """Somebody has stopped the execution."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be: without a name, its handler is that of the kind."""

    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unit: str = ""


def lease() -> str:
    """For how long a worker has a task without a sign of life, as an interval of PostgreSQL."""
    return f"{settings.JOB_LEASE_SECONDS} seconds"


def insert(execution: Execution, tasks: Sequence[NewTask]) -> None:
    """The execution has these tasks too. In the transaction that makes it, or in a step of one of its tasks."""
    Task.objects.bulk_create(
        (
            Task(
                execution=execution,
                kind=execution.kind,
                name=task.name or execution.kind,
                queue=KINDS[execution.kind].queue,
                arguments=dict(task.arguments),
                unit=task.unit,
            )
            for task in tasks
        ),
        batch_size=1000,
    )


# The first of those that are due, of each kind by its index: however many of a paused kind wait, none is read.
_DUE = """
    SELECT first.id, first.due_at FROM unnest(%(kinds)s::text[]) AS wanted (kind), LATERAL (
        SELECT id, due_at FROM system_task
        WHERE kind = wanted.kind AND status = 'Pending' AND due_at <= now()
        ORDER BY due_at, id LIMIT 1 {lock}
    ) AS first
    WHERE wanted.kind NOT IN (SELECT kind FROM system_pausedkind)
    ORDER BY first.due_at LIMIT 1
"""
_CLAIM = """
    WITH due AS MATERIALIZED ({due})
    UPDATE system_task AS task SET
        status = 'Running', fence = fence + 1, worker = %(worker)s, lease_until = now() + %(lease)s::interval,
        started_at = coalesce(started_at, now()), updated_at = now()
    FROM due WHERE task.id = due.id RETURNING task.id, task.fence
"""
_HOLD = """
    UPDATE system_task AS task SET lease_until = now() + %(lease)s::interval, updated_at = now()
    FROM system_execution AS execution
    WHERE task.id = %(task)s AND task.fence = %(fence)s AND task.status = 'Running'
        AND execution.id = task.execution_id
    RETURNING execution.is_stopping
"""
# A row that is locked is in the middle of a step, which has renewed the lease itself.
_RENEW = """
    UPDATE system_task SET lease_until = now() + %(lease)s::interval WHERE id = (
        SELECT id FROM system_task WHERE id = %(task)s AND fence = %(fence)s AND status = 'Running'
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""


def database_time() -> datetime:
    """Now, by the clock that all leases and schedules are reckoned by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    return cast("datetime", now)


def is_due(queue: str) -> bool:
    """Whether a task waits in the queue that could be begun now."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE.format(lock=""), {"kinds": of_queue(queue)})
        return cursor.fetchone() is not None


def claim(queue: str, worker: str) -> Task | None:
    """The task of the queue that is due for longest, from now on the worker's; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM.format(due=_DUE.format(lock="FOR NO KEY UPDATE SKIP LOCKED")),
            {"kinds": of_queue(queue), "worker": worker[:255], "lease": lease()},
        )
        found = cursor.fetchone()
    if found is None:
        return None
    task = Task.objects.select_related("execution").get(pk=found[0])
    task.fence = found[1]  # of this claim, and not of one that came since: this process may have been asleep
    begun = {"status": Status.RUNNING, "started_at": Now(), "updated_at": Now()}
    if Execution.objects.filter(pk=task.execution_id, started_at=None, ended_at=None).update(**begun):
        task.execution.refresh_from_db()
    return task


def hold(task: Task) -> None:
    """Nobody else gets the task before the end of the caller's transaction, and not for a lease. Fenced, Stopped."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"task": task.pk, "fence": task.fence, "lease": lease()})
        _go_on(cursor.fetchone())


def ask(task: Task) -> None:
    """Fenced, Stopped when it is so; nothing is locked."""
    _go_on(_held(task).values_list("execution__is_stopping").first())


def _go_on(row: tuple[bool] | None) -> None:
    if row is None:
        raise Fenced
    if row[0]:
        raise Stopped


def _held(task: Task) -> QuerySet[Task]:
    return Task.objects.filter(pk=task.pk, fence=task.fence, status=Status.RUNNING)


def renew(task: Task) -> None:
    """The worker, which may have been asleep, has the task for another lease, if it has it still."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"task": task.pk, "fence": task.fence, "lease": lease()})


def settle(task: Task, status: Status, message: str = "", *, log: str = "") -> bool:
    """The worker does no more for the task, of which this came; false when another worker has it, and nothing is said.

    An error is tried again until the kind's attempts are used up; Pending, it is handed over to another worker.
    """
    with transaction.atomic(durable=True):
        execution = Execution.objects.select_for_update(no_key=True).get(pk=task.execution_id)
        row = _held(task).select_for_update(no_key=True).first()
        if row is not None:
            if log:
                note(row, log)
            _leave(execution, row, status, message)
    return row is not None


def reap(limit: int = 100) -> int:
    """Up to `limit` tasks whose lease has run out are tried again, or errors. Returns how many."""
    expired = Task.objects.filter(status=Status.RUNNING, lease_until__lt=Now())
    reaped = 0
    for task in list(expired.order_by("lease_until")[:limit]):
        with transaction.atomic(durable=True):
            execution = Execution.objects.select_for_update(no_key=True).get(pk=task.execution_id)
            # One that is locked is in the middle of a step.
            row = expired.filter(pk=task.pk).select_for_update(no_key=True, skip_locked=True).first()
            if row is not None:
                message = f"its worker {row.worker} was lost"
                logger.warning("task %d (%s): %s", row.pk, row.name, message)
                note(row, message.capitalize())
                _leave(execution, row, Status.ERROR, message)
                reaped += 1
    return reaped


def _leave(execution: Execution, task: Task, status: Status, message: str) -> None:
    """What settle and reap say, of two rows that are locked."""
    task.attempt += status == Status.ERROR
    kind = KINDS.get(task.kind)
    if status == Status.ERROR and kind is not None and task.attempt < kind.attempts:
        status = Status.PENDING
    if status == Status.PENDING and execution.is_stopping:
        status = Status.STOPPED
    task.status, task.status_message = status, cut(message)
    task.lease_until, task.updated_at = None, Now()
    if status == Status.PENDING:
        task.worker, task.due_at = "", Now() + wait(task.attempt)
    else:
        task.ended_at = Now()
    task.save(
        update_fields=[
            "attempt",
            "status",
            "status_message",
            "lease_until",
            "updated_at",
            "worker",
            "due_at",
            "ended_at",
        ]
    )
    if status != Status.PENDING:
        if execution.is_stopping:
            _stop_waiting(execution)  # what the task's last step has added
        end_if_done(execution)


def wait(attempt: int) -> timedelta:
    """How long a task waits that failed so many times: doubled each time, and by chance less, up to a half."""
    if not attempt:
        return timedelta()
    return timedelta(seconds=min(MOST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1))  # noqa: S311


def stop(execution: Execution) -> None:
    """It begins nothing more: what waits never runs, what runs ends at its next step. The row is locked."""
    if execution.ended_at is not None or execution.is_stopping:
        return
    execution.is_stopping = True
    Execution.objects.filter(pk=execution.pk).update(is_stopping=True, updated_at=Now())
    _stop_waiting(execution)
    end_if_done(execution)


def stops_go_on() -> int:
    """More of what waits under executions that were stopped never runs. Returns how many that were."""
    waiting = Q(tasks__status=Status.PENDING, tasks__ended_at=None)  # as its index says
    stopping = Execution.objects.filter(waiting, is_stopping=True, ended_at=None).distinct()
    stopped = 0
    for number in stopping.values_list("pk", flat=True):
        with transaction.atomic(durable=True):
            execution = Execution.objects.select_for_update(no_key=True).get(pk=number)
            stopped += _stop_waiting(execution)
            end_if_done(execution)
    return stopped


def _stop_waiting(execution: Execution) -> int:
    """Of those that wait, some thousand; the tick goes on with the rest, and whoever claims one of them first stops."""
    waiting = execution.tasks.filter(status=Status.PENDING, ended_at=None)  # as its index says
    some = Task.objects.filter(pk__in=waiting.values("pk")[:BATCH], status=Status.PENDING)
    return some.update(status=Status.STOPPED, ended_at=Now(), updated_at=Now())


def end_if_done(execution: Execution) -> None:
    """When none of its tasks is under way, it has ended, as they did. Its row is locked."""
    if execution.ended_at is not None or execution.tasks.filter(ended_at=None).exists():
        return
    ended = set(execution.tasks.order_by().values_list("status", flat=True).distinct())
    execution.status = next(s for s in (Status.ERROR, Status.STOPPED, Status.SUCCESS) if s in ended)
    if execution.status == Status.ERROR:
        failed = execution.tasks.filter(status=Status.ERROR).order_by("id")
        execution.status_message = failed.values_list("status_message", flat=True)[0]
    results = list(execution.tasks.values_list("result", flat=True)[:2])
    if len(results) == 1:
        execution.result = results[0]
    execution.ended_at = execution.updated_at = Now()
    execution.save(update_fields=["status", "status_message", "result", "ended_at", "updated_at"])
    if finish := handlers.finish_of(execution.kind):
        execution.refresh_from_db()
        _finish(execution, finish)


def _finish(execution: Execution, finish: handlers.Finish) -> None:
    """The hook's mistake is the execution's error, and undoes only what the hook has written."""
    try:
        with transaction.atomic():
            finish(execution)
    except Exception as error:
        logger.exception("execution %d (%s) could not be finished", execution.pk, execution.kind)
        message = cut(f"its totals could not be written: {error}")
        Execution.objects.filter(pk=execution.pk).update(status=Status.ERROR, status_message=message)


def note(task: Task, text: str) -> None:
    TaskLog.objects.create(task=task, text=clean(text))


def clean(text: str) -> str:
    """`text` as the database can keep it."""
    return text.replace("\0", "?").encode(errors="replace").decode()


def cut(text: str) -> str:
    return clean(text)[:_MESSAGE]
