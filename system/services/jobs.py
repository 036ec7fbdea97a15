"""What administrators do to the jobs of the instance itself: run one now or by itself, end one, hold a kind back.

Each change leaves its event in its own transaction. The rows are written by system.jobs, whatever project they are of.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from harborlite.errors import Unavailable
from system import jobs
from system.events import emit
from system.jobs import rows
from system.models import Execution, Schedule, Status, Task

_TRIES, _PAUSE = 50, 0.1  # seconds


def job_start(*, kind: str, parameters: Mapping[str, Any]) -> Execution:
    """The job will be done as soon as a worker is free. Conflict while another of its kind is under way."""
    with transaction.atomic(durable=True):
        execution = jobs.start(kind, parameters=parameters)
        emit("start", "job", kind, extra={"execution": execution.pk, "parameters": dict(parameters)})
    return execution


def job_stop(*, execution: Execution) -> None:
    """The job begins nothing more. One that has ended stays as it is."""
    with transaction.atomic(durable=True):
        jobs.stop(execution.pk)
        if execution.ended_at is None and not execution.is_stopping:
            emit("stop", "job", execution.kind, extra={"execution": execution.pk})


def schedule_save(
    *,
    kind: str,
    type: str,  # noqa: A002 - Harbor's word
    cron: str,
    time_zone: str,
    parameters: Mapping[str, Any],
) -> Schedule:
    """The job runs by itself at these times and at no other. BadRequest names what is none, cron or time_zone."""
    with transaction.atomic(durable=True):
        schedule = jobs.schedule_set(kind, type=type, cron=cron, time_zone=time_zone, parameters=parameters)
        emit(
            "update",
            "schedule",
            kind,
            extra={"type": type, "cron": cron, "time_zone": time_zone, "parameters": dict(parameters)},
        )
    return schedule


def schedule_remove(*, kind: str) -> None:
    """The job no longer runs by itself."""
    with transaction.atomic(durable=True):
        if jobs.schedule_get(kind) is not None:
            jobs.schedule_delete(kind)
            emit("delete", "schedule", kind)


def task_stop(*, task: Task) -> None:
    """One task of an execution is over: it never begins or, taken away from its worker, ends at its next step.

    Unavailable when it is in the middle of a step for so long that nobody should wait.
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        with transaction.atomic(durable=True):
            if _stop(task.execution_id, Q(pk=task.pk)):
                emit("stop", "job", task.kind, extra={"execution": task.execution_id, "task": task.pk})
                return
        if not Task.objects.filter(pk=task.pk, ended_at=None).exists():
            return
    raise Unavailable("the job is in the middle of a step; try again later")


def running_stop() -> None:
    """Every task that is being done now ends at its next step."""
    for task in Task.objects.filter(status=Status.RUNNING).order_by("pk"):
        task_stop(task=task)


def queue_stop(*, kinds: Sequence[str]) -> None:
    """What waits now of these kinds never begins; what is being done goes on. One execution in a transaction."""
    with transaction.atomic(durable=True):
        emit("stop", "queue", _named(kinds))
    waiting = Q(kind__in=kinds, status=Status.PENDING)
    # Those of now: an execution may make new ones faster than they are stopped.
    executions = Task.objects.filter(waiting).order_by("execution_id").values_list("execution_id", flat=True).distinct()
    for execution in list(executions):
        with transaction.atomic(durable=True):
            _stop(execution, waiting)


def queue_pause(*, kinds: Sequence[str]) -> None:
    """Nothing more of these kinds is begun until they are resumed."""
    with transaction.atomic(durable=True):
        for kind in kinds:
            jobs.pause(kind)
        emit("pause", "queue", _named(kinds))


def queue_resume(*, kinds: Sequence[str]) -> None:
    """What waits of these kinds is begun again."""
    with transaction.atomic(durable=True):
        for kind in kinds:
            jobs.resume(kind)
        emit("resume", "queue", _named(kinds))


def _named(kinds: Sequence[str]) -> str:
    return kinds[0] if len(kinds) == 1 else "all"


def _stop(execution_id: int, which: Q) -> bool:
    """Those of the execution's tasks that are under way have ended; whether there were any.

    A worker that had one learns from its fence that it has it no longer. A row that is locked is left: it is in the
    middle of a step, which may itself wait for the execution's row.
    """
    execution = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id).first()
    if execution is None:  # forgotten meanwhile
        return False
    free = execution.tasks.filter(which, ended_at=None).select_for_update(no_key=True, skip_locked=True)
    over = {"status": Status.STOPPED, "lease_until": None, "ended_at": Now(), "updated_at": Now()}
    is_any = bool(execution.tasks.filter(pk__in=[task.pk for task in free]).update(**over))
    if is_any:
        rows.end_if_done(execution)
    return is_any
