"""Jobs: what is to be done, now or at its times. The rows are written in the caller's transaction.

start() stop()             executions, which workers carry out: run.py has what their handlers get
pause() resume()           of a kind nothing is begun
schedule_set() ...         ticks.py makes the executions when it is time

kinds.py     what kinds there are          rows.py      the states of executions and tasks
handlers.py  who does which tasks          run.py       a task being done
cron.py      when it is time               worker.py    the process that does them
ticks.py     what is done by the clock     nudges.py    waking workers
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from psycopg2 import errorcodes

from harborlite import origin
from harborlite.errors import BadRequest, Conflict, NotFound
from system.jobs import cron as crons
from system.jobs import rows
from system.jobs.kinds import KINDS, SCHEDULER
from system.jobs.nudges import nudge
from system.jobs.rows import NewTask
from system.models import Execution, PausedKind, Schedule

__all__ = [
    "NewTask",
    "pause",
    "resume",
    "schedule_delete",
    "schedule_get",
    "schedule_set",
    "start",
    "stop",
]


def start(
    kind: str,
    *,
    tasks: Sequence[NewTask] = (NewTask(),),
    vendor_id: int = 0,
    project_id: int | None = None,
    trigger: str = "MANUAL",
    parameters: Mapping[str, Any] | None = None,
    username: str | None = None,
) -> Execution:
    """The job will be done. Conflict while another of its kind and vendor id is under way, if the kind is single.

    It is whoever is at work who asked for it (harborlite.origin), unless the caller knows better. In the caller's
    transaction, or in one of its own; after the commit workers are told, and when that fails, by the next tick.
    """
    if not tasks:
        raise ValueError("an execution without a task would never end")
    execution = Execution(
        kind=kind,
        vendor_id=vendor_id,
        project_id=project_id,
        trigger=Execution.Trigger(trigger),
        parameters=dict(parameters or {}),
        username=(origin.current().actor.username if username is None else username)[:255],
        is_single=KINDS[kind].is_single,
    )
    try:
        with transaction.atomic():
            execution.save(force_insert=True)
            rows.insert(execution, tasks)
    except IntegrityError as error:
        if getattr(error.__cause__, "pgcode", None) != errorcodes.UNIQUE_VIOLATION:
            raise
        raise Conflict(f"a job of the kind {kind} is under way already") from error
    nudge(KINDS[kind].queue)
    return execution


def stop(execution_id: int) -> None:
    """What of it waits never runs, what runs ends at its next step. One that has ended stays as it is. NotFound."""
    with transaction.atomic():
        execution = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id).first()
        if execution is None:
            raise NotFound(f"there is no execution {execution_id}")
        rows.stop(execution)


def pause(kind: str) -> None:
    """No task of the kind is begun, and no schedule of it makes an execution; of SCHEDULER, no schedule does.

    What runs, runs on. NotFound when there is no such kind.
    """
    _require(kind)
    PausedKind.objects.bulk_create([PausedKind(kind=kind)], ignore_conflicts=True)


def resume(kind: str) -> None:
    """What was held back is begun. NotFound when there is no such kind."""
    _require(kind)
    PausedKind.objects.filter(kind=kind).delete()
    if kind != SCHEDULER:
        nudge(KINDS[kind].queue)


def _require(kind: str) -> None:
    if kind not in KINDS and kind != SCHEDULER:
        raise NotFound(f"there are no jobs of the kind {kind[:80]!a}")


def schedule_set(
    kind: str,
    *,
    vendor_id: int = 0,
    type: str,  # noqa: A002 - Harbor's word
    cron: str,
    time_zone: str = "UTC",
    parameters: Mapping[str, Any] | None = None,
    project_id: int | None = None,
    is_enabled: bool = True,
) -> Schedule:
    """The job is done at these times and no other. BadRequest names the cron or the time_zone that is none.

    A run that is due already is kept when the times stay what they were.
    """
    if kind not in KINDS:
        raise ValueError(f"there are no jobs of the kind {kind}")
    cron = " ".join(cron.split())
    next_at = _next_time(cron, time_zone) if is_enabled else None
    with transaction.atomic():
        schedule, _is_new = Schedule.objects.select_for_update().get_or_create(kind=kind, vendor_id=vendor_id)
        if (schedule.cron, schedule.time_zone, schedule.is_enabled) != (cron, time_zone, is_enabled):
            schedule.next_at = next_at
        schedule.type, schedule.cron, schedule.time_zone, schedule.is_enabled = type, cron, time_zone, is_enabled
        schedule.parameters, schedule.project_id = dict(parameters or {}), project_id
        schedule.updated_at = Now()
        schedule.save()
        schedule.refresh_from_db()
    return schedule


def _next_time(cron: str, time_zone: str) -> datetime:
    try:
        return crons.next_time(cron, time_zone, rows.database_time())
    except crons.BadCron as error:
        raise BadRequest(f"cron: {error}") from None
    except crons.BadZone as error:
        raise BadRequest(f"time_zone: {error}") from None


def schedule_get(kind: str, vendor_id: int = 0) -> Schedule | None:
    return Schedule.objects.filter(kind=kind, vendor_id=vendor_id).first()


def schedule_delete(kind: str, vendor_id: int = 0) -> None:
    """The job is done at no time by itself."""
    Schedule.objects.filter(kind=kind, vendor_id=vendor_id).delete()
