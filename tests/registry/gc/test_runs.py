"""How a collection runs: at its pace, seen from outside, by one worker at a time."""

import pytest
from pytest_django import Settings

from harborlite import origin
from harborlite.errors import Conflict
from registry.gc import collection
from registry.models import Blob, Deletion, Manifest, Tombstone
from system import jobs
from system.jobs import rows
from system.jobs.run import perform
from system.models import Event, Execution, Task
from tests.registry.gc.shelf import Shelf, collect, pass_time
from tests.system.worker import ended

CONFIG, ONE, TWO = b"{}", b"one", b"twotwo"


class Clock:
    """Time that passes while somebody sleeps, and no other."""

    def __init__(self) -> None:
        self.now = 0.0
        self.longest = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(collection, "time", made)
    return made


def test_it_keeps_to_its_rate(shelf: Shelf, settings: Settings, clock: Clock) -> None:
    settings.GC_RATE = 2
    settings.TOMBSTONE_SECONDS = 0
    for number in range(10):
        shelf.blob(b"layer %d" % number)
    pass_time()
    result = collect()
    removed = result["links"] + result["blobs"] + result["removed_objects"]
    assert removed == 30
    assert clock.now == pytest.approx(removed / 2)
    assert clock.longest <= collection.BREATH  # so soon it hears that it shall stop


def test_without_a_rate_it_does_not_wait(shelf: Shelf, clock: Clock) -> None:
    shelf.blob(ONE)
    pass_time()
    collect()
    assert clock.now == 0


def test_its_progress_and_result_are_seen_while_it_runs(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "BATCH", 2)
    for number in range(7):
        shelf.blob(b"layer %d" % number)
    pass_time()
    seen: list[tuple[int, int | None, int]] = []

    def look(_: collection.Collection, count: int) -> None:
        task = Task.objects.get()
        seen.append((task.done, task.total, task.result.get("blobs", 0)))

    monkeypatch.setattr(collection.Collection, "pay", look)
    collect()
    task = Task.objects.get()
    assert (task.done, task.unit) == (task.total, "rows")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert len({done for done, _, _ in seen}) > 5
    assert {total for _, total, _ in seen} == {task.total}
    assert {blobs for _, _, blobs in seen} >= {0, 2, 4, 6, 7}


@pytest.mark.parametrize("when", ["before it begins", "between two batches"])
def test_a_worker_that_lost_its_lease_removes_nothing_more(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(collection, "BATCH", 2)
    for number in range(7):
        shelf.blob(b"layer %d" % number)
    pass_time()
    execution = jobs.start("GARBAGE_COLLECTION")
    task = rows.claim("gc", "first")
    assert task is not None

    def lose(*_: object) -> None:
        Task.objects.update(fence=task.fence + 1, worker="second")

    if when == "before it begins":
        lose()
    else:
        monkeypatch.setattr(collection.Collection, "pay", lose)
    perform(task)
    assert Blob.objects.count() == 7
    assert not Tombstone.objects.exists()
    assert len(shelf.blobs) == (7 if when == "before it begins" else 5)
    monkeypatch.undo()
    Task.objects.update(status="Pending")
    assert ended(execution).result["blobs"] == 7
    assert execution.result["links"] == 7


def test_a_second_one_is_refused_while_one_runs(shelf: Shelf) -> None:
    jobs.start("GARBAGE_COLLECTION")
    with pytest.raises(Conflict):
        jobs.start("GARBAGE_COLLECTION")
    assert Execution.objects.count() == 1


def test_what_it_deletes_is_an_event_of_who_asked_for_it(shelf: Shelf, settings: Settings) -> None:
    settings.RESTORE_DAYS = 7
    image = shelf.image(CONFIG, ONE)
    shelf.signature(image, TWO)
    pass_time()
    execution = ended(jobs.start("GARBAGE_COLLECTION", parameters={"delete_untagged": True}, username="keeper"))
    assert execution.result["manifests"] == 2
    events = Event.objects.filter(operation="delete", resource_type="artifact")
    assert {event.username for event in events} == {"keeper"}
    assert {event.resource for event in events} >= {f"shelf/app@{image}"}
    deletion = Deletion.objects.get()
    assert (deletion.digest, deletion.reason, deletion.username, deletion.artifact_count) == (image, "gc", "keeper", 2)
    assert origin.current().actor.username != "keeper"


def test_what_can_be_restored_is_kept_until_it_can_not(shelf: Shelf, settings: Settings) -> None:
    settings.RESTORE_DAYS = 7
    shelf.image(CONFIG, ONE)
    pass_time()
    first = collect(delete_untagged=True)
    assert (first["manifests"], first["links"], first["blobs"]) == (1, 2, 0)
    assert Blob.objects.count() == 2
    pass_time(6 * 86400)
    assert collect()["blobs"] == 0
    pass_time(2 * 86400)
    last = collect()
    assert (last["deletions"], last["blobs"], last["freed_bytes"]) == (1, 2, len(CONFIG + ONE))
    assert not Manifest.objects.exists()
