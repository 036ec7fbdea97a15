"""`harborlite jobs`: its lines, and how it follows what is under way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from harborlite.cli.jobs import Job, Paper, Screen, clock, follow, line, read
from system import jobs
from system.models import Execution, Task

HALF = Job(
    number=7,
    title="RETENTION",
    state="Running",
    is_ended=False,
    has_failed=False,
    done=2000,
    total=4000,
    unit="tags",
    elapsed=40.0,
)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (HALF, "RETENTION 7  [############------------]   50 %  2,000/4,000 tags  50/s  0:40 left"),
        (replace(HALF, done=0, elapsed=0.0), "RETENTION 7  [------------------------]    0 %  0/4,000 tags"),
        (replace(HALF, total=None), "RETENTION 7  2,000 tags  50/s"),
        (replace(HALF, done=10), "RETENTION 7  [------------------------]    0 %  10/4,000 tags  0.2/s  4:26:00 left"),
        (replace(HALF, done=5000), "RETENTION 7  [########################]  100 %  5,000/4,000 tags  125/s"),
        (replace(HALF, state="paused", done=0, total=None), "RETENTION 7  paused"),
        (
            replace(HALF, state="Error: no"),
            "RETENTION 7  [############------------]   50 %  2,000/4,000 tags  Error: no",
        ),
    ],
)
def test_a_line(job: Job, expected: str) -> None:
    assert line(job, job.rate(), 200) == expected


def test_a_line_is_as_wide_as_the_terminal() -> None:
    assert len(line(HALF, 50, 20)) == 20


def test_a_rate_is_since_then() -> None:
    assert replace(HALF, done=3000, elapsed=60.0).rate(HALF) == 50
    assert HALF.rate(HALF) == 50
    assert replace(HALF, done=0, elapsed=60.0).rate(HALF) == 0


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0:00"), (61.9, "1:01"), (3600, "1:00:00")])
def test_a_clock(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


def story(*moments: list[Job]) -> Callable[[Sequence[int]], list[Job]]:
    told: Iterator[list[Job]] = iter(moments)
    return lambda also: next(told)


MORE = replace(HALF, done=3000, elapsed=50.0)
DONE = replace(HALF, done=4000, elapsed=60.0, state="Success", is_ended=True)


def test_paper_gets_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    slept: list[float] = []
    assert follow(story([HALF], [HALF], [MORE], [DONE]), Paper(), slept.append) == 0
    assert [text.split("  ")[-1] for text in capsys.readouterr().out.splitlines()] == [
        "0:40 left",
        "0:10 left",
        "Success",
    ]
    assert len(slept) == 3


def test_a_screen_is_drawn_over_and_what_has_ended_stays(capsys: pytest.CaptureFixture[str]) -> None:
    other = replace(HALF, number=8)
    follow(story([HALF, other], [DONE, other], [replace(DONE, number=8)]), Screen(), lambda _: None)
    first, second, third = capsys.readouterr().out.split("\x1b[J")
    assert first.count("\n") == 2
    assert first.endswith("\x1b[2A")
    assert second.endswith("\x1b[1A")
    assert "Success" in second.splitlines()[0]
    assert third.splitlines()[-1] == "nothing is under way"


def test_following_one_that_fails_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(DONE, state="Error: no", has_failed=True)
    assert follow(story([HALF, replace(HALF, number=8)], [failed, DONE]), Paper(), lambda _: None) == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_read() -> None:
    plain = jobs.start("SCRUB")
    many = jobs.start("RETENTION", vendor_id=3, tasks=[jobs.NewTask(unit="tags")] * 4)
    Task.objects.filter(execution=many).update(total=10, done=5)
    vague = jobs.start("RETENTION", vendor_id=4, tasks=[jobs.NewTask()] * 4)
    gone = jobs.start("PURGE_AUDIT_LOG")
    jobs.stop(gone.pk)
    jobs.pause("SCRUB")
    Execution.objects.filter(pk=many.pk).update(status="Running", started_at=Now() - timedelta(seconds=10))
    found = {job.number: job for job in read([])}
    assert set(found) == {plain.pk, many.pk, vague.pk}
    assert (found[plain.pk].state, found[plain.pk].total) == ("paused", None)
    assert (found[many.pk].done, found[many.pk].total, found[many.pk].unit) == (20, 40, "tags")
    assert found[many.pk].elapsed == pytest.approx(10, abs=5)
    assert (found[vague.pk].done, found[vague.pk].total, found[vague.pk].unit) == (0, 4, "tasks")
    assert [(job.state, job.is_ended) for job in read([gone.pk]) if job.number == gone.pk] == [("Stopped", True)]
