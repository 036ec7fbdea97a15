"""A worker in this process, for tests of handlers: it claims, leases and steps as the real one, at the test's word."""

from django.db.models.functions import Now

from system.jobs import rows, worker
from system.jobs.kinds import queues
from system.jobs.run import perform
from system.models import Execution, Status, Task


def run_jobs(*, later: bool = False) -> int:
    """All tasks that are due were performed, also those that these have added; how many that were.

    With `later` also those that wait because they failed: until each has ended.
    """
    performed = 0
    while True:
        if later:
            Task.objects.filter(status=Status.PENDING).update(due_at=Now())
        before = performed
        for queue in queues():
            while task := rows.claim(queue, worker.name()):
                perform(task)
                performed += 1
        if performed == before:
            return performed


def ended(execution: Execution) -> Execution:
    """The execution, after `run_jobs`."""
    run_jobs()
    execution.refresh_from_db()
    return execution
