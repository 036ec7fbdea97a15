"""Telling workers that something waits for them. It may fail and be lost: system.tick tells them again.

    nudge(queue) -- commit --> a set of queues -- thread --> broker --> system.work(queue) in a worker

A thread, because nobody who changes something shall wait for a broker that does not answer.
"""

import logging
import os
import threading
from functools import cache

from celery import Celery
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

WORK = "system.work"
LIFE = 2 * 3600  # seconds a message is good for, by hosts' clocks that need not agree; the tick sends others


def nudge(queue: str) -> None:
    """Once the caller's transaction has committed, a worker is told that something waits in the queue."""
    transaction.on_commit(lambda: _sender.send(queue), robust=True)


@cache
def _app() -> Celery:
    app = Celery("nudges", set_as_current=False)
    app.config_from_object(settings.CELERY)
    # One try and no more: what fails now is told again by the tick.
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "max_retries": 0}
    return app


class Sender:
    """A thread, begun when there is something to send, and what it is to send: each queue once."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._waiting: set[str] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def send(self, queue: str) -> None:
        """Soon a worker is told; at once this returns."""
        with self._changed:
            self._waiting.add(queue)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nudges", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                queue = self._waiting.pop()
            try:
                _app().send_task(WORK, [queue], queue=queue, expires=LIFE, retry=False, ignore_result=True)
            except Exception as error:  # noqa: BLE001 - however it fails, the tick tells them again
                logger.warning("no worker could be told that something waits in %s: %s", queue, str(error).strip())


_sender = Sender()
