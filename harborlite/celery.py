"""The Celery application: its queues, its beat table, and what a worker's processes do when they begin and end."""

import logging
import os
import signal
import time
from typing import Any

import django
from celery import Celery
from celery.beat import Scheduler
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.conf import settings

from harborlite.leash import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")
django.setup()

from system import events  # noqa: E402 - its models can be imported once Django is set up
from system.jobs import worker  # noqa: E402 - as above
from system.jobs.kinds import DEFAULT_QUEUE, queues  # noqa: E402 - as above

logger = logging.getLogger(__name__)

LIFE = 2 * 3600
"""Seconds after which a message is dropped that no worker has taken up: the next ones ask for the same work.

Reckoned by the hosts' clocks, which need not agree; so many are of short work, done in a moment after an outage."""

app = Celery("harborlite")
app.config_from_object(settings.CELERY)
app.conf.task_queues = {name: {"exchange": name, "routing_key": name} for name in queues()}
app.conf.task_default_queue = DEFAULT_QUEUE
app.conf.task_create_missing_queues = False
app.conf.beat_schedule = {
    name: {"task": name, "schedule": seconds, "options": {"expires": LIFE}}
    for name, seconds in (
        ("system.tick", 10.0),
        ("system.history", 60.0),
        ("registry.housekeeping", 60.0),
        ("projects.quotas_fold", 30.0),
    )
}
app.autodiscover_tasks()


class Metronome(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Sends each entry of the beat table every so many seconds, by a clock that nobody sets.

    Celery's own is silent for an hour when the host's clock is put back by one.
    """

    def tick(self, *_: object, **__: object) -> float:
        """What is due is sent; in how many seconds something will be."""
        for entry in self.schedule.values():
            now = time.monotonic()
            if now >= self._due.setdefault(entry.name, now):
                self._due[entry.name] = now + entry.schedule.run_every.total_seconds()
                try:
                    self.apply_async(entry, producer=self.producer, advance=False)
                except Exception as error:  # noqa: BLE001 - however it fails, it is sent again when it is due again
                    logger.warning("%s could not be sent: %s", entry.name, str(error).strip())
        return max(0.0, min(self._due.values()) - time.monotonic())

    def setup_schedule(self) -> None:
        self._due: dict[str, float] = {}
        super().setup_schedule()


@worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _enlist(sender: Any, **_: object) -> None:
    """The main process, before it forks. One process more than there are slots: short work never waits for jobs."""
    worker.enlist(slots=max(1, sender.concurrency - 1), queues=list(sender.app.amqp.queues.consume_from))


@worker_ready.connect  # type: ignore[untyped-decorator]  # as above
def _be_seen(**_: object) -> None:
    worker.be_seen()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # as above
def _hand_over(**_: object) -> None:
    worker.end()


@worker_shutdown.connect  # type: ignore[untyped-decorator]  # as above
def _delist(**_: object) -> None:
    worker.delist()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # as above
def _begin(**_: object) -> None:
    """A process of the pool is gone with its worker, also when that was killed; it sends on the events it makes."""
    die_with_parent(signal.SIGKILL)
    events.start()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # as above
def _end(**_: object) -> None:
    """Celery's processes end without Python's own farewell."""
    events.flush()
