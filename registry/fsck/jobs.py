"""Jobs, transactions and the audit trail."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now

from registry.fsck.violations import Violation
from registry.services import repairs
from system import events as system_events
from system.models import Event, Execution, Status, Task

_SESSIONS = """
    SELECT pid, extract(epoch FROM now() - state_change)::int FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'harborlite'
        AND state LIKE 'idle in transaction%%' AND state_change < now() - interval '30 seconds'
"""


def _late() -> timedelta:
    """Whoever looks after leases has had two of them to see it."""
    return timedelta(seconds=2 * settings.JOB_LEASE_SECONDS)


def tasks() -> Iterator[Violation]:
    late = Task.objects.filter(status=Status.RUNNING)
    for task in late.filter(Q(lease_until=None) | Q(lease_until__lt=Now() - _late())).order_by("pk"):
        mend = partial(repairs.task_reap, task_id=task.pk)
        problem = f"it is running, and its lease ended {task.lease_until or 'before it began'}"
        yield Violation("job", f"task {task.pk} ({task.name})", problem, mend)


def executions() -> Iterator[Violation]:
    open_tasks = Task.objects.filter(execution=OuterRef("pk"), ended_at=None)
    rows = Execution.objects.annotate(is_under_way=Exists(open_tasks)).order_by("pk")
    for execution in rows.filter(ended_at=None, is_under_way=False, updated_at__lt=Now() - _late()):
        mend = partial(repairs.execution_end, execution_id=execution.pk)
        yield Violation("job", f"execution {execution.pk} ({execution.kind})", "its tasks have ended, it has not", mend)
    for execution in rows.filter(ended_at__isnull=False, is_under_way=True):
        yield Violation("job", f"execution {execution.pk} ({execution.kind})", "it has ended, and a task of it has not")


def sessions() -> Iterator[Violation]:
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS)
        for process, seconds in cursor.fetchall():
            yield Violation("session", f"process {process}", f"its transaction is idle for {seconds} s")


def events() -> Iterator[Violation]:
    kinds = Event.objects.order_by().values_list("operation", "resource_type").annotate(count=Count("pk"))
    for operation, resource_type, count in kinds:
        name = f"{operation}_{resource_type}"
        if name not in system_events.TYPES:
            yield Violation("event", name, f"{count} events are of this type, which is none")
