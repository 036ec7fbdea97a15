"""The commands `user` and `token`: what they print, and that they refuse on one line."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts.authentication import authenticate_basic
from accounts.models import User
from harborlite.errors import Unauthorized

PASSWORD = "Correct-Horse-7"


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def type_(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return type_


def test_a_user_is_made_with_the_password_from_standard_input(db: None, typed: Any) -> None:
    typed(PASSWORD + "\n")
    out = run("user", "create", "bob", "--email", "bob@example.com", "--password-stdin")
    assert out == "created user bob\n"
    assert not authenticate_basic("bob", PASSWORD).is_admin
    assert PASSWORD not in out


def test_an_administrator_is_made(db: None, typed: Any) -> None:
    typed(PASSWORD)
    run("user", "create", "boss", "--admin", "--password-stdin")
    assert authenticate_basic("boss", PASSWORD).is_admin


def test_a_password_is_changed(alice: User, typed: Any) -> None:
    typed("Another-Horse-8\n")
    run("user", "password", "alice", "--password-stdin")
    assert authenticate_basic("alice", "Another-Horse-8")


def test_users_are_listed(alice: User, root: User) -> None:
    run("user", "disable", "alice")
    lines = [line.split() for line in run("user", "list").splitlines()]
    assert [line[:3] for line in lines] == [
        ["name", "email", "state"],
        ["Alice", "alice@example.com", "disabled"],
        ["root", "-", "admin"],
    ]


def test_a_user_is_disabled_enabled_promoted_and_deleted(alice: User) -> None:
    run("user", "disable", "alice")
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", PASSWORD)
    run("user", "enable", "alice")
    run("user", "admin", "alice")
    assert authenticate_basic("alice", PASSWORD).is_admin
    with pytest.raises(CommandError, match="last administrator"):
        run("user", "not-admin", "alice")
    with pytest.raises(CommandError, match="last administrator"):
        run("user", "delete", "alice")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("user", "disable", "nobody"), "there is no user 'nobody'"),
        (("user", "create", "robot$x", "--password-stdin"), "kept for robots|none of"),
        (("user", "create", "bob", "--password-stdin"), "8-128"),
        (("user", "create", "bob"), "--password-stdin"),
        (("user", "create"), "required: name"),
        (("user", "fly"), "invalid choice"),
        (("user",), "required: VERB"),
        (("token", "create", "nobody", "t"), "there is no user"),
        (("token", "create", "alice", "t", "--days", "0"), "--days"),
        (("token", "revoke", "alice", "t"), "has no token t"),
    ],
)
def test_refusals_are_one_line(alice: User, typed: Any, words: tuple[str, ...], message: str) -> None:
    typed("weak\n")
    with pytest.raises(CommandError, match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value)


def test_a_token_is_printed_once(alice: User) -> None:
    secret = run("token", "create", "alice", "laptop", "--days", "30").strip()
    assert authenticate_basic("alice", secret).user_id == alice.pk
    listed = run("token", "list", "alice")
    assert "laptop" in listed
    assert secret not in listed
    run("token", "revoke", "alice", "laptop")
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", secret)


def test_a_database_without_tables_is_one_line(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_user RENAME TO elsewhere")
    with pytest.raises(CommandError, match="harborlite migrate"):
        run("user", "list")


def test_a_database_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused\n\tIs the server running?")

    monkeypatch.setattr("accounts.management.commands.user.users_list", refuse)
    with pytest.raises(CommandError) as caught:
        run("user", "list")
    assert str(caught.value) == "the database is not available: connection refused"
