"""Wrong passwords: how many are too many, for whom and from where, and who gets in nevertheless (S-74)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F

from accounts import lockout, services
from accounts.authentication import authenticate_basic
from accounts.models import FailedSignIns, User
from harborlite.actors import ANONYMOUS
from harborlite.errors import TooManyRequests, Unauthorized
from harborlite.origin import Origin, began
from system.models import Event
from tests.accounts.browser import PASSWORD, Browser, Program
from tests.together import together

HOME, AWAY = "192.0.2.1", "192.0.2.2"


def attempt(username: str, password: str = "Wrong-Horse-7", address: str = HOME) -> str:
    with began(Origin(ANONYMOUS, address)):
        try:
            return authenticate_basic(username, password).username
        except Unauthorized:
            return "refused"
        except TooManyRequests:
            return "locked"


def later(minutes: float) -> None:
    """So much time passes for what is counted."""
    step = timedelta(minutes=minutes)
    FailedSignIns.objects.update(last_at=F("last_at") - step, locked_until=F("locked_until") - step)


# The rule.


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"), ("127.0.0.1", "here"),
        ("127.9.9.9", "here"),
        ("::1", "here"), ("::ffff:127.0.0.1", "here"), ("", "here"), ("unix:", "here"),
    ],
)  # fmt: skip
def test_sources(address: str, source: str) -> None:
    assert lockout.source_of(address) == source


def test_pauses_grow_and_end() -> None:
    assert [lockout.pause("alice", HOME, n) for n in range(3, 13)] == [0, 0, 60, 120, 240, 480, 900, 900, 900, 900]
    assert [lockout.pause(lockout.ANYBODY, HOME, n) for n in (99, 100, 101, 10**9)] == [0, 60, 120, 900]
    assert lockout.pause(lockout.ANYBODY, lockout.HERE, 10**9) == 0
    assert lockout.pause("alice", lockout.HERE, 5) == 60


# One account.


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_the_sixth_guess_is_not_looked_at(alice: User, name: str) -> None:
    """S-72, S-74: nor is whether there is such an account."""
    assert [attempt(name) for _ in range(7)] == ["refused"] * 5 + ["locked"] * 2
    assert attempt(name, PASSWORD) == "locked"


@pytest.mark.parametrize("spelling", ["ALICE", "al\u0131ce", "\uff21lice"])
def test_spellings_of_a_name_are_counted_together(alice: User, spelling: str) -> None:
    assert [attempt(name) for name in ["alice", spelling] * 3] == ["refused"] * 5 + ["locked"]


def test_nobody_is_locked_out_by_others(root: User) -> None:
    """S-74"""
    for _ in range(20):
        attempt("root")
    assert attempt("root", PASSWORD, AWAY) == "root"
    assert attempt("root", PASSWORD) == "locked"


def test_a_remembered_password_passes_no_closed_door(alice: User) -> None:
    """Else a guess would be told right from wrong while the owner works from the same address."""
    assert attempt("alice", PASSWORD) == "Alice"
    for _ in range(5):
        attempt("alice")
    assert attempt("alice", PASSWORD) == "locked"


def test_the_door_opens_again_and_closes_for_longer(alice: User) -> None:
    for _ in range(5):
        attempt("alice")
    later(1.01)
    assert [attempt("alice"), attempt("alice")] == ["refused", "locked"]
    later(1.01)
    assert attempt("alice", PASSWORD) == "locked"
    later(1)
    assert attempt("alice", PASSWORD) == "Alice"
    assert [attempt("alice") for _ in range(6)] == ["refused"] * 5 + ["locked"]


def test_what_is_long_ago_is_forgotten(alice: User) -> None:
    for _ in range(4):
        attempt("alice")
    later(61)
    assert [attempt("alice") for _ in range(5)] == ["refused"] * 5
    later(25 * 60)
    attempt("nobody")
    assert set(FailedSignIns.objects.values_list("account", flat=True)) == {"nobody", lockout.ANYBODY}


def test_the_right_password_ends_the_count(alice: User) -> None:
    for _ in range(3):
        assert [attempt("alice") for _ in range(4)] == ["refused"] * 4
        assert attempt("alice", PASSWORD, AWAY) == "Alice"
        services.user_set_password(user=alice, password=f"{PASSWORD}{alice.access_version}")
        assert attempt("alice", f"{PASSWORD}{alice.access_version - 1}") == "Alice"
        services.user_set_password(user=alice, password=PASSWORD)


def test_a_disabled_account_is_refused_and_not_counted(alice: User, root: User) -> None:
    services.user_disable(user=alice)
    assert [attempt("alice", PASSWORD) for _ in range(7)] == ["refused"] * 7
    assert [attempt("alice") for _ in range(6)] == ["refused"] * 5 + ["locked"]


# One source.


def test_a_source_that_tries_many_names_is_stopped(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "SOURCE_MOST", 10)
    assert [attempt(f"name-{number}") for number in range(11)] == ["refused"] * 10 + ["locked"]
    assert attempt("alice", PASSWORD) == "locked"
    assert attempt("alice", PASSWORD, AWAY) == "Alice"
    assert attempt("bob", address="2001:db8::1") == "refused"
    assert FailedSignIns.objects.filter(source=HOME).count() == 11


def test_one_customer_of_an_ipv6_provider_is_one_source(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(lockout, "SOURCE_MOST", 10)
    answers = [attempt(f"name-{number}", address=f"2001:db8::{number:x}") for number in range(12)]
    assert answers == ["refused"] * 10 + ["locked"] * 2


def test_behind_a_proxy_that_is_not_named_only_accounts_are_closed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout, "SOURCE_MOST", 10)
    assert {attempt(f"name-{number}", address="127.0.0.1") for number in range(12)} == {"refused"}
    assert attempt("alice", PASSWORD, "127.0.0.1") == "Alice"


# Machines.


def test_tokens_and_robots_pass_and_are_not_counted(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "SOURCE_MOST", 10)
    _token, secret = services.token_issue(user=alice, name="t")
    robot, robot_secret = services.robot_account_create(name="ci", expires_at=None)
    for _ in range(12):
        assert attempt(robot.login, "x" * 43) == "refused"
        assert attempt("alice", "hlp_" + "x" * 43) == "refused"
    assert not FailedSignIns.objects.exists()
    for number in range(12):
        attempt(f"name-{number}")
        attempt("alice")
    assert attempt("alice", PASSWORD) == "locked"
    assert attempt("alice", secret) == "Alice"
    assert attempt(robot.login, robot_secret) == robot.login


# Faces.


def test_every_face_closes_the_same_door(alice: User) -> None:
    token = "/service/token?service=harborlite"
    wrong = Program("alice", "Wrong-Horse-7", HOME)
    browser = Browser(HOME)
    statuses = [
        wrong("GET", "/users/current").status_code,
        browser.login("alice", "Wrong-Horse-7").status_code,
        browser.client.get("/v2/", headers=wrong.credentials).status_code,
        browser.client.get(token, headers=wrong.credentials).status_code,
        browser.client.post(
            "/service/token", "grant_type=password&username=alice&password=x", "application/x-www-form-urlencoded"
        ).status_code,
    ]
    assert statuses == [401] * 5
    right = Program("alice", PASSWORD, HOME)
    locked = [
        right("GET", "/users/current"),
        right("GET", "/systeminfo"),
        browser.login("alice"),
        browser.client.get("/v2/", headers=right.credentials),
        browser.client.get(token, headers=right.credentials),
    ]
    assert [answer.status_code for answer in locked] == [429] * 5
    for answer in locked:
        assert 1 <= int(answer["Retry-After"]) <= 61
        assert answer.json()["errors"][0]["code"] in ("TOO_MANY_REQUEST", "TOOMANYREQUESTS")
    assert Program("alice", PASSWORD, AWAY)("GET", "/users/current").status_code == 200


def test_a_session_outlives_a_closed_door(alice: User) -> None:
    browser = Browser(HOME)
    browser.login("alice")
    for _ in range(6):
        attempt("alice")
    assert browser.get("/users/current").status_code == 200


def test_a_closed_door_is_written_down_once_with_each_closing(alice: User) -> None:
    for _ in range(8):
        attempt("alice")
    event = Event.objects.get(operation="login")
    assert (event.username, event.resource, event.address, event.is_successful) == ("anonymous", "alice", HOME, False)
    assert "60 s" in event.description
    assert "Wrong-Horse" not in event.description


@pytest.mark.parametrize("name", ["nul\x00", "\ud800", "x" * 300, "a\nb", ""])
def test_what_can_be_no_name_is_counted_for_its_source(db: None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "SOURCE_MOST", 3)
    assert [attempt(name) for _ in range(4)] == ["refused"] * 3 + ["locked"]


def test_an_operator_opens_doors(alice: User, root: User) -> None:
    for name in ("alice", "root"):
        for _ in range(5):
            attempt(name)
    call_command("user", "unlock", "alice")
    assert (attempt("alice", PASSWORD), attempt("root", PASSWORD)) == ("Alice", "locked")
    call_command("user", "unlock")
    assert attempt("root", PASSWORD) == "root"


def test_failing_costs_a_bounded_number_of_queries(
    alice: User, django_assert_max_num_queries: Callable[[int], Any], warm: None
) -> None:
    for _ in range(5):
        with django_assert_max_num_queries(8):
            attempt("alice")
    with django_assert_max_num_queries(2):
        attempt("alice")


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_are_counted_too() -> None:
    services.user_create(username="alice", password=PASSWORD)
    results = together(*(lambda: attempt("alice") for _ in range(20)))
    # Five, and those few that were being hashed meanwhile.
    assert results.count("refused") <= 5 + 4
    assert set(results) == {"refused", "locked"}
    assert attempt("alice", PASSWORD) == "locked"
