"""What is done by the clock, which is the database's. Any number of processes may do it at once."""

import json
import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from harborlite.errors import Conflict
from system import jobs
from system.jobs import rows
from system.jobs.cron import BadCron, BadZone, next_time
from system.jobs.kinds import KINDS, SCHEDULER, queues
from system.jobs.nudges import nudge
from system.models import Execution, PausedKind, Schedule, Worker

logger = logging.getLogger(__name__)

BATCH = 5000  # rows
STOPS = 10  # batches
FORGOTTEN = timedelta(hours=1)


def tick() -> None:
    """What is due begins, and what its worker left is there to be begun again."""
    for part in (schedules_begin, reap, stops_go_on, wake, workers_forget):
        try:
            part()
        except Exception:
            logger.exception("%s failed; the next tick tries again", part.__name__)


def reap() -> None:
    """Every task whose lease has run out is tried again, or an error."""
    while rows.reap():
        pass


def stops_go_on() -> None:
    """Of what waits under stopped executions some ten thousand never run."""
    for _ in range(STOPS):
        if not rows.stops_go_on():
            return


def wake() -> None:
    """Workers are told of each queue in which something waits."""
    for queue in queues():
        if rows.is_due(queue):
            nudge(queue)


def workers_forget() -> None:
    Worker.objects.filter(seen_at__lt=Now() - FORGOTTEN).delete()


def schedules_begin() -> int:
    """The executions of schedules whose time has come are there. Returns how many; of ticks that were missed, one."""
    paused = set(PausedKind.objects.values_list("kind", flat=True))
    if SCHEDULER in paused:
        return 0
    due = Schedule.objects.filter(is_enabled=True, next_at__lte=Now(), kind__in=set(KINDS) - paused)
    begun = 0
    for number in due.order_by("next_at").values_list("pk", flat=True)[:BATCH]:
        with transaction.atomic(durable=True):
            # Whoever has the row begins it; who comes after that finds that it is not due any more.
            schedule = due.select_for_update(skip_locked=True).filter(pk=number).first()
            if schedule is not None:
                begun += _begin(schedule)
    return begun


def _begin(schedule: Schedule) -> bool:
    schedule.last_at = schedule.next_at
    try:
        schedule.next_at = next_time(schedule.cron, schedule.time_zone, rows.database_time())
    except (BadCron, BadZone) as error:  # it was one once
        logger.error("schedule %s is off: %s", schedule, error)  # noqa: TRY400 - said in words
        schedule.is_enabled = False
    schedule.save(update_fields=["last_at", "next_at", "is_enabled"])
    try:
        jobs.start(
            schedule.kind,
            vendor_id=schedule.vendor_id,
            project_id=schedule.project_id,
            trigger=Execution.Trigger.SCHEDULE,
            parameters=schedule.parameters,
            username="",
        )
    except Conflict:
        logger.info("schedule %s: the run before is still under way", schedule)
        return False
    return True


# Of every kind and policy the executions behind the newest so many: an index has them in this order.
_OLD = """
    WITH RECURSIVE policy (kind, vendor_id) AS (
        (SELECT kind, vendor_id FROM system_execution ORDER BY kind, vendor_id LIMIT 1)
        UNION ALL
        SELECT next.kind, next.vendor_id FROM policy, LATERAL (
            SELECT kind, vendor_id FROM system_execution
            WHERE (kind, vendor_id) > (policy.kind, policy.vendor_id) ORDER BY kind, vendor_id LIMIT 1
        ) AS next
    )
    SELECT old.id FROM policy, LATERAL (
        SELECT id, ended_at FROM system_execution
        WHERE kind = policy.kind AND vendor_id = policy.vendor_id
        ORDER BY id DESC OFFSET coalesce((%(history)s::jsonb ->> policy.kind)::int, 0)
    ) AS old
    WHERE old.ended_at IS NOT NULL LIMIT %(limit)s
"""
_FORGET = (
    """
    DELETE FROM system_tasklog WHERE id = ANY(ARRAY(
        SELECT log.id FROM system_task AS task JOIN system_tasklog AS log ON log.task_id = task.id
        WHERE task.execution_id = %(execution)s LIMIT %(limit)s
    ))
    """,
    """
    DELETE FROM system_task WHERE id = ANY(ARRAY(
        SELECT id FROM system_task WHERE execution_id = %(execution)s LIMIT %(limit)s
    ))
    """,
    "DELETE FROM system_execution WHERE id = %(execution)s",
)


def history_forget(limit: int = 1000) -> int:
    """Executions behind the newest of each kind and policy are forgotten, up to `limit`. Returns how many."""
    history = json.dumps({kind.name: kind.history for kind in KINDS.values()})
    with connection.cursor() as cursor:
        cursor.execute(_OLD, {"history": history, "limit": limit})
        old = [number for (number,) in cursor.fetchall()]
    for number in old:
        while _forget(number):
            pass
    return len(old)


def _forget(execution: int) -> bool:
    """The execution is gone, or some thousand rows of it are; whether there is more. Who comes second does nothing."""
    with transaction.atomic(durable=True):
        if not Execution.objects.select_for_update(skip_locked=True).filter(pk=execution):
            return False
        for statement in _FORGET:
            with connection.cursor() as cursor:
                cursor.execute(statement, {"execution": execution, "limit": BATCH})
                if cursor.rowcount == BATCH:
                    return True
    return False
