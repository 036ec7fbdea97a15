"""A task being done: what its handler gets, and what surrounds it.

perform --- heartbeat renews the lease, in a thread ---------------------------------+
   handler(run)                                                                      |
      with run.step():        one durable transaction; it begins with the question   |
         ... writes ...       whether the task is still ours, and ends with what     |
         run.save(after=7)    the run has to say: progress, checkpoint, log, result  |
      ... slow things ...     outside of any transaction                             |
      run.check()             the question alone                                     |
   settle <--------------------------------------------------------------------------+
"""

import copy
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from harborlite import origin
from harborlite.actors import OPERATOR
from harborlite.database.base import release
from system.jobs import handlers, rows, worker
from system.jobs.handlers import handles
from system.jobs.nudges import nudge
from system.jobs.rows import Fenced, Leave, NewTask, Stopped
from system.models import Status, Task, TaskLog

__all__ = ["Fenced", "HandedOver", "Leave", "NewTask", "Run", "Stopped", "handles", "work"]

logger = logging.getLogger(__name__)

NOBODY = "scheduler"
"""Who does what a schedule has begun."""
SHIFT = 300.0  # seconds
PATIENCE = 120.0  # seconds for the database to come back, before the end of a task is left to its lease


class HandedOver(Leave):
    """This worker is about to end; another one is to go on."""


class Run:
    """A task that this worker has claimed, for its handler.

    All that a handler writes, it writes in steps. What it says about itself outside of one is a step of its own.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.execution = task.execution
        self.arguments: dict[str, Any] = task.arguments
        self.parameters: dict[str, Any] = task.execution.parameters
        self.checkpoint: dict[str, Any] = task.checkpoint
        """As the last step left it, of whatever worker."""
        self._is_open = False
        self._said: dict[str, Any] = {}
        self._lines: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """One durable transaction. Fenced, Stopped, HandedOver: the handler is to end, and nothing is written."""
        _leave_if_ending()
        before = copy.deepcopy(self.checkpoint)
        try:
            with transaction.atomic(durable=True):
                rows.hold(self.task)
                self._is_open = True
                yield
                self._say()
        except BaseException:
            self.checkpoint = before
            raise
        finally:
            self._is_open = False
            self._said, self._lines = {}, []

    def check(self) -> None:
        """Fenced, Stopped, HandedOver as a step. Between slow things: no connection is held afterwards."""
        _leave_if_ending()
        rows.ask(self.task)
        if not connection.in_atomic_block:
            release()

    def progress(self, *, done: int | None = None, total: int | None = None, unit: str | None = None) -> None:
        """How far it is, `done` and `total` in the same unit; what is not given stays."""
        given = {"done": done, "total": total, "unit": unit}
        with self._step():
            self._said |= {name: value for name, value in given.items() if value is not None}

    def save(self, **checkpoint: Any) -> None:
        """From here the next worker goes on; what is not given stays."""
        with self._step():
            self.checkpoint |= checkpoint
            self._said["checkpoint"] = self.checkpoint

    def result(self, **values: Any) -> None:
        """What came of it; what is not given stays."""
        with self._step():
            self._said["result"] = self._said.get("result", self.task.result) | values

    def log(self, text: str) -> None:
        with self._step():
            self._lines.append(text)

    def add(self, *tasks: NewTask) -> None:
        """The execution has these tasks too."""
        with self._step():
            rows.insert(self.execution, tasks)
            nudge(self.task.queue)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """The step that is open, or one of its own."""
        if self._is_open:
            yield
        else:
            with self.step():
                yield

    def _say(self) -> None:
        if self._said:
            Task.objects.filter(pk=self.task.pk).update(**self._said, updated_at=Now())
            self.task.result = self._said.get("result", self.task.result)
        TaskLog.objects.bulk_create(TaskLog(task=self.task, text=rows.clean(line)) for line in self._lines)


def _leave_if_ending() -> None:
    if worker.is_ending():
        raise HandedOver


def work(queue: str) -> None:
    """Tasks of the queue are done while this worker has a slot for it: until none is due, or for a SHIFT."""
    until = time.monotonic() + SHIFT
    with worker.slot() as has_slot:
        is_first = True
        while has_slot and not worker.is_ending() and (task := rows.claim(queue, worker.name())):
            if is_first and rows.is_due(queue):
                nudge(queue)  # for one more process, which may do the same
            is_first = False
            perform(task)
            if time.monotonic() > until:
                nudge(queue)
                return


def perform(task: Task) -> None:
    """The handler has done what it could for the task, and the rows say what came of it."""
    username = task.execution.username or NOBODY
    with origin.began(origin.Origin(replace(OPERATOR, username=username))), _heartbeat(task):
        status, message, log = _outcome(task)
        if status is not None:
            _settle(task, status, message, log)


def _outcome(task: Task) -> tuple[Status | None, str, str]:
    try:
        handlers.handler(task.name).work(Run(task))
    except Fenced:
        logger.warning("task %d (%s): another worker has it", task.pk, task.name)
        return None, "", ""
    except Stopped:
        return Status.STOPPED, "", "Stopped"
    except HandedOver:
        return Status.PENDING, "", "Handed over: this worker ends"
    except Exception as error:
        logger.exception("task %d (%s) failed", task.pk, task.name)
        return Status.ERROR, f"{type(error).__name__}: {error}", traceback.format_exc()
    return Status.SUCCESS, "", ""


def _settle(task: Task, status: Status, message: str, log: str) -> None:
    """Also when the database is away for a while: what was done is not to be done again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if not rows.settle(task, status, message, log=log):
                logger.warning("task %d (%s): another worker has it", task.pk, task.name)
            elif status == Status.PENDING:
                nudge(task.queue)
        except (OperationalError, InterfaceError):
            if time.monotonic() > deadline or connection.in_atomic_block:
                raise
            logger.warning("task %d (%s): the database does not answer", task.pk, task.name)
            release()
            time.sleep(1)
        else:
            return


@contextmanager
def _heartbeat(task: Task) -> Iterator[None]:
    """Inside, the task's lease is renewed in time."""
    is_over = threading.Event()
    thread = threading.Thread(target=_beat, args=(task, is_over), name=f"lease of task {task.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _beat(task: Task, is_over: threading.Event) -> None:
    while not is_over.wait(settings.JOB_LEASE_SECONDS / 3):
        try:
            rows.renew(task)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next beat tries again
            logger.warning("task %d: its lease could not be renewed: %s", task.pk, str(error).strip())
        finally:
            release()
