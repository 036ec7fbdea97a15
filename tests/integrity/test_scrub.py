"""The scrub: a slice a day, the oldest first; damage goes into quarantine, what is right again comes out."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from accounts.services import user_create
from harborlite.errors import Conflict
from projects.services.projects import project_create
from registry import queries, scrub
from registry.blobstore import blobstore
from registry.models import Blob
from registry.oci.digest import Digest
from registry.services import repositories
from registry.services.blobs import blob_bind, blobs_link
from system import jobs
from system.jobs import rows, run
from system.jobs.run import Run
from system.models import Event, Execution, Status, Task
from tests.system.worker import ended, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)


class Shelf:
    """A repository with blobs that are stored."""

    def __init__(self) -> None:
        owner = user_create(username="keeper", password="Correct-Horse-7")
        project = project_create(name="shelf", owner=owner)
        self.repository_id = repositories.repository_ensure(project=project, path="app")

    def put(self, content: bytes, *, days: int = 0) -> Blob:
        """A blob whose bytes were known to be right `days` ago."""
        key = uuid.uuid4().hex
        blobstore().commit(key, blobstore().write(key, [], [content]))
        with transaction.atomic():
            blob = blob_bind(digest=Digest.of(content), size=len(content), storage_key=key)
            assert blob is not None
            blobs_link(repository_id=self.repository_id, blob_ids=[blob.pk])
        Blob.objects.filter(pk=blob.pk).update(checked_at=Now() - timedelta(days=days))
        blob.refresh_from_db()
        return blob

    def damage(self, blob: Blob, content: bytes) -> None:
        blobstore().delete(blob.storage_key)
        blobstore().commit(blob.storage_key, blobstore().write(blob.storage_key, [], [content]))

    def is_found(self, blob: Blob) -> bool:
        return queries.blob_find(self.repository_id, Digest.parse(blob.digest)) is not None


@pytest.fixture
def shelf(transactional_db: None, settings: Settings) -> Shelf:
    settings.SCRUB_RATE = 0
    return Shelf()


def scrubbed(*, is_all: bool = False) -> Execution:
    execution = ended(scrub.scrub_start(is_all=is_all))
    assert execution.status == Status.SUCCESS, execution.status_message
    return execution


def test_a_slice_has_the_blobs_that_wait_for_longest(shelf: Shelf, settings: Settings) -> None:
    settings.SCRUB_DAYS = 3
    before = [shelf.put(b"%d" % days, days=days) for days in range(1, 8)]
    assert scrubbed().result["checked"] == 3  # a third of seven, rounded up
    read = [blob for blob in before if Blob.objects.get(pk=blob.pk).checked_at > blob.checked_at]
    assert read == before[-3:]
    # Day by day, each is read once in as many days.
    scrubbed()
    scrubbed()
    assert all(Blob.objects.get(pk=blob.pk).checked_at > blob.checked_at for blob in before)


@pytest.mark.parametrize("content", [b"Wrong", b"right, and more", b"rig"])
def test_damage_is_quarantined_and_told(shelf: Shelf, content: bytes) -> None:
    sound, bad = shelf.put(b"sound"), shelf.put(b"right")
    shelf.damage(bad, content)
    execution = scrubbed(is_all=True)
    assert {name: execution.result[name] for name in ("outcome", "checked", "bytes", "damaged")} == {
        "outcome": "complete",
        "checked": 1,
        "bytes": 5,
        "damaged": 1,
    }
    assert (shelf.is_found(sound), shelf.is_found(bad)) == (True, False)
    (event,) = Event.objects.filter(resource_type="blob")
    assert (event.operation, event.resource, event.extra["repositories"]) == ("quarantine", bad.digest, ["shelf/app"])


def test_what_is_right_again_is_released(shelf: Shelf, settings: Settings) -> None:
    settings.SCRUB_DAYS = 1000  # so that a slice is one blob
    blob = shelf.put(b"here and there")
    blobstore().delete(blob.storage_key)
    assert scrubbed().result["damaged"] == 1
    assert not shelf.is_found(blob)
    assert scrubbed().result["released"] == 0
    shelf.damage(blob, b"here and there")
    assert scrubbed().result["released"] == 1
    assert shelf.is_found(blob)


def test_a_blob_that_was_pushed_again_meanwhile_is_left_alone(shelf: Shelf) -> None:
    blob = shelf.put(b"again")
    old = blob.storage_key
    shelf.damage(blob, b"wrong")
    scrubbing = scrub.Scrubbing(claimed())
    scrubbing.begin()
    Blob.objects.filter(pk=blob.pk).update(storage_key=uuid.uuid4().hex)
    scrubbing.look(blob)
    assert scrubbing.counts["damaged"] == 0
    assert Blob.objects.get(pk=blob.pk).quarantined_at is None
    assert blob.storage_key == old


def test_too_much_damage_ends_the_run(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "FEW", 2)
    for number in range(6):
        blobstore().delete(shelf.put(b"%d" % number).storage_key)
    execution = scrubbed(is_all=True)
    assert (execution.result["outcome"], execution.result["damaged"]) == ("stopped", 3)
    assert Event.objects.filter(operation="warn", resource_type="storage").count() == 1
    assert Blob.objects.filter(quarantined_at=None).count() == 3


def test_a_worker_that_dies_is_followed_where_it_was(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "SECONDS", -1.0)  # a step for each blob
    for number in range(5):
        shelf.put(b"%d" % number)
    execution = scrub.scrub_start(is_all=True)
    task = rows.claim("gc", "first")
    assert task is not None
    scrubbing = scrub.Scrubbing(Run(task))
    scrubbing.begin()
    for blob, _ in zip(scrubbing.blobs(), range(2), strict=False):
        scrubbing.look(blob)
    Task.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert rows.reap()
    run_jobs(later=True)
    execution.refresh_from_db()
    assert (execution.status, execution.result["checked"]) == (Status.SUCCESS, 5)
    with pytest.raises(run.Fenced):
        scrubbing.write()


def test_a_stopped_run_stops_in_the_middle_of_a_blob(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put(b"x" * (3 << 20))
    monkeypatch.setattr(scrub, "SECONDS", -1.0)
    execution = scrub.scrub_start(is_all=True)
    task = rows.claim("gc", "first")
    assert task is not None
    scrubbing = scrub.Scrubbing(Run(task))
    scrubbing.begin()
    jobs.stop(execution.pk)
    with pytest.raises(run.Stopped):
        scrubbing.look(next(scrubbing.blobs()))


def test_one_at_a_time(shelf: Shelf) -> None:
    scrub.scrub_start()
    with pytest.raises(Conflict):
        scrub.scrub_start()


@pytest.mark.parametrize(("days", "is_there"), [(30, True), (0, False)])
def test_it_has_its_schedule_unless_it_is_off(
    transactional_db: None, settings: Settings, days: int, is_there: bool
) -> None:
    settings.SCRUB_DAYS = days
    scrub.schedule_ensure()
    assert (jobs.schedule_get("SCRUB") is not None) == is_there


def claimed() -> Run:
    scrub.scrub_start(is_all=True)
    task = rows.claim("gc", "first")
    assert task is not None
    return Run(task)
