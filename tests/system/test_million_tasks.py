"""A million tasks: what workers, the tick, the sweep of history and lists look at stays as little as with a few.

Not times, which differ: rows, which must not grow with the tables (F-46).
"""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from system import jobs, monitor, queries
from system.jobs import rows, ticks
from system.models import Execution, Status, Task
from tests.plans import looked_at

TASKS = 1_000_000
PAGE = 100
FEW = 10 * PAGE
"""Rows that may be looked at for a page or one change, whatever the size."""
OLD, WAITING, LOST = 1000, 50_000, 500

# Half of the tasks are one execution's, of which some wait; the others are those of the executions before it. Written
# without the check of each foreign key, which would take longer than all the rest.
_FILL = """
    SET statement_timeout = 0; SET session_replication_role = replica;
    INSERT INTO system_execution (id, kind, vendor_id, trigger, username, status, status_message, parameters, result,
        is_single, is_stopping, started_at, ended_at)
    SELECT n, 'RETENTION', n %% 10, 'MANUAL', '', CASE WHEN n <= %(old)s THEN 'Success' ELSE 'Running' END, '', '{}',
        '{}', n > %(old)s, false, now(), CASE WHEN n <= %(old)s THEN now() END
    FROM generate_series(1, %(old)s + 1) AS n;
    INSERT INTO system_task (execution_id, kind, name, queue, arguments, status, status_message, attempt, fence, worker,
        done, unit, checkpoint, result, due_at, ended_at, lease_until)
    SELECT CASE WHEN n <= %(tasks)s / 2 THEN 1 + n %% %(old)s ELSE %(old)s + 1 END, 'RETENTION', 'RETENTION',
        'retention', '{}', status, '', 0, 1, '', 0, '', '{}', '{}', now() - interval '1 day',
        CASE WHEN status = 'Success' THEN now() END,
        CASE WHEN status = 'Running' THEN now() + (n %% 2 * 2 - 1) * interval '1 hour' END
    FROM generate_series(1, %(tasks)s) AS n
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n > %(tasks)s - %(waiting)s THEN 'Pending'
            WHEN n > %(tasks)s - %(waiting)s - 2 * %(lost)s THEN 'Running' ELSE 'Success' END
    ) AS has (status);
    INSERT INTO system_tasklog (task_id, text)
    SELECT id, 'a line' FROM system_task WHERE id %% 10 = 0;
    SELECT setval(pg_get_serial_sequence('system_execution', 'id'), %(old)s + 1);
    RESET session_replication_role; RESET statement_timeout;
    ANALYZE system_execution, system_task, system_tasklog
"""


@pytest.fixture(scope="module")
def _filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(_FILL, {"tasks": TASKS, "old": OLD, "waiting": WAITING, "lost": LOST})
        yield
        cursor.execute("TRUNCATE system_execution, system_task, system_tasklog")


@pytest.fixture
def large(_filled: None, db: None) -> Execution:
    """The execution of half a million tasks, under way."""
    return Execution.objects.get(pk=OLD + 1)


def claimed() -> Task:
    task = rows.claim("retention", "worker")
    assert task is not None
    return task


CALLS: dict[str, Callable[[Execution], object]] = {
    "something is due": lambda _: rows.is_due("retention"),
    "a worker takes a task": lambda _: claimed(),
    "a worker ends a task": lambda _: rows.settle(claimed(), Status.SUCCESS),
    "a worker fails": lambda _: rows.settle(claimed(), Status.ERROR, "it failed"),
    "a worker asks": lambda _: rows.ask(claimed()) is None,
    "workers are told": lambda _: ticks.wake() is None,
    "a job begins": lambda _: jobs.start("GARBAGE_COLLECTION"),
    "executions": lambda _: list(queries.executions_of("RETENTION")[:PAGE]),
    "executions of a policy": lambda _: list(queries.executions_of("RETENTION", 3)[:PAGE]),
    "tasks": lambda e: list(queries.tasks_of(e)[:PAGE]),
    "tasks further on": lambda e: list(queries.tasks_of(e).filter(pk__gt=queries.tasks_of(e)[0].pk + 400_000)[:PAGE]),
}


@pytest.mark.parametrize("name", CALLS)
def test_few_rows_are_looked_at(large: Execution, name: str) -> None:
    count, found = looked_at(lambda: CALLS[name](large))
    assert found
    assert count <= FEW, f"{count} rows are looked at"


def test_lost_tasks_are_found_some_at_a_time(large: Execution) -> None:
    count, reaped = looked_at(lambda: rows.reap(PAGE))
    assert reaped == PAGE
    assert count <= 20 * PAGE, f"{count} rows are looked at"


def test_what_waits_is_counted_by_what_waits(large: Execution) -> None:
    count, found = looked_at(monitor.queues)
    assert {queue.job_type: queue.count for queue in found}["RETENTION"] == WAITING
    assert count <= WAITING + FEW


def test_history_is_forgotten_some_at_a_time(large: Execution) -> None:
    """By what goes, not by what there is."""
    before = Task.objects.count()
    count, forgotten = looked_at(lambda: ticks.history_forget(limit=10))
    gone = before - Task.objects.count()
    assert forgotten == 10
    assert gone == 10 * TASKS // 2 // OLD
    assert count <= 10 * gone + FEW, f"{count} rows are looked at"


def test_a_stop_is_at_once_whatever_waits(large: Execution) -> None:
    """Of what waits a batch is stopped; the tick goes on with the rest."""
    count, _ = looked_at(lambda: jobs.stop(large.pk))
    assert count <= 10 * rows.BATCH, f"{count} rows are looked at"
    assert not large.tasks.filter(status=Status.RUNNING, ended_at__isnull=False).exists()
    stopped = looked_at(rows.stops_go_on)
    assert stopped[0] <= 10 * rows.BATCH, f"{stopped[0]} rows are looked at"
    assert stopped[1] == rows.BATCH
