"""Executions and tasks through their states, in this process; tests/workers does the same to real processes."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from harborlite import origin
from harborlite.actors import OPERATOR
from harborlite.errors import Conflict, NotFound
from system import jobs, queries
from system.events import emit
from system.jobs import handlers, rows
from system.jobs.kinds import KINDS
from system.jobs.nudges import nudge
from system.jobs.run import Fenced, NewTask, Run, Stopped, handles, perform
from system.jobs.ticks import history_forget, tick
from system.models import Configuration, Event, Execution, Status, Task, TaskLog
from tests.system.worker import ended, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)

KIND = "PURGE_AUDIT_LOG"


class Register(Protocol):
    def __call__(
        self, work: Callable[[Run], object], name: str = ..., finish: Callable[[Execution], None] | None = ...
    ) -> None: ...


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Lets a function do the tasks of a name."""
    handlers.load()
    monkeypatch.setattr(handlers, "HANDLERS", dict(handlers.HANDLERS))

    def register(
        work: Callable[[Run], object], name: str = KIND, finish: Callable[[Execution], None] | None = None
    ) -> None:
        handles(name, finish=finish)(work)  # type: ignore[arg-type]

    return register


def write(run: Run, key: str) -> None:
    """Something that a handler writes."""
    with run.step():
        Configuration.objects.create(key=key, value=run.task.fence)


def written() -> set[str]:
    return set(Configuration.objects.values_list("key", flat=True))


def claim(queue: str = "system", worker: str = "one") -> Task:
    task = rows.claim(queue, worker)
    assert task is not None
    return task


def time_passes(seconds: int) -> None:
    """As if so much time had gone by for every lease."""
    by = timedelta(seconds=seconds)
    Task.objects.update(lease_until=F("lease_until") - by, due_at=F("due_at") - by)


def test_a_job_is_done_once_with_what_it_was_given(does: Register) -> None:
    seen = []
    does(lambda run: seen.append((run.parameters, run.arguments)))
    execution = jobs.start(KIND, parameters={"a": 1}, tasks=[NewTask(arguments={"b": 2})])
    assert (execution.status, execution.is_single) == (Status.PENDING, True)
    assert run_jobs() == 1
    assert run_jobs() == 0
    execution.refresh_from_db()
    assert seen == [({"a": 1}, {"b": 2})]
    assert execution.status == Status.SUCCESS
    assert execution.started_at is not None
    assert execution.ended_at is not None


def test_a_job_whose_start_was_rolled_back_does_not_exist() -> None:
    with transaction.atomic():
        jobs.start(KIND)
        transaction.set_rollback(True)
    assert not Execution.objects.exists()
    assert not Task.objects.exists()


def test_a_single_kind_has_one_execution_under_way_for_each_policy(does: Register) -> None:
    does(lambda run: None, "RETENTION")
    jobs.start("RETENTION", vendor_id=1)
    jobs.start("RETENTION", vendor_id=2)
    with transaction.atomic():
        with pytest.raises(Conflict):
            jobs.start("RETENTION", vendor_id=1)
        assert Execution.objects.count() == 2  # the caller's transaction goes on
    run_jobs()
    jobs.start("RETENTION", vendor_id=1)


def test_a_job_needs_a_task() -> None:
    with pytest.raises(ValueError, match="never end"):
        jobs.start(KIND, tasks=[])


def test_who_asked_is_known_and_does_it(does: Register) -> None:
    does(lambda run: emit("update", "project", "p"))
    actor = replace(OPERATOR, username="jane")
    with origin.began(origin.Origin(actor)):
        execution = jobs.start(KIND)
    run_jobs()
    assert execution.username == "jane"
    assert Event.objects.get().username == "jane"


def test_what_a_run_says_is_written_with_its_step(does: Register) -> None:
    def work(run: Run) -> None:
        with run.step():
            run.progress(done=1, total=3, unit="things")
            run.save(at=1, here=True)
            run.result(made=1)
            run.log("one\x00")
            assert Task.objects.get().done == 0
        run.progress(done=2)
        run.save(at=2)
        run.result(lost=0)
        run.log("two\nlines")

    does(work)
    execution = ended(jobs.start(KIND))
    task = Task.objects.get()
    assert (task.done, task.total, task.unit) == (2, 3, "things")
    assert task.checkpoint == {"at": 2, "here": True}
    assert execution.result == {"made": 1, "lost": 0}
    told = [line.partition(" ")[2] for line in queries.log_of(execution)]
    assert told == ["one?", "two", "lines"]
    assert list(queries.log_of(task)) == list(queries.log_of(execution))


def test_a_step_that_fails_writes_nothing_and_says_nothing(does: Register) -> None:
    def work(run: Run) -> None:
        run.save(at=1)
        with contextlib.suppress(RuntimeError), run.step():
            Configuration.objects.create(key="x", value=1)
            run.save(at=2)
            run.progress(done=7)
            run.log("never")
            raise RuntimeError
        assert run.checkpoint == {"at": 1}

    does(work)
    ended(jobs.start(KIND))
    task = Task.objects.get()
    assert (task.checkpoint, task.done, task.status) == ({"at": 1}, 0, Status.SUCCESS)
    assert not TaskLog.objects.exists()
    assert written() == set()


def test_an_error_is_tried_again_later_from_the_checkpoint_and_then_an_error(does: Register) -> None:
    seen = []

    def work(run: Run) -> None:
        seen.append(run.checkpoint.get("at", 0))
        run.save(at=len(seen))
        raise ValueError("no \x00 good")

    does(work)
    execution = jobs.start(KIND)
    assert run_jobs() == 1
    task = Task.objects.get()
    assert (task.status, task.attempt, task.ended_at) == (Status.PENDING, 1, None)
    wait = (task.due_at - task.updated_at).total_seconds()
    assert 5 <= wait <= 10
    assert run_jobs() == 0
    run_jobs(later=True)
    execution.refresh_from_db()
    assert seen == [0, 1, 2, 3, 4]
    assert (execution.status, execution.status_message) == (Status.ERROR, "ValueError: no ? good")
    assert any("Traceback" in line for line in queries.log_of(execution))


def test_waits_grow_to_a_bound() -> None:
    assert rows.wait(0).total_seconds() == 0
    for attempt, most in ((1, 10), (2, 20), (5, 160), (40, 600)):
        assert most / 2 <= rows.wait(attempt).total_seconds() <= most


def test_a_task_nobody_can_do_is_an_error_in_the_end() -> None:
    execution = jobs.start(KIND, tasks=[NewTask("NO_SUCH")])
    run_jobs(later=True)
    execution.refresh_from_db()
    assert execution.status == Status.ERROR
    assert "NO_SUCH" in execution.status_message


# Leases and fences.


def test_only_one_worker_claims_a_task() -> None:
    jobs.start(KIND)
    assert rows.claim("gc", "none") is None
    assert claim(worker="one").worker == "one"
    assert rows.claim("system", "two") is None


def test_a_worker_that_slept_since_its_claim_has_the_fence_of_its_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the claim and the reading of its row another worker has claimed the task."""
    jobs.start(KIND)
    get = Task.objects.select_related

    def asleep(*names: str) -> Any:
        monkeypatch.undo()
        time_passes(3600)
        rows.reap()
        time_passes(3600)
        write(Run(claim(worker="two")), "new")
        return get(*names)

    monkeypatch.setattr(Task.objects, "select_related", asleep)
    sleeper = claim()
    with pytest.raises(Fenced):
        write(Run(sleeper), "late")
    assert written() == {"new"}


def test_claims_at_once_share_the_tasks() -> None:
    jobs.start("RETENTION", tasks=[NewTask()] * 40)
    found: list[int] = []
    barrier = threading.Barrier(8)

    def work(name: str) -> None:
        barrier.wait()
        while task := rows.claim("retention", name):
            found.append(task.pk)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 40


def test_a_task_whose_lease_runs_out_is_tried_again(does: Register) -> None:
    does(lambda run: write(run, "second"))
    execution = jobs.start(KIND)
    claim()
    tick()
    assert Task.objects.get().status == Status.RUNNING
    time_passes(settings.JOB_LEASE_SECONDS + 1)
    tick()
    task = Task.objects.get()
    assert (task.status, task.attempt, task.worker) == (Status.PENDING, 1, "")
    run_jobs(later=True)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCESS
    assert any("its worker one was lost" in line.lower() for line in queries.log_of(execution))


def test_a_task_that_loses_every_worker_is_an_error() -> None:
    execution = jobs.start(KIND)
    for _ in range(KINDS[KIND].attempts):
        time_passes(3600)
        claim()
        time_passes(3600)
        assert rows.reap() == 1
    assert rows.reap() == 0
    execution.refresh_from_db()
    assert (execution.status, execution.status_message) == (Status.ERROR, "its worker one was lost")


def test_a_lease_is_renewed_by_a_beat_and_by_a_step() -> None:
    jobs.start(KIND)
    task = claim()
    for renew in (rows.renew, lambda task: Run(task).progress(done=1)):
        time_passes(30)
        before = Task.objects.get().lease_until
        renew(task)
        after = Task.objects.get().lease_until
        assert before is not None
        assert after is not None
        assert after > before


def test_a_worker_that_lost_its_lease_writes_nothing() -> None:
    jobs.start(KIND)
    sleeper = Run(claim())
    time_passes(3600)
    rows.reap()
    for _ in ("nobody has it", "another has it"):
        with pytest.raises(Fenced):
            write(sleeper, "late")
        with pytest.raises(Fenced):
            sleeper.check()
        with pytest.raises(Fenced):
            sleeper.log("late")
        assert not rows.settle(sleeper.task, Status.SUCCESS)
        before = Task.objects.values("lease_until").get()
        rows.renew(sleeper.task)
        assert Task.objects.values("lease_until").get() == before
        if not written():
            time_passes(3600)
            write(Run(claim(worker="two")), "new")
    assert written() == {"new"}
    assert Task.objects.get().worker == "two"


def test_a_task_in_the_middle_of_a_step_is_not_reaped() -> None:
    jobs.start(KIND)
    run, reaped = Run(claim()), []
    time_passes(3600)

    def reap() -> None:
        reaped.append(rows.reap())
        connections.close_all()

    with run.step():
        thread = threading.Thread(target=reap)
        thread.start()
        thread.join()
    assert reaped == [0]


def test_the_handler_that_swallows_errors_still_ends_when_it_is_fenced(does: Register) -> None:
    def work(run: Run) -> None:
        Task.objects.update(fence=F("fence") + 1)
        for name in ("a", "b"):
            with contextlib.suppress(Exception):  # as a handler might
                write(run, name)
        pytest.fail("it went on")

    does(work)
    jobs.start(KIND)
    run_jobs()
    assert written() == set()
    assert Task.objects.get().status == Status.RUNNING  # of the other worker


def test_a_heartbeat_keeps_a_silent_task(does: Register, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 1
    reaped = []

    def work(run: Run) -> None:
        for _ in range(5):
            threading.Event().wait(0.5)
            reaped.append(rows.reap())

    does(work)
    assert ended(jobs.start(KIND)).status == Status.SUCCESS
    assert sum(reaped) == 0


# Stopping and pausing.


def test_stop_of_what_waits_ends_it_at_once() -> None:
    execution = jobs.start(KIND, tasks=[NewTask(), NewTask()])
    jobs.stop(execution.pk)
    jobs.stop(execution.pk)
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert execution.ended_at is not None
    assert run_jobs() == 0
    jobs.start(KIND)


def test_stop_ends_what_runs_at_its_next_step(does: Register) -> None:
    def work(run: Run) -> None:
        write(run, "before")
        jobs.stop(run.execution.pk)
        with pytest.raises(Stopped):
            run.check()
        write(run, "after")

    does(work)
    execution = ended(jobs.start(KIND, tasks=[NewTask(), NewTask()]))
    assert written() == {"before"}
    assert (execution.status, execution.result) == (Status.STOPPED, {})
    assert list(Task.objects.values_list("status", flat=True)) == [Status.STOPPED] * 2


def test_stop_reaches_what_the_running_task_adds(does: Register) -> None:
    def work(run: Run) -> None:
        with run.step():
            jobs.stop(run.execution.pk)  # as if it came between this step's question and its end
            run.add(NewTask(), NewTask())

    does(work)
    execution = ended(jobs.start(KIND))
    assert sorted(Task.objects.values_list("status", flat=True)) == [Status.STOPPED, Status.STOPPED, Status.SUCCESS]
    assert execution.status == Status.STOPPED


@pytest.mark.parametrize("how", ["error", "lost"])
def test_what_is_stopped_is_not_tried_again(how: str) -> None:
    execution = jobs.start(KIND)
    task = claim()
    jobs.stop(execution.pk)
    if how == "error":
        rows.settle(task, Status.ERROR, "broken")
    else:
        time_passes(3600)
        rows.reap()
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED


def test_stop_of_what_has_ended_changes_nothing(does: Register) -> None:
    does(lambda run: None)
    execution = ended(jobs.start(KIND))
    jobs.stop(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, execution.is_stopping) == (Status.SUCCESS, False)


def test_stop_of_many_tasks_is_finished_by_the_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("system.jobs.rows.BATCH", 3)
    execution = jobs.start(KIND, tasks=[NewTask()] * 10)
    jobs.stop(execution.pk)
    assert Task.objects.filter(status=Status.PENDING).count() == 7
    assert Execution.objects.get().ended_at is None
    tick()
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert set(Task.objects.values_list("status", flat=True)) == {Status.STOPPED}


def test_a_task_of_what_is_stopped_that_is_claimed_first_does_nothing(
    does: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("system.jobs.rows.BATCH", 1)
    does(lambda run: write(run, "never"))
    execution = jobs.start(KIND, tasks=[NewTask()] * 3)
    jobs.stop(execution.pk)
    assert run_jobs() == 1  # which stops the third, too
    execution.refresh_from_db()
    assert (execution.status, written()) == (Status.STOPPED, set())


def test_stop_of_what_never_was() -> None:
    with pytest.raises(NotFound):
        jobs.stop(1)


def test_a_paused_kind_is_not_begun_and_holds_back_no_other(does: Register) -> None:
    does(lambda run: None, "SCRUB")
    does(lambda run: None, "GARBAGE_COLLECTION")
    held, free = jobs.start("SCRUB"), jobs.start("GARBAGE_COLLECTION")
    jobs.pause("SCRUB")
    jobs.pause("SCRUB")
    assert run_jobs() == 1
    assert Execution.objects.get(pk=free.pk).status == Status.SUCCESS
    assert Execution.objects.get(pk=held.pk).status == Status.PENDING
    jobs.resume("SCRUB")
    assert run_jobs() == 1


def test_no_kind_is_no_kind() -> None:
    for act in (jobs.pause, jobs.resume):
        with pytest.raises(NotFound):
            act("NO_SUCH")


# Executions of several tasks.


def test_a_task_adds_others_and_the_last_one_ends_the_execution(does: Register) -> None:
    def plan(run: Run) -> None:
        with run.step():
            run.add(*(NewTask("PART", {"number": number}) for number in range(3)))
            run.save(planned=True)

    def part(run: Run) -> None:
        run.result(number=run.arguments["number"])

    def total(execution: Execution) -> None:
        numbers = [task.result.get("number", 0) for task in execution.tasks.all()]
        Execution.objects.filter(pk=execution.pk).update(result={"sum": sum(numbers), "of": len(numbers)})

    does(plan, finish=total)
    does(part, "PART")
    execution = ended(jobs.start(KIND))
    assert execution.status == Status.SUCCESS
    assert execution.result == {"sum": 3, "of": 4}


def test_one_tasks_error_is_the_executions_and_the_others_are_done(does: Register) -> None:
    def work(run: Run) -> None:
        if run.arguments["fails"]:
            raise ValueError("bad")

    does(work)
    execution = jobs.start(KIND, tasks=[NewTask(arguments={"fails": fails}) for fails in (False, True, False)])
    run_jobs(later=True)
    execution.refresh_from_db()
    assert (execution.status, execution.status_message) == (Status.ERROR, "ValueError: bad")
    assert Task.objects.filter(status=Status.SUCCESS).count() == 2


def test_a_hook_that_fails_is_told_and_undone(does: Register) -> None:
    def finish(execution: Execution) -> None:
        Configuration.objects.create(key="half", value=1)
        raise ValueError("sums")

    does(lambda run: None, finish=finish)
    execution = ended(jobs.start(KIND))
    assert (execution.status, written()) == (Status.ERROR, set())
    assert "sums" in execution.status_message
    assert execution.ended_at is not None


def test_tasks_that_end_at_once_end_the_execution_once(does: Register) -> None:
    finished = []
    does(lambda run: None, "RETENTION", finish=lambda execution: finished.append(execution.pk))
    execution = jobs.start("RETENTION", tasks=[NewTask()] * 12)
    tasks = [claim("retention") for _ in range(12)]
    barrier = threading.Barrier(len(tasks))

    def end(task: Task) -> None:
        barrier.wait()
        perform(task)
        connections.close_all()

    threads = [threading.Thread(target=end, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    execution.refresh_from_db()
    assert (execution.status, finished) == (Status.SUCCESS, [execution.pk])


# Workers are told.


def test_a_dead_broker_is_nobodys_error() -> None:
    """Nothing listens at the broker's address in this test, and the commit is a commit."""
    with transaction.atomic(durable=True):
        jobs.start(KIND)
        nudge("system")
    assert Execution.objects.get().status == Status.PENDING


# History.


def test_old_executions_are_forgotten_with_all_they_had(does: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("system.jobs.ticks.BATCH", 3)

    def work(run: Run) -> None:
        for number in range(4):
            run.log(str(number))

    for kind in ("RETENTION", "SCRUB"):
        does(work, kind)
    of = {
        vendor: [ended(jobs.start("RETENTION", vendor_id=vendor, tasks=[NewTask()] * 4)) for _ in range(53)]
        for vendor in (1, 2)
    }
    other = ended(jobs.start("SCRUB"))
    under_way = jobs.start("RETENTION", vendor_id=1)
    assert history_forget() == 7
    assert history_forget() == 0
    for vendor, forgotten in ((1, 4), (2, 3)):
        kept = {execution.pk for execution in of[vendor][forgotten:]}
        found = queries.executions_of("RETENTION", vendor).exclude(pk=under_way.pk)
        assert set(found.values_list("pk", flat=True)) == kept
    assert queries.executions_of("SCRUB").get() == other
    assert Task.objects.count() == 99 * 4 + 2
    assert TaskLog.objects.count() == 99 * 16 + 4


def test_what_is_under_way_is_never_forgotten(does: Register) -> None:
    does(lambda run: None, "RETENTION")
    old = jobs.start("RETENTION")
    Execution.objects.update(is_single=False)
    for _ in range(55):
        Execution.objects.create(kind="RETENTION", ended_at=Now(), status=Status.SUCCESS)
    assert history_forget() == 5
    assert Execution.objects.filter(pk=old.pk).exists()


def test_two_sweeps_share_the_work(does: Register) -> None:
    for _ in range(80):
        Execution.objects.create(kind="RETENTION", ended_at=Now(), status=Status.SUCCESS)
    errors: list[Exception] = []

    def sweep() -> None:
        try:
            history_forget()
        except DatabaseError as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Execution.objects.count() == 50


# However many rows there are.


def test_claims_and_ends_read_few_rows_of_a_million(does: Register) -> None:
    """By the plan: every table is entered by an index, whatever waits or has ended."""
    execution = jobs.start("RETENTION")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO system_task (execution_id, kind, name, queue, arguments, status, status_message, attempt,"
            " fence, worker, done, unit, checkpoint, result, ended_at)"
            " SELECT %s, 'RETENTION', 'RETENTION', 'retention', '{}', 'Success', '', 0, 1, '', 0, '', '{}', '{}', now()"
            " FROM generate_series(1, 20000)",
            [execution.pk],
        )
        cursor.execute("ANALYZE system_task")
        for sql, values in (
            (rows._DUE.format(lock=""), {"kinds": ["RETENTION", "TAG_EXPIRY"]}),
            (
                "SELECT 1 FROM system_task WHERE execution_id = %(id)s AND ended_at IS NULL LIMIT 1",
                {"id": execution.pk},
            ),
            ("SELECT id FROM system_task WHERE status = 'Running' AND lease_until < now() ORDER BY lease_until", {}),
        ):
            cursor.execute(f"EXPLAIN {sql}", values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on system_task" not in plan, plan
