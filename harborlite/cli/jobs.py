"""`harborlite jobs`: what is under way, how far it is, how fast it goes."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harborlite.cli.output import Failure, show

INTERVAL = 1.0  # seconds
BAR = 24  # characters
_UP, _CLEAR = "\x1b[{}A", "\x1b[J"


@dataclass(frozen=True, slots=True)
class Job:
    """An execution at some moment."""

    number: int
    title: str
    state: str
    is_ended: bool
    has_failed: bool
    done: int
    total: int | None
    """None while nobody knows."""
    unit: str
    elapsed: float
    """Seconds since it was begun."""

    @property
    def fraction(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total else None

    def rate(self, since: "Job | None" = None) -> float:
        """Units a second, since that moment or since it was begun."""
        done, elapsed = (since.done, since.elapsed) if since and since.elapsed < self.elapsed else (0, 0.0)
        return max(0, self.done - done) / (self.elapsed - elapsed) if self.elapsed else 0.0


Read = Callable[[Sequence[int]], list[Job]]
"""Those that are under way, and those so numbered though they have ended."""


def jobs(options: argparse.Namespace) -> int:
    """Shows them once, or follows them until none is under way; then 1 when one of these has failed."""
    import django

    django.setup()
    from django.db import DatabaseError

    try:
        if options.follow:
            return follow(read, Screen() if sys.stdout.isatty() else Paper(), time.sleep)
        found = read(())
    except DatabaseError as error:
        raise Failure(f"the database does not answer: {' '.join(str(error).split())}") from error
    width = Screen.width() if sys.stdout.isatty() else None
    show("\n".join(line(job, job.rate(), width) for job in found) or "nothing is under way")
    return 0


class Board(Protocol):
    def width(self) -> int | None:
        """Characters that a line may have; None for any number."""

    def draw(self, jobs: Sequence[Job], lines: Sequence[str]) -> None:
        """This is how it is now."""


class Screen:
    """A terminal: lines are drawn over, and those of jobs that have ended stay above."""

    def __init__(self) -> None:
        self._moving = 0

    @staticmethod
    def width() -> int | None:
        return shutil.get_terminal_size().columns

    def draw(self, jobs: Sequence[Job], lines: Sequence[str]) -> None:
        told = list(zip(jobs, lines, strict=True))
        over = _UP.format(self._moving) + _CLEAR if self._moving else ""
        moving = [text for job, text in told if not job.is_ended]
        show(over + "\n".join([*(text for job, text in told if job.is_ended), *(moving or ["nothing is under way"])]))
        self._moving = len(moving)


class Paper:
    """A file or a pipe: a line is written when a job's state or percent has changed."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[str, int]] = {}

    @staticmethod
    def width() -> int | None:
        return None

    def draw(self, jobs: Sequence[Job], lines: Sequence[str]) -> None:
        for job, text in zip(jobs, lines, strict=True):
            news = job.state, int(100 * (job.fraction or 0))
            if self._said.get(job.number) != news:
                self._said[job.number] = news
                show(text)


def follow(read: Read, board: Board, sleep: Callable[[float], None]) -> int:
    """Until none is under way. Rates are those since it looked first."""
    first: dict[int, Job] = {}
    failed, under_way = False, list[int]()
    while True:
        found = read(under_way)
        rates = [job.rate() if job.is_ended else job.rate(first.setdefault(job.number, job)) for job in found]
        board.draw(found, [line(job, rate, board.width()) for job, rate in zip(found, rates, strict=True)])
        failed = failed or any(job.has_failed for job in found)
        under_way = [job.number for job in found if not job.is_ended]
        if not under_way:
            return int(failed)
        sleep(INTERVAL)


def line(job: Job, rate: float, width: int | None) -> str:
    """RETENTION 12  [######------------------]  25 %  1,000/4,000 tags  50/s  1:00 left"""
    words = [f"{job.title} {job.number}"]
    if job.fraction is not None:
        filled = int(BAR * job.fraction)
        words += [f"[{'#' * filled}{'-' * (BAR - filled)}]", f"{int(100 * job.fraction):3} %"]
    if job.done or job.total:
        of = f"{job.done:,}" if job.total is None else f"{job.done:,}/{job.total:,}"
        words.append(f"{of} {job.unit}".strip())
    if job.state != "Running":
        words.append(job.state)
    elif rate:
        words.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if job.total and job.total > job.done:
            words.append(f"{clock((job.total - job.done) / rate)} left")
    return "  ".join(words)[:width]


def clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def read(also: Sequence[int]) -> list[Job]:
    """From the database."""
    from django.db.models import Count, Max, Q, Sum
    from django.db.models.functions import Now

    from system.models import Execution, PausedKind

    found = Execution.objects.filter(Q(ended_at=None) | Q(pk__in=also)).order_by("pk")
    rows = found.annotate(
        now=Now(),
        tasks_made=Count("tasks"),
        tasks_ended=Count("tasks", filter=~Q(tasks__ended_at=None)),
        tasks_vague=Count("tasks", filter=Q(tasks__total=None)),
        units_done=Sum("tasks__done"),
        units=Sum("tasks__total"),
        unit=Max("tasks__unit"),
    )
    paused = set(PausedKind.objects.values_list("kind", flat=True))
    return [_job(row, is_paused=row.kind in paused) for row in rows]


def _job(row: Any, *, is_paused: bool) -> Job:
    done, total, unit = row.units_done, None if row.tasks_vague else row.units, row.unit
    if total is None and row.tasks_made > 1:
        done, total, unit = row.tasks_ended, row.tasks_made, "tasks"
    is_ended = row.ended_at is not None
    state = row.status
    if row.is_stopping and not is_ended:
        state = "stopping"
    elif is_paused and row.started_at is None and not is_ended:
        state = "paused"
    elif row.status_message:
        state = f"{state}: {row.status_message.splitlines()[0]}"
    return Job(
        number=row.pk,
        title=f"{row.kind} of {row.vendor_id}," if row.vendor_id else row.kind,
        state=state,
        is_ended=is_ended,
        has_failed=row.status == "Error",
        done=done,
        total=total,
        unit=unit,
        elapsed=((row.ended_at or row.now) - row.started_at).total_seconds() if row.started_at else 0.0,
    )
