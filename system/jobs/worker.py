"""The process that does tasks: who it is, how many it does at a time, whether it is about to end.

    main process   enlist()    how many tasks it does; be_seen() keeps its Worker row fresh
      +-- child    slot()      does tasks while it has one of the worker's slots
      +-- child
      +-- child                one more than there are slots, so that short work never waits for long work

A slot is a lock on a byte of a file in memory that all of them share: the kernel gives it back when a process dies.
"""

import fcntl
import logging
import mmap
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db.models.functions import Now

from harborlite.database.base import release
from system.models import Worker

logger = logging.getLogger(__name__)

HEARTBEAT = 15.0  # seconds


@dataclass
class _Listed:
    """What the main process said before it forked."""

    name: str
    slots: int
    queues: Sequence[str]
    file: int

    def take(self, place: int) -> bool:
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True

    def give_back(self, place: int) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, place)


_listed: _Listed | None = None
_ending = mmap.mmap(-1, 1)  # shared with the children


def name() -> str:
    """host:process number, of the main process."""
    return _listed.name if _listed else f"{socket.gethostname()}:{os.getpid()}"


def enlist(*, slots: int, queues: Sequence[str]) -> None:
    """This is the main process of a worker that does so many tasks at a time. To be called before it forks."""
    global _listed  # noqa: PLW0603 - once a process
    _listed = _Listed(name(), slots, tuple(sorted(queues)), os.memfd_create("slots"))


def be_seen() -> None:
    """The worker's row is there and stays fresh. To be called once it has forked: a thread does it."""
    threading.Thread(target=_be_seen, name="worker", daemon=True).start()


def delist() -> None:
    """The worker's row is gone, if the database can be told."""
    end()
    with suppress(Exception):
        Worker.objects.filter(name=name()).delete()


def _be_seen() -> None:
    if _listed is None:
        return
    row = Worker(name=name(), host=socket.gethostname(), process=os.getpid())
    row.concurrency, row.queues = _listed.slots, _listed.queues
    fields = ["host", "process", "concurrency", "queues", "seen_at"]
    while not is_ending():
        row.seen_at = Now()
        try:
            Worker.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=fields)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next time tries again
            logger.warning("this worker could not be written down: %s", str(error).strip())
        finally:
            release()
        time.sleep(HEARTBEAT)


def end() -> None:
    """Its tasks are handed over at their next step, and no more are begun. Called in the main process."""
    _ending[0] = 1


def is_ending() -> bool:
    return bool(_ending[0])


@contextmanager
def slot() -> Iterator[bool]:
    """Whether this process has, inside, one of the worker's slots."""
    if _listed is None:  # in a test
        yield True
        return
    place = next(filter(_listed.take, range(_listed.slots)), None)
    try:
        yield place is not None
    finally:
        if place is not None:
            _listed.give_back(place)
