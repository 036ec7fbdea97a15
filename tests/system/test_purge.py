"""The purge of the audit trail: which events go, which stay, and that no death of a worker makes a difference."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from harborlite.errors import BadRequest
from system import events, jobs, purge, queries
from system.models import Event, Execution, Status
from system.purge import KIND, chosen
from system.services.events import BEGINNING, events_purge
from tests.system.worker import run_jobs

DAY = 24


def written(event_type: str, *, days: float, count: int = 1) -> None:
    operation, _, resource_type = event_type.partition("_")
    at = timezone.now() - timedelta(days=days)
    Event.objects.bulk_create(
        Event(
            at=at + timedelta(seconds=number),
            username="alice",
            operation=operation,
            resource_type=resource_type,
            resource=f"demo{number}",
        )
        for number in range(count)
    )


def kept(*, besides: str = "purge_audit_log") -> dict[str, int]:
    """How many events of which type there are."""
    found: dict[str, int] = {}
    for event in Event.objects.all():
        name = f"{event.operation}_{event.resource_type}"
        if name != besides:
            found[name] = found.get(name, 0) + 1
    return found


def ran(**parameters: object) -> Execution:
    """The purge with these parameters, after it has ended."""
    execution = jobs.start(KIND, parameters={"audit_retention_hour": 7 * DAY, "dry_run": False, **parameters})
    run_jobs()
    execution.refresh_from_db()
    return execution


# Which types.


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({"include_event_types": "pull_artifact"}, {"pull": ["artifact"]}),
        ({"include_event_types": " pull_artifact, create_tag,,"}, {"create": ["tag"], "pull": ["artifact"]}),
        ({"include_event_types": "create_tag,create_user"}, {"create": ["tag", "user"]}),
        ({"include_event_types": ""}, {}),
        ({}, {}),
        ({"include_operations": "pull"}, {"pull": ["artifact"]}),
        (
            {"include_operations": "pull", "include_event_types": "login_user"},
            {"login": ["user"], "pull": ["artifact"]},
        ),
    ],
)
def test_the_types_that_are_chosen(parameters: Mapping[str, Any], wanted: Mapping[str, list[str]]) -> None:
    assert chosen(parameters) == wanted


def test_other_is_everything_but_what_befalls_artifacts() -> None:
    """Harbor's word; with the three types beside it, everything."""
    other = {
        f"{operation}_{kind}" for operation, kinds in chosen({"include_event_types": "other"}).items() for kind in kinds
    }
    assert other == set(events.TYPES) - {"create_artifact", "delete_artifact", "pull_artifact"}


@pytest.mark.parametrize("operation", ["create", "delete"])
def test_an_operation_is_all_its_types(operation: str) -> None:
    found = chosen({"include_operations": operation})
    assert set(found) == {operation}
    assert {"artifact", "project", "user"} <= set(found[operation])


@pytest.mark.parametrize(
    "parameters",
    [
        {"include_event_types": "create"},
        {"include_event_types": "pull_artifact,paint_project"},
        {"include_event_types": "OTHER"},
        {"include_event_types": "pull_artifact'; DROP TABLE system_event; --"},
        {"include_operations": "push"},
        {"include_operations": "pull_artifact"},
    ],
)
def test_a_word_that_is_none_is_refused_by_name(parameters: Mapping[str, str]) -> None:
    """Harbor passes over it, and so purges nothing for years."""
    (field,) = parameters
    with pytest.raises(BadRequest, match=field):
        chosen(parameters)


# What goes.


def test_what_is_older_and_chosen_goes(transactional_db: None) -> None:
    written("pull_artifact", days=8, count=5)
    written("pull_artifact", days=6, count=3)
    written("create_artifact", days=9, count=2)
    written("create_project", days=9, count=4)
    execution = ran(include_event_types="pull_artifact,create_artifact")
    assert kept() == {"pull_artifact": 3, "create_project": 4}
    assert execution.status == Status.SUCCESS
    assert execution.result == {"purged": 7, "by_type": {"create_artifact": 2, "pull_artifact": 5}, "dry_run": False}


def test_dry_run_counts_and_removes_nothing(transactional_db: None) -> None:
    written("pull_artifact", days=8, count=5)
    written("create_project", days=9, count=4)
    before = kept()
    execution = ran(include_event_types="pull_artifact,other", dry_run=True)
    assert kept() == before
    assert execution.result == {"purged": 9, "by_type": {"create_project": 4, "pull_artifact": 5}, "dry_run": True}
    assert not Event.objects.filter(operation="purge").exists()
    assert any("would be removed" in line for line in queries.log_of(execution))


def test_none_chosen_removes_nothing_and_says_so(transactional_db: None) -> None:
    written("pull_artifact", days=800)
    execution = ran(include_event_types="")
    assert kept() == {"pull_artifact": 1}
    assert (execution.status, execution.result["purged"]) == (Status.SUCCESS, 0)
    assert any("no type" in line for line in queries.log_of(execution))


def test_that_it_was_purged_is_an_event(transactional_db: None) -> None:
    """So nobody takes something out of the trail without a trace."""
    written("delete_project", days=30, count=2)
    execution = ran(include_event_types="other")
    event = Event.objects.get(operation="purge")
    assert (event.resource_type, event.resource) == ("audit_log", KIND)
    assert event.username == (execution.username or "operator")
    assert event.extra["purged"] == 2
    assert event.extra["by_type"] == {"delete_project": 2}
    assert event.extra["execution"] == execution.pk


def test_counts_and_log_say_what_was_done(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 3)
    written("pull_artifact", days=8, count=10)
    execution = ran(include_event_types="pull_artifact")
    (task,) = queries.tasks_of(execution)
    assert (task.done, task.total, task.unit) == (10, 10, "events")
    log = "\n".join(queries.log_of(execution))
    assert "pull_artifact" in log
    assert "10 events removed" in log


def test_a_batch_reads_no_more_than_its_limit(db: None) -> None:
    """Also where nothing of it is of a chosen type; the next goes on behind it."""
    written("create_project", days=9, count=7)
    written("create_user", days=8, count=2)
    before = timezone.now().isoformat()
    counts, after, batches = [], BEGINNING, 0
    while batch := events_purge(operation="create", types=["user"], before=before, after=after, limit=3, is_dry=False):
        counts.append(dict(batch.counts))
        after, batches = batch.last, batches + 1
    assert counts == [{}, {}, {"user": 2}]
    assert kept() == {"create_project": 7}


def test_events_of_one_moment_are_each_seen_once(db: None) -> None:
    at = timezone.now() - timedelta(days=9)
    Event.objects.bulk_create(
        Event(at=at, username="a", operation="pull", resource_type="artifact", resource="x") for _ in range(10)
    )
    seen, after = 0, BEGINNING
    while batch := events_purge(
        operation="pull", types=["artifact"], before=timezone.now().isoformat(), after=after, limit=4, is_dry=True
    ):
        seen, after = seen + batch.counts["artifact"], batch.last
    assert seen == Event.objects.count() == 10


# Interrupted.


def test_an_error_in_the_middle_is_made_up_for(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second attempt goes on where the first one's last transaction ended, and counts nothing twice."""
    monkeypatch.setattr(purge, "BATCH", 3)
    calls = 0

    def failing(**asked: Any) -> Any:
        nonlocal calls
        calls += 1
        found = events_purge(**asked)
        if calls == 3:
            raise OSError("the machine is on fire")
        return found

    monkeypatch.setattr(purge, "events_purge", failing)
    written("pull_artifact", days=8, count=10)
    execution = jobs.start(KIND, parameters={"audit_retention_hour": 1, "include_event_types": "pull_artifact"})
    run_jobs()
    assert kept() == {"pull_artifact": 4}  # of the batch that failed nothing is gone
    (task,) = queries.tasks_of(execution)
    assert (task.status, task.done) == (Status.PENDING, 6)
    type(task).objects.filter(pk=task.pk).update(due_at=timezone.now())
    run_jobs()
    execution.refresh_from_db()
    assert (execution.status, execution.result["purged"]) == (Status.SUCCESS, 10)
    assert kept() == {}
    assert Event.objects.filter(operation="purge").count() == 1


def test_a_stop_keeps_the_rest(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 3)
    written("pull_artifact", days=8, count=10)
    execution = jobs.start(KIND, parameters={"audit_retention_hour": 1, "include_event_types": "pull_artifact"})

    def stopping(**asked: Any) -> Any:
        found = events_purge(**asked)
        monkeypatch.setattr(purge, "events_purge", events_purge)
        Execution.objects.filter(pk=execution.pk).update(is_stopping=True)  # as jobs.stop, by somebody else
        return found

    monkeypatch.setattr(purge, "events_purge", stopping)
    run_jobs()
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert kept() == {"pull_artifact": 7}
