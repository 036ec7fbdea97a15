"""Events: written with the change they tell of, pulls later, secrets never."""

import ast
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from harborlite import origin
from harborlite.actors import ANONYMOUS, Actor
from harborlite.origin import Origin
from system import events
from system.events import Artifact, Pull, emit, pulled
from system.models import Event
from system.services import configuration_update

ROOT = Path(__file__).resolve().parent.parent.parent
ALICE = Actor(7, "alice", "user", is_admin=False, version=1)
APP = Artifact(3, 5, 11, "demo/app", "v1", "sha256:" + "a" * 64)


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(events, "_subscribers", [])
    events._pulls.clear()
    events._outbox.clear()
    yield
    events._pulls.clear()
    events._outbox.clear()


def test_an_event_says_who_did_what_from_where_by_which_request(db: None) -> None:
    with origin.began(Origin(ALICE, "192.0.2.7", "request-1")):
        emit("create", "label", "team/blue", project_id=3, project="team", extra={"color": "#00f"})
    event = Event.objects.get()
    assert (event.username, event.user_id, event.address, event.request_id) == ("alice", 7, "192.0.2.7", "request-1")
    assert (event.operation, event.resource_type, event.resource, event.project_id) == (
        "create", "label", "team/blue", 3,
    )  # fmt: skip
    assert event.is_successful
    assert event.description == "create label with name: team/blue"
    assert event.extra == {"project": "team", "color": "#00f"}


def test_outside_of_any_request_it_is_the_operator(db: None) -> None:
    emit("create", "user", "bob")
    assert Event.objects.get().username == "operator"


def test_nobody_has_a_name(db: None) -> None:
    with origin.began(Origin(ANONYMOUS, "192.0.2.7", "request-1")):
        emit("login", "user", "bob", is_successful=False)
    event = Event.objects.get()
    assert (event.username, event.operation, event.is_successful) == ("anonymous", "login", False)


def test_an_event_is_gone_with_the_change_that_did_not_come_about(transactional_db: None) -> None:
    with transaction.atomic():
        emit("create", "user", "bob")
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_secrets_are_not_written_down(db: None) -> None:
    emit(
        "update", "user", "bob", extra={"new_password": "Geheim-1", "deep": {"api_token": "x"}, "email": "b@c.example"}
    )
    assert Event.objects.get().extra == {"new_password": "***", "deep": {"api_token": "***"}, "email": "b@c.example"}


def test_a_word_that_is_none_is_refused(db: None) -> None:
    with pytest.raises(ValueError, match="paint_project is no event type"):
        emit("paint", "project", "demo")


def test_a_resource_of_any_length_is_written_down(db: None) -> None:
    emit("create", "label", "\N{SNOWMAN}" * 4000)
    assert len(Event.objects.get().resource) == 666


def test_what_no_database_takes_is_written_down_all_the_same(db: None) -> None:
    emit("login", "user", "a\0b\ud800", description="no\0such", is_successful=False)
    event = Event.objects.get()
    assert (event.resource, event.description) == ("a?b?", "no?such")


def test_types_that_are_switched_off_are_not_written_down(db: None) -> None:
    configuration_update(values={"disabled_audit_log_event_types": "create_user, pull_artifact"})
    Event.objects.all().delete()
    emit("create", "user", "bob")
    emit("delete", "user", "bob")
    pulled(APP, ALICE, "", "")
    events.flush()
    assert [event.operation for event in Event.objects.all()] == ["delete"]


def test_every_event_in_the_source_is_in_the_table() -> None:
    """Calls of emit whose words are written out; a word that is not in the table fails when it is used, too late."""
    found = set()
    for app in ("accounts", "projects", "registry", "system"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        ast.Name("emit") | ast.Attribute(_, "emit"), [ast.Constant(op), ast.Constant(kind), *_]
                    ):
                        found.add(f"{op}_{kind}")
    assert {"update_configuration"} <= found <= set(events.TYPES)


def test_harbors_types_come_first_in_harbors_order() -> None:
    assert events.TYPES[:3] == ("create_artifact", "delete_artifact", "pull_artifact")
    assert events.TYPES[17] == "update_project"
    assert len(set(events.TYPES)) == len(events.TYPES)


# Pulls.


def test_a_pull_is_written_down_later(db: None) -> None:
    before = time.time()
    pulled(APP, ALICE, "192.0.2.7", "request-2")
    assert not Event.objects.exists()
    events.flush()
    event = Event.objects.get()
    assert (event.username, event.user_id, event.address, event.request_id) == ("alice", 7, "192.0.2.7", "request-2")
    assert (event.operation, event.resource_type, event.resource, event.project_id) == (
        "pull", "artifact", "demo/app:v1", 3,
    )  # fmt: skip
    assert before <= event.at.timestamp() <= time.time()
    assert event.extra == {"digest": APP.digest}
    assert event.is_successful


def test_a_pull_by_digest_is_written_as_harbor_does(db: None) -> None:
    pulled(Artifact(3, 5, 11, "demo/app", APP.digest, APP.digest), ANONYMOUS, "", "")
    events.flush()
    event = Event.objects.get()
    assert (event.resource, event.username, event.user_id) == (f"demo/app@{APP.digest}", "anonymous", None)


@pytest.mark.parametrize("name", ['quo"te', "com,ma", "line\nend", "back\\slash", "\\N", "sn\N{SNOWMAN}w", ""])
def test_whatever_stands_in_a_pull_is_written_down_as_it_is(db: None, name: str) -> None:
    pulled(APP, Actor(7, name, "user", is_admin=False, version=1), "", "")
    events.flush()
    assert Event.objects.get().username == (name or "anonymous")


def test_pulls_are_written_at_once_however_many(db: None, django_assert_num_queries: Any) -> None:
    for _ in range(2500):
        pulled(APP, ALICE, "", "")
    with django_assert_num_queries(1):
        events.flush()
    assert Event.objects.count() == 2500


def test_pulls_are_given_to_who_asked_for_them(db: None) -> None:
    taken: list[Sequence[Pull]] = []
    events.on_pulls(taken.append)
    pulled(APP, ALICE, "", "")
    pulled(APP, ANONYMOUS, "", "")
    events.flush()
    events.flush()
    assert [[pull.actor for pull in pulls] for pulls in taken] == [[ALICE, ANONYMOUS]]
    assert taken[0][0].artifact.tag == "v1"


def test_pulls_are_counted_when_they_are_not_written_down(db: None) -> None:
    taken: list[Sequence[Pull]] = []
    events.on_pulls(taken.append)
    configuration_update(values={"pull_audit_log_disable": True})
    Event.objects.all().delete()
    pulled(APP, ALICE, "", "")
    events.flush()
    assert len(taken) == 1
    assert not Event.objects.exists()


def test_who_can_not_count_pulls_is_heard_of_and_harms_nobody(db: None, caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Sequence[Pull]] = []

    def fails(pulls: Sequence[Pull]) -> None:
        raise LookupError("no such repository")

    events.on_pulls(fails)
    events.on_pulls(taken.append)
    pulled(APP, ALICE, "", "")
    events.flush()
    assert len(taken) == 1
    assert Event.objects.count() == 1
    assert "pulls could not be counted" in caplog.text


def test_a_full_buffer_drops_the_oldest_and_says_so(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    monkeypatch.setattr(events, "_pulls", type(events._pulls)(maxlen=3))
    for number in range(5):
        pulled(APP, Actor(number, f"user{number}", "user", is_admin=False, version=1), "", "")
    events.flush()
    assert [event.username for event in Event.objects.order_by("pk")] == ["user2", "user3", "user4"]
    assert "about 2 pulls were not written down" in caplog.text


def test_pulls_wait_for_a_database_that_does_not_take_them(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    """What came meanwhile is written behind what came before."""
    taken: list[Sequence[Pull]] = []
    events.on_pulls(taken.append)
    caplog.set_level(logging.WARNING)
    pulled(APP, ALICE, "", "first")
    other = connection.copy()
    with other.cursor() as cursor, connection.cursor() as ours:
        cursor.execute("BEGIN; LOCK TABLE system_event")
        ours.execute("SET lock_timeout = '50ms'")
        events.flush()
        cursor.execute("ROLLBACK")
        ours.execute("RESET lock_timeout")
    other.close()
    assert "1 pulls wait to be written down: canceling statement due to lock timeout" in caplog.text
    assert taken == []
    pulled(APP, ALICE, "", "second")
    events.flush()
    assert [event.request_id for event in Event.objects.order_by("pk")] == ["first", "second"]
    assert [len(pulls) for pulls in taken] == [2]


def test_pulls_of_many_threads_are_all_written_down(db: None) -> None:
    def pull() -> None:
        for _ in range(500):
            pulled(APP, ALICE, "", "")

    threads = [threading.Thread(target=pull) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        events.flush()
        thread.join()
    events.flush()
    assert Event.objects.count() == 4000
