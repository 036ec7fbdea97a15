"""Starts children in stages, starts those that die again, and stops all, the last stage first.

    stages   [[PostgreSQL], [Valkey], [worker, scheduler], [web server]]

The terminal, and who stops the process, reach only this process; the children are in sessions of their own. The
kernel tells them when this process is gone without having stopped them (harborlite.leash).
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from harborlite.cli.output import say

LONG_RUN = 60.0  # seconds; who dies after that is started again at once
MAX_WAIT = 30.0  # seconds between starts of one that keeps dying


class Startable(Protocol):
    """What the supervisor can start: an embedded server, or a program."""

    @property
    def name(self) -> str: ...
    @property
    def stop_signal(self) -> signal.Signals: ...
    @property
    def hurry_signal(self) -> signal.Signals | None: ...
    @property
    def stop_seconds(self) -> float: ...
    def spawn(self, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]: ...


class Asked(BaseException):
    """Somebody wants this process to stop; not an Exception, so that nothing takes it for an error."""


class Child:
    """One thing that shall run."""

    def __init__(self, what: Startable, process: subprocess.Popen[bytes]) -> None:
        self.what = what
        self.process: subprocess.Popen[bytes] | None = process
        self.started = time.monotonic()
        self.due = 0.0
        self._deaths = 0

    def look_after(self, keep_open: Sequence[int]) -> None:
        """It runs; or it is known when it is to be started again."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.started = now
                self.process = self.what.spawn(keep_open)
        elif (status := self.process.poll()) is not None:
            self.kill()
            self.process = None
            self._deaths = 1 if now - self.started > LONG_RUN else self._deaths + 1
            wait = min(MAX_WAIT, 2.0 ** (self._deaths - 1)) if self._deaths > 1 else 0.0
            self.due = now + wait
            say(f"{self.what.name} {_told(status)}; starting it again" + (f" in {wait:.0f} s" if wait else ""))

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def tell(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def hurry(self, times: int) -> None:
        """It ends without waiting for anybody: the first time by its own hand. What keeps data is not hurried."""
        if self.what.hurry_signal is None:
            return
        if times == 1:
            self.tell(self.what.hurry_signal)
        else:
            self.kill()

    def kill(self) -> None:
        """It, and what is in its session, end at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Supervisor:
    """Made once a process, on the main thread. `keep_open` are descriptors that every child inherits."""

    def __init__(self, keep_open: Sequence[int] = ()) -> None:
        self.keep_open = keep_open
        self.stages: list[list[Child]] = []
        self._asked = 0
        self._may_interrupt = False
        self._wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is what makes it wake us

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        if self._may_interrupt:
            self._may_interrupt = False
            raise Asked

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, whoever asks this process to stop makes it leave with Asked. For waiting; what starts is not cut."""
        self._may_interrupt = True
        try:
            if self._asked:
                raise Asked
            yield
        finally:
            self._may_interrupt = False

    def start(self, *what: Startable) -> None:
        """A new stage of running children."""
        self.stages.append([])
        for each in what:
            self.stages[-1].append(Child(each, each.spawn(self.keep_open)))

    def run_once(self, what: Startable) -> int:
        """Runs it to its end, and answers its status; killed when somebody asks to stop."""
        process = what.spawn(self.keep_open)
        try:
            with self.interruptible():
                return process.wait()
        finally:
            Child(what, process).kill()

    def run(self, announce: Callable[[], bool]) -> None:
        """Until somebody asks: what dies is started again. `announce` is called until it answers true."""
        announced = False
        while not self._asked:
            for stage in self.stages:
                for child in stage:
                    child.look_after(self.keep_open)
            announced = announced or announce()
            self._sleep(self._until_due() if announced else 0.1)

    def stop(self) -> None:
        """Nothing runs any more. Who asks again does not want to wait for transfers and tasks."""
        before = self._asked
        for stage in reversed(self.stages):
            for child in stage:
                if child.is_alive():
                    child.tell(child.what.stop_signal)
            deadline = time.monotonic() + max((child.what.stop_seconds for child in stage), default=0.0)
            heard = before
            while living := [child for child in stage if child.is_alive()]:
                is_late, is_new, heard = time.monotonic() > deadline, self._asked > heard, self._asked
                for child in living:
                    if is_late:
                        say(f"{child.what.name} did not stop: killed")
                        child.kill()
                    elif is_new:
                        child.hurry(self._asked - before)
                self._sleep(0.5)
            for child in stage:
                child.kill()  # what is left in its session

    def _until_due(self) -> float:
        dead = [child.due for stage in self.stages for child in stage if child.process is None]
        return max(0.0, min(dead, default=time.monotonic() + 5.0) - time.monotonic())

    def _sleep(self, seconds: float) -> None:
        """Until something happens to this process or a child, or the time has passed."""
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 4096)


def _told(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
