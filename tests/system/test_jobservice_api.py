"""Jobs as those see them who watch over the instance: workers, queues, jobs, schedules; and what they can stop."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from harborlite.health import ask_workers
from system import jobs, monitor
from system.jobs import rows, ticks, worker
from system.jobs.handlers import HANDLERS
from system.jobs.kinds import KINDS, SCHEDULER
from system.jobs.run import Fenced, NewTask, Run, handles, perform
from system.models import Execution, PausedKind, Schedule, Status, Task, Worker
from system.services import jobs as services
from system.services.jobs import task_stop
from tests.system.administrator import Administrator, told
from tests.system.worker import run_jobs

KIND = "TAG_EXPIRY"
MINUTE = timedelta(minutes=1)
NEVER = "0001-01-01T00:00:00.000Z"


@pytest.fixture
def admin(db: None) -> Administrator:
    return Administrator()


@pytest.fixture
def handled(transactional_db: None) -> Iterator[list[int]]:
    """Tasks called `count` do three steps of work, in which they run what `between` says; which ones began a step."""
    seen: list[int] = []

    @handles("count")
    def count(run: Run) -> None:
        for number in range(3):
            with run.step():
                run.progress(done=number + 1, total=3, unit="things")
                run.log(f"thing {number}")
            seen.append(run.task.pk)

    yield seen
    del HANDLERS["count"]


def started(*, many: int = 1, vendor_id: int = 0) -> Execution:
    return jobs.start(KIND, vendor_id=vendor_id, tasks=[NewTask("count")] * many)


def tasks_of(execution: Execution) -> list[Task]:
    return list(Task.objects.filter(execution=execution).order_by("pk"))


def statuses(execution: Execution) -> list[str]:
    return [task.status for task in tasks_of(execution)]


# Queues.


def test_every_kind_has_a_queue_and_so_have_schedules(admin: Administrator) -> None:
    queues = admin.get("/jobservice/queues")
    assert [queue["job_type"] for queue in queues] == [*KINDS, SCHEDULER]
    assert {(queue["count"], queue["latency"], queue["paused"]) for queue in queues} == {(0, 0, False)}


def test_what_waits_is_counted_and_for_how_long(admin: Administrator, handled: list[int]) -> None:
    started(many=3)
    first, second, third = Task.objects.order_by("pk")
    Task.objects.filter(pk=second.pk).update(due_at=timezone.now() - MINUTE)
    Task.objects.filter(pk=third.pk).update(due_at=timezone.now() + MINUTE)
    (queue,) = [queue for queue in admin.get("/jobservice/queues") if queue["count"]]
    assert (queue["job_type"], queue["count"]) == (KIND, 3)
    assert 60 <= queue["latency"] < 120
    assert first.status == Status.PENDING


def test_what_will_be_due_has_not_waited(admin: Administrator, handled: list[int]) -> None:
    started()
    Task.objects.update(due_at=timezone.now() + MINUTE)
    assert [queue["latency"] for queue in admin.get("/jobservice/queues") if queue["count"]] == [0]


@pytest.mark.parametrize("named", [KIND, KIND.lower()])
def test_a_type_is_held_back_and_resumed(admin: Administrator, handled: list[int], named: str) -> None:
    started(many=2)
    admin("PUT", f"/jobservice/queues/{named}", {"action": "pause"})
    assert [queue["job_type"] for queue in admin.get("/jobservice/queues") if queue["paused"]] == [KIND]
    assert run_jobs() == 0
    admin("PUT", f"/jobservice/queues/{named}", {"action": "resume"})
    assert run_jobs() == 2
    assert told() == [("pause", "queue", KIND), ("resume", "queue", KIND)]


@pytest.mark.parametrize("named", ["all", "ALL"])
def test_all_types_are_held_back_and_resumed(admin: Administrator, named: str) -> None:
    admin("PUT", f"/jobservice/queues/{named}", {"action": "pause"})
    assert set(PausedKind.objects.values_list("kind", flat=True)) == {*KINDS, SCHEDULER}
    admin("PUT", f"/jobservice/queues/{named}", {"action": "resume"})
    assert not PausedKind.objects.exists()
    assert told() == [("pause", "queue", "all"), ("resume", "queue", "all")]


def test_what_waits_of_a_type_is_stopped_and_what_runs_goes_on(admin: Administrator, handled: list[int]) -> None:
    running, waiting = started(many=3, vendor_id=1), started(many=2, vendor_id=2)
    other = jobs.start("PURGE_AUDIT_LOG", tasks=[NewTask("count")])
    task = rows.claim(KINDS[KIND].queue, worker.name())
    assert task is not None
    admin("PUT", f"/jobservice/queues/{KIND}", {"action": "stop"})
    assert statuses(running) == [Status.RUNNING, Status.STOPPED, Status.STOPPED]
    assert statuses(waiting) == [Status.STOPPED, Status.STOPPED]
    assert statuses(other) == [Status.PENDING]
    running.refresh_from_db()
    waiting.refresh_from_db()
    assert (running.status, waiting.status) == (Status.RUNNING, Status.STOPPED)
    assert waiting.ended_at is not None
    perform(task)
    running.refresh_from_db()
    assert statuses(running) == [Status.SUCCESS, Status.STOPPED, Status.STOPPED]
    assert running.status == Status.STOPPED
    assert handled == [task.pk] * 3
    assert told() == [("stop", "queue", KIND)]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("NOTHING", {"action": "stop"}, 404, "NOTHING"),
        ("TAG_EXPIRY", {"action": "kill"}, 400, "action"),
        ("TAG_EXPIRY", {"action": "STOP"}, 400, "action"),
        ("TAG_EXPIRY", {}, 400, "action"),
        ("TAG_EXPIRY", {"action": ["stop"]}, 400, "action"),
    ],
)
def test_what_is_no_action_is_refused(admin: Administrator, path: str, body: object, status: int, word: str) -> None:
    assert word in admin.refused("PUT", f"/jobservice/queues/{path}", body, status=status)
    assert told() == []


# Workers.


def test_a_pool_and_its_workers(admin: Administrator, handled: list[int]) -> None:
    Worker.objects.create(name="host-a:7", host="host-a", process=7, concurrency=3, queues=["gc", "retention"])
    Worker.objects.create(name="host-b:9", host="host-b", process=9, concurrency=1, seen_at=Now() - monitor.LATELY * 2)
    (pool,) = admin.get("/jobservice/pools")
    assert (pool["worker_pool_id"], pool["host"], pool["pid"], pool["concurrency"]) == ("host-a:7", "host-a", 7, 3)
    started(many=2)
    task = rows.claim(KINDS[KIND].queue, "host-a:7")
    assert task is not None
    Task.objects.filter(pk=task.pk).update(done=40, total=120, unit="tags")
    for named in ("host-a:7", "all", "ALL"):
        first, *others = admin.get(f"/jobservice/pools/{named}/workers")
        assert (first["pool_id"], first["job_name"], first["job_id"]) == ("host-a:7", KIND, str(task.pk))
        assert first["check_in"] == "40/120 tags"
        assert first["start_at"] > NEVER
        assert [set(idle) for idle in others] == [{"id", "pool_id"}] * 2
    assert admin.refused("GET", "/jobservice/pools/host-b:9/workers", None, status=404)


def test_without_a_worker_there_is_no_pool(admin: Administrator) -> None:
    assert admin.get("/jobservice/pools") == []
    assert admin.get("/jobservice/pools/all/workers") == []
    assert "nowhere:1" in admin.refused("GET", "/jobservice/pools/nowhere:1/workers", None, status=404)


def test_without_a_worker_the_job_service_is_unwell(db: None) -> None:
    with pytest.raises(LookupError, match="no worker"):
        ask_workers()
    Worker.objects.create(name="host-a:7", host="host-a", process=7, concurrency=3)
    ask_workers()
    Worker.objects.update(seen_at=timezone.now() - monitor.LATELY * 2)
    with pytest.raises(LookupError, match="no worker"):
        ask_workers()


# Jobs.


def test_jobs_are_listed_with_their_progress(admin: Administrator, handled: list[int]) -> None:
    execution = started(many=2)
    run_jobs()
    first, second = tasks_of(execution)
    assert [job["id"] for job in admin.get("/jobservice/jobs")] == [second.pk, first.pk]
    (job,) = admin.get(f"/jobservice/jobs?q=id%3D{first.pk}")
    assert (job["execution_id"], job["job_type"], job["name"], job["status"]) == (
        execution.pk, KIND, "count", "Success",
    )  # fmt: skip
    assert job["progress"] == {"done": 3, "total": 3, "unit": "things", "percent": 100}
    assert admin.get("/jobservice/jobs?q=status%3DPending") == []
    assert len(admin.get(f"/jobservice/jobs?q=execution_id%3D{execution.pk},job_type%3D{KIND}")) == 2


def test_a_jobs_log_is_its_own(admin: Administrator, handled: list[int]) -> None:
    execution = started(many=2)
    run_jobs()
    for task in tasks_of(execution):
        lines = admin.text(f"/jobservice/jobs/{task.pk}/log").splitlines()
        assert [line.partition(" ")[2] for line in lines] == ["thing 0", "thing 1", "thing 2"]


def test_a_job_that_waits_is_stopped_at_once_and_no_other(admin: Administrator, handled: list[int]) -> None:
    execution = started(many=2)
    first, second = tasks_of(execution)
    admin("PUT", f"/jobservice/jobs/{first.pk}")
    assert statuses(execution) == [Status.STOPPED, Status.PENDING]
    run_jobs()
    execution.refresh_from_db()
    assert statuses(execution) == [Status.STOPPED, Status.SUCCESS]
    assert (execution.status, set(handled)) == (Status.STOPPED, {second.pk})
    assert told() == [("stop", "job", KIND)]


def test_a_job_that_runs_is_stopped_at_its_next_step(admin: Administrator, handled: list[int]) -> None:
    """It is taken away from its worker, which writes nothing more for it."""
    execution = started()
    task = rows.claim(KINDS[KIND].queue, worker.name())
    assert task is not None
    admin("PUT", f"/jobservice/jobs/{task.pk}")
    perform(task)
    assert (statuses(execution), handled) == ([Status.STOPPED], [])
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert not jobs.start(KIND, tasks=[NewTask("count")]).ended_at  # there is room for another


def test_a_job_in_the_middle_of_a_step_is_waited_for(
    admin: Administrator, handled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock on its execution, for which the step may itself wait, as one that adds tasks does."""
    execution = started()
    task = rows.claim(KINDS[KIND].queue, worker.name())
    assert task is not None
    run, has_tried = Run(task), threading.Event()

    def sleep(seconds: float) -> None:
        has_tried.set()
        time.sleep(seconds)

    def stop() -> None:
        try:
            task_stop(task=task)
        finally:
            connection.close()

    monkeypatch.setattr(services, "time", SimpleNamespace(sleep=sleep))
    stopping = threading.Thread(target=stop)
    with run.step():
        run.progress(done=1)
        stopping.start()
        assert has_tried.wait(10)
        run.add(NewTask("count"), NewTask("count"))
    stopping.join()
    assert statuses(execution) == [Status.STOPPED, Status.PENDING, Status.PENDING]
    with pytest.raises(Fenced), run.step():
        pass


def test_all_that_run_are_stopped_and_what_waits_is_not(admin: Administrator, handled: list[int]) -> None:
    execution = started(many=3)
    for _ in range(2):
        rows.claim(KINDS[KIND].queue, worker.name())
    admin("PUT", "/jobservice/jobs/ALL")
    assert statuses(execution) == [Status.STOPPED, Status.STOPPED, Status.PENDING]
    assert told() == [("stop", "job", KIND)] * 2


def test_what_has_ended_stays_as_it_is(admin: Administrator, handled: list[int]) -> None:
    execution = started()
    run_jobs()
    admin("PUT", f"/jobservice/jobs/{tasks_of(execution)[0].pk}")
    assert statuses(execution) == [Status.SUCCESS]
    assert told() == []


@pytest.mark.parametrize("named", ["1999999999", "0", "x", "-1", "1.5", "9" * 30, "\u0661"])
def test_a_job_that_there_is_none(admin: Administrator, named: str) -> None:
    assert admin.refused("PUT", f"/jobservice/jobs/{named}", None, status=404)
    assert admin.refused("GET", f"/jobservice/jobs/{named}/log", None, status=404)


# Schedules.


def test_schedules_of_all_kinds(admin: Administrator) -> None:
    jobs.schedule_set("GARBAGE_COLLECTION", type="Daily", cron="0 0 0 * * *")
    jobs.schedule_set(KIND, vendor_id=7, type="Custom", cron="0 30 4 * * *", time_zone="Europe/Berlin")
    second, first = admin.get("/schedules")
    assert (first["vendor_type"], first["vendor_id"], first["cron"]) == ("GARBAGE_COLLECTION", 0, "0 0 0 * * *")
    assert (second["vendor_type"], second["vendor_id"], second["time_zone"]) == (KIND, 7, "Europe/Berlin")
    assert second["next_scheduled_time"] > NEVER
    answer = admin("GET", "/schedules?page=2&page_size=1")
    assert ([row["id"] for row in answer.json()], answer["X-Total-Count"]) == ([first["id"]], "2")


def test_schedules_are_held_back(admin: Administrator, transactional_db: None) -> None:
    """By pausing Harbor's SCHEDULER: then none begins anything; of a kind that is paused, its own don't."""

    def paused(named: str) -> bool:
        return bool(admin.get(f"/schedules/{named}/paused")["paused"])

    assert not paused("all")
    admin("PUT", f"/jobservice/queues/{KIND}", {"action": "pause"})
    assert (paused(KIND), paused("all"), paused("GARBAGE_COLLECTION")) == (True, False, False)
    admin("PUT", "/jobservice/queues/scheduler", {"action": "pause"})
    assert (paused("ALL"), paused("GARBAGE_COLLECTION")) == (True, True)
    Schedule.objects.bulk_create([Schedule(kind="GARBAGE_COLLECTION", cron="0 0 0 * * *", next_at=Now())])
    assert ticks.schedules_begin() == 0
    admin("PUT", "/jobservice/queues/scheduler", {"action": "resume"})
    assert ticks.schedules_begin() == 1
    assert "NOTHING" in admin.refused("GET", "/schedules/NOTHING/paused", None, status=404)
