"""Schedules: at their times, by the database's clock, they make executions; never two of one tick."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from harborlite.errors import BadRequest
from system import jobs
from system.jobs import rows, ticks
from system.jobs.cron import next_time
from system.models import Execution, Schedule
from tests.system.worker import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)

KIND = "PURGE_AUDIT_LOG"
DAILY = "0 0 0 * * *"


def schedule(**given: object) -> Schedule:
    return jobs.schedule_set(KIND, **{"type": "Daily", "cron": DAILY, **given})  # type: ignore[arg-type]


def comes(by: timedelta = timedelta(0)) -> datetime:
    """As if the time of every schedule had come that long ago."""
    at = rows.database_time() - by
    Schedule.objects.update(next_at=at)
    return at


def test_a_schedule_knows_its_next_time_in_its_zone() -> None:
    made = schedule(time_zone="Asia/Tokyo", parameters={"a": 1}, project_id=3)
    assert made.next_at is not None
    assert made.next_at.astimezone(UTC).strftime("%H:%M:%S") == "15:00:00"
    assert timedelta(0) < made.next_at - rows.database_time() <= timedelta(days=1)
    assert jobs.schedule_get(KIND) == made
    assert jobs.schedule_get(KIND, 1) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [({"cron": "0 0 * * *"}, "cron"), ({"cron": "0 0 0 31 2 *"}, "cron"), ({"time_zone": "Mars"}, "time_zone")],
)
def test_what_is_wrong_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadRequest, match=f"^{named}: "):
        schedule(**given)
    assert not Schedule.objects.exists()


def test_a_kind_that_is_none_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        jobs.schedule_set("NO_SUCH", type="Daily", cron=DAILY)


def test_its_time_makes_an_execution_of_it() -> None:
    schedule(parameters={"a": 1}, project_id=3, vendor_id=2)
    ticks.tick()
    assert not Execution.objects.exists()
    at = comes()
    ticks.tick()
    made = Execution.objects.get()
    assert (made.trigger, made.username, made.parameters) == ("SCHEDULE", "", {"a": 1})
    assert (made.vendor_id, made.project_id) == (2, 3)
    kept = Schedule.objects.get()
    assert kept.last_at == at
    assert kept.next_at == next_time(DAILY, "UTC", at)
    ticks.tick()
    assert Execution.objects.count() == 1


def test_ticks_that_were_missed_are_one() -> None:
    schedule(cron="*/5 * * * * *")
    comes(timedelta(days=3))
    assert ticks.schedules_begin() == 1
    assert ticks.schedules_begin() == 0
    now, after = rows.database_time(), Schedule.objects.get().next_at
    assert after is not None
    assert after > now - timedelta(seconds=1)


def test_ticks_at_once_make_one_execution() -> None:
    for vendor in range(6):
        schedule(vendor_id=vendor)
    comes()
    begun: list[int] = []
    barrier = threading.Barrier(6)

    def tick() -> None:
        barrier.wait()
        begun.append(ticks.schedules_begin())
        connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(begun) == Execution.objects.count() == 6


def test_a_run_that_is_still_under_way_takes_the_place_of_the_next() -> None:
    schedule()
    execution = jobs.start(KIND)
    comes()
    assert ticks.schedules_begin() == 0
    assert Execution.objects.get() == execution
    kept = Schedule.objects.get()
    assert kept.next_at is not None
    assert kept.next_at > rows.database_time()


def test_of_a_paused_kind_one_run_is_made_up_for_when_it_goes_on() -> None:
    for held in (KIND, "SCHEDULER"):
        made = schedule()
        comes(timedelta(days=2))
        jobs.pause(held)
        assert ticks.schedules_begin() == 0
        jobs.resume(held)
        assert ticks.schedules_begin() == 1
        jobs.stop(Execution.objects.latest("pk").pk)
        made.delete()


def test_one_that_is_off_makes_nothing_until_it_is_on() -> None:
    schedule()
    comes(timedelta(days=1))
    assert schedule(is_enabled=False).next_at is None
    assert ticks.schedules_begin() == 0
    on = schedule()
    assert on.next_at is not None
    assert on.next_at > rows.database_time()


def test_saving_the_same_times_again_does_not_lose_a_run_that_is_due() -> None:
    schedule()
    at = comes()
    assert schedule(parameters={"new": True}).next_at == at
    assert ticks.schedules_begin() == 1
    assert Execution.objects.get().parameters == {"new": True}


def test_other_times_are_other_runs() -> None:
    schedule()
    comes()
    schedule(cron="0 0 1 * * *")
    assert ticks.schedules_begin() == 0
    assert Schedule.objects.count() == 1


def test_one_whose_cron_is_none_any_more_is_switched_off_after_its_run() -> None:
    made = schedule()
    Schedule.objects.update(time_zone="Was/Renamed")
    comes()
    assert ticks.schedules_begin() == 1
    made.refresh_from_db()
    assert not made.is_enabled
    assert ticks.schedules_begin() == 0


def test_deleting_it_leaves_no_run() -> None:
    schedule()
    comes()
    jobs.schedule_delete(KIND)
    jobs.schedule_delete(KIND)
    assert ticks.schedules_begin() == 0


def test_it_is_written_in_the_callers_transaction() -> None:
    with transaction.atomic():
        schedule()
        transaction.set_rollback(True)
    assert not Schedule.objects.exists()
    assert run_jobs() == 0
