"""Workers, schedulers, broker and database as processes that die, sleep and come back: each job is done once (I8).

Every task makes its effects one a step; whatever happens, in the end each is there once, in order.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.product import parent_of, processes_of, wait_for
from tests.workers.yard import Yard

PATIENCE = 60.0  # seconds in which a task that lost its worker is done, also on a crowded machine


def assert_once(yard: Yard, execution: int, items: int | None = None) -> list[dict[str, Any]]:
    """Each effect of each task is there once, in order; the effects."""
    told, effects = yard.execution(execution), yard.effects(execution)
    for task in told["tasks"]:
        expected = list(range(task["arguments"]["items"] if items is None else items))
        assert [effect["item"] for effect in effects if effect["task"] == task["id"]] == expected, told
        assert task["lease_until"] is None
    return effects


def task_of(yard: Yard, execution: int) -> dict[str, Any]:
    (task,) = yard.execution(execution)["tasks"]
    return task


def at_work(yard: Yard, execution: int) -> int:
    """The number of the process that did the last effect."""
    return int(yard.effects(execution)[-1]["process"])


def test_a_killed_process_of_the_pool(yard: Yard) -> None:
    yard.worker()
    yard.beat()
    execution = yard.start("TEST", {"items": 12, "rest": 0.3})
    yard.wait_for_effects(execution, 3)
    victim = at_work(yard, execution)
    os.kill(victim, signal.SIGKILL)
    yard.wait(execution, seconds=PATIENCE)
    effects = assert_once(yard, execution)
    assert effects[-1]["process"] != victim
    task = task_of(yard, execution)
    assert (task["attempt"], task["fence"]) == (1, 2)


def test_a_killed_worker_in_the_middle_of_a_step(yard: Yard) -> None:
    first = yard.worker()
    yard.beat()
    execution = yard.start("TEST", {"items": 4, "hold": 1})
    yard.wait_for_effects(execution, 1)
    first.kill()
    yard.worker()
    yard.wait(execution, seconds=PATIENCE)
    assert len({effect["process"] for effect in assert_once(yard, execution)}) == 2


def test_a_worker_that_kills_itself_on_a_task_gives_it_up(yard: Yard) -> None:
    """A task that costs every worker its life is an error after its attempts, and the workers go on."""
    yard.worker()
    yard.beat()
    execution = yard.start("TEST", {"items": 1, "dies": True})

    def hurry() -> bool:
        yard.clerk("hurry")
        return yard.execution(execution)["status"] == "Error"

    wait_for("the execution is an error", hurry, 2 * PATIENCE, told=yard.said)
    told = yard.execution(execution)
    assert "was lost" in told["status_message"]
    assert task_of(yard, execution)["attempt"] == 4
    other = yard.start("TEST", {"items": 2})
    yard.wait(other)


@pytest.mark.parametrize("arguments", [{"items": 12, "rest": 0.3}, {"items": 4, "hold": 1}], ids=["between", "within"])
def test_a_worker_that_sleeps_longer_than_its_lease_is_fenced_off(yard: Yard, arguments: dict[str, Any]) -> None:
    """Asleep within a step it has the row locked, until the database ends its idle transaction."""
    sleeper = yard.worker()
    yard.beat()
    execution = yard.start("TEST", arguments)
    yard.wait_for_effects(execution, 2 if "rest" in arguments else 1)
    process = at_work(yard, execution)
    if "hold" in arguments:
        time.sleep(0.3)  # into the next step
    sleeper.signal(signal.SIGSTOP)
    asleep = len(yard.effects(execution))
    other = yard.worker()
    yard.wait_for_effects(execution, asleep + 1)
    sleeper.signal(signal.SIGCONT)
    yard.wait(execution, seconds=PATIENCE)
    effects = assert_once(yard, execution)
    assert process not in {effect["process"] for effect in effects[asleep:]}
    assert task_of(yard, execution)["attempt"] == 1
    wait_for("the sleeper notices", lambda: "another worker has it" in sleeper.said(), told=yard.said)
    following = yard.start("TEST", {"items": 1})
    yard.wait(following)
    assert other.process.poll() is None
    assert sleeper.process.poll() is None


def test_a_rolling_restart_hands_over(yard: Yard) -> None:
    first = yard.worker()
    yard.beat()
    execution = yard.start("OTHER", {"items": 40, "rest": 0.2}, {"items": 40, "rest": 0.2})
    yard.wait_for_effects(execution, 6)
    yard.worker()
    asked = time.monotonic()
    assert first.end() == 0
    assert time.monotonic() - asked < 10
    yard.wait(execution, seconds=PATIENCE)
    effects = assert_once(yard, execution)
    assert len({effect["process"] for effect in effects}) >= 3
    assert [task["attempt"] for task in yard.execution(execution)["tasks"]] == [0, 0]
    assert [worker["concurrency"] for worker in yard.clerk("workers")] == [2]


def test_two_schedulers_and_two_workers_make_one_run_of_a_tick(yard: Yard) -> None:
    for program in (yard.worker, yard.worker, yard.beat, yard.beat):
        program()
    yard.clerk("schedule", kind="OTHER", cron="*/5 * * * * *", items=1)
    yard.clerk("schedule", kind="TEST", cron="*/5 * * * * *", items=2)
    for kind, items in (("OTHER", 1), ("TEST", 2)):
        wait_for("four ticks", lambda: len(yard.clerk("executions", kind=kind)) >= 4, 90, told=yard.said)  # noqa: B023
        tick = "floor(extract(epoch FROM created_at) / 5) AS tick"
        made = yard.clerk("ask", sql=f"SELECT id, {tick} FROM system_execution WHERE kind = '{kind}'")
        assert len(made) == len({row["tick"] for row in made}), made
        for row in made:
            yard.wait(row["id"])
            assert_once(yard, row["id"], items)


def kill(yard: Yard) -> Callable[[], None]:
    assert yard.broker.process is not None
    yard.broker.process.kill()
    yard.broker.process.wait()
    return yard.broker.start


def flush(yard: Yard) -> Callable[[], None]:
    yard.clerk("broker_flush")
    return lambda: None


def freeze(yard: Yard) -> Callable[[], None]:
    assert yard.broker.process is not None
    process = yard.broker.process
    process.send_signal(signal.SIGSTOP)
    return lambda: process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("hurt", [kill, flush, freeze])
def test_the_broker_is_gone_for_a_while(yard: Yard, hurt: Callable[[Yard], Callable[[], None]]) -> None:
    """What runs, runs on; what is started meanwhile waits, at nobody's cost; then all of it is done once."""
    yard.worker()
    yard.beat()
    before = yard.start("TEST", {"items": 30, "rest": 0.2})
    yard.wait_for_effects(before, 2)
    heal = hurt(yard)
    try:
        asked = time.monotonic()
        during = yard.start("OTHER", *[{"items": 3}] * 5)
        assert time.monotonic() - asked < 1
        yard.wait(before)
    finally:
        heal()
    yard.wait(during, seconds=90)
    for execution in (before, during):
        assert_once(yard, execution)
    assert [task["fence"] for task in yard.execution(during)["tasks"]] == [1] * 5
    after = yard.start("TEST", {"items": 1})
    yard.wait(after)


def test_the_database_is_gone_for_a_while(yard: Yard) -> None:
    yard.worker()
    yard.beat()
    execution = yard.start("TEST", {"items": 30, "rest": 0.2})
    yard.wait_for_effects(execution, 3)
    yard.database.stop()
    time.sleep(3)
    yard.database.start()
    wait_for("the clerk is well", lambda: yard.clerk("is_well"))
    yard.wait(execution, seconds=PATIENCE)
    assert_once(yard, execution)


def test_a_running_task_is_stopped(yard: Yard) -> None:
    yard.worker()
    execution = yard.start("TEST", {"items": 1000, "rest": 0.1}, {"items": 1000})
    yard.wait_for_effects(execution, 3)
    yard.clerk("stop", execution=execution)
    told = yard.wait(execution, "Stopped", 10)
    done = len(yard.effects(execution))
    assert {task["status"] for task in told["tasks"]} <= {"Stopped", "Success"}
    time.sleep(0.5)
    assert len(yard.effects(execution)) == done


def test_short_work_does_not_wait_for_jobs(yard: Yard) -> None:
    """Both slots are taken by long jobs; schedules still begin, and a third job waits for a slot."""
    yard.worker()
    yard.beat()
    long = yard.start("OTHER", {"items": 1000, "rest": 0.1}, {"items": 1000, "rest": 0.1})
    yard.wait_for_effects(long, 4)
    assert len({effect["process"] for effect in yard.effects(long)}) == 2
    yard.clerk("schedule", kind="TEST", cron="*/5 * * * * *", items=1)
    wait_for("a run of the schedule", lambda: bool(yard.clerk("executions", kind="TEST")), 40, told=yard.said)
    time.sleep(1)
    assert set(yard.clerk("executions", kind="TEST")) == {"Pending"}
    yard.clerk("stop", execution=long)
    wait_for("its turn", lambda: "Success" in yard.clerk("executions", kind="TEST"), 40, told=yard.said)


def test_a_worker_does_the_work_of_its_queues(yard: Yard) -> None:
    yard.worker("--queues", "retention")
    other, own = yard.start("TEST", {"items": 1}), yard.start("OTHER", {"items": 1})
    yard.wait(own)
    assert yard.execution(other)["status"] == "Pending"
    (worker,) = yard.clerk("workers")
    assert worker["queues"] == ["retention"]


def test_a_worker_is_listed_while_it_is_there(yard: Yard) -> None:
    program = yard.worker()
    wait_for("it is listed", lambda: len(yard.clerk("workers")) == 1, told=yard.said)
    (worker,) = yard.clerk("workers")
    assert (worker["process"], worker["concurrency"]) == (program.process.pid, 2)
    execution = yard.start("TEST", {"items": 20, "rest": 0.1})
    yard.wait_for_effects(execution, 1)
    assert task_of(yard, execution)["worker"] == worker["name"]
    assert program.end() == 0
    assert yard.clerk("workers") == []


def test_nothing_is_left_of_a_killed_worker(yard: Yard) -> None:
    program = yard.worker()
    execution = yard.start("TEST", {"items": 100, "rest": 0.1})
    yard.wait_for_effects(execution, 1)
    children = [process for process in processes_of(yard.data) if parent_of(process) == program.process.pid]
    assert len(children) == 3
    program.process.kill()
    wait_for("its children are gone", lambda: not set(children) & set(processes_of(yard.data)))


def test_the_command_follows_what_is_under_way(yard: Yard) -> None:
    yard.worker()
    execution = yard.start("TEST", {"items": 20, "rest": 0.2})
    yard.wait_for_effects(execution, 1)
    told = yard.command("jobs", "--follow")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert len(lines) >= 2
    assert all(text.startswith(f"TEST {execution}  [") and "/20 effects" in text for text in lines)
    assert lines[-1].endswith("Success")
    assert yard.command("jobs").stdout == "nothing is under way\n"
