"""accounts.authentication: who gets in, who does not, and what it costs."""

import base64
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from accounts import authentication, passwords, services
from accounts.authentication import actor_of, authenticate_basic, parse_basic
from accounts.models import AccessToken, User
from harborlite.actors import Actor
from harborlite.errors import Unauthorized

PASSWORD = "Correct-Horse-7"
Elsewhere = Callable[[], AbstractContextManager[None]]


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (basic("alice:secret"), ("alice", "secret")),
        (basic("alice:with:colons"), ("alice", "with:colons")),
        (basic("jos\u00e9:g\u00e9heim"), ("jos\u00e9", "g\u00e9heim")),
        (basic("robot$lib+ci:x"), ("robot$lib+ci", "x")),
        (basic("alice:"), ("alice", "")),
        (basic(":secret"), ("", "secret")),
        ("basic  " + basic("a:b").removeprefix("Basic "), ("a", "b")),
        (basic("nocolon"), None),
        (basic(b"\xff\xfe:x"), None),
        ("Basic !!!", None),
        ("Basic", None),
        ("", None),
        ("Bearer " + base64.b64encode(b"a:b").decode(), None),
    ],
)
def test_parse_basic(header: str, found: tuple[str, str] | None) -> None:
    assert parse_basic(header) == found


@pytest.fixture
def robot(db: None) -> tuple[User, str]:
    return services.robot_account_create(name="library+ci", expires_at=None)


def test_a_password_signs_in(alice: User) -> None:
    assert authenticate_basic("Alice", PASSWORD) == Actor(alice.pk, "Alice", "user", is_admin=False, version=1)


@pytest.mark.parametrize("name", ["alice", "ALICE", "\uff21lice", "al\u0131ce"])
def test_a_username_signs_in_in_every_form(alice: User, name: str) -> None:
    assert authenticate_basic(name, PASSWORD).user_id == alice.pk


def test_an_administrator_is_told_apart(root: User) -> None:
    assert authenticate_basic("root", PASSWORD).is_admin


def test_a_token_stands_for_the_password(alice: User) -> None:
    token, secret = services.token_issue(user=alice, name="laptop")
    assert authenticate_basic("alice", secret).user_id == alice.pk
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_a_password_that_looks_like_a_token_still_signs_in(db: None) -> None:
    services.user_create(username="bob", password="hlp_Looks-Like-1")
    assert authenticate_basic("bob", "hlp_Looks-Like-1").username == "bob"


def test_a_robot_signs_in_by_its_secret(robot: tuple[User, str]) -> None:
    user, secret = robot
    assert authenticate_basic("robot$library+ci", secret) == Actor(
        user.pk, "robot$library+ci", "robot", is_admin=False, version=1
    )


def test_a_robot_follows_the_configured_prefix(robot: tuple[User, str], configured: Callable[..., None]) -> None:
    configured(robot_name_prefix="bot_")
    assert authenticate_basic("bot_library+ci", robot[1]).username == "bot_library+ci"
    with pytest.raises(Unauthorized):
        authenticate_basic("robot$library+ci", robot[1])


def refusals(alice: User, robot: tuple[User, str]) -> dict[str, tuple[str, str]]:
    """Every way not to get in, by name."""
    _token, foreign = services.token_issue(user=services.user_create(username="eve", password=PASSWORD), name="t")
    late, expired = services.token_issue(user=alice, name="old", expires_at=timezone.now() + timedelta(days=1))
    AccessToken.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    gone, revoked = services.token_issue(user=alice, name="gone")
    services.token_revoke(token=gone)
    disabled = services.user_create(username="disabled", password=PASSWORD)
    _token, of_disabled = services.token_issue(user=disabled, name="t")
    services.user_disable(user=disabled)
    services.user_create(username="external", password=None)
    off, off_secret = services.robot_account_create(name="off", expires_at=None)
    services.robot_account_update(user=off, is_active=False, expires_at=None)
    _old, old_secret = services.robot_account_create(name="old", expires_at=timezone.now() - timedelta(seconds=1))
    return {
        "unknown user": ("nobody", PASSWORD),
        "wrong password": ("alice", "Wrong-Horse-7"),
        "empty password": ("alice", ""),
        "long password": ("alice", "x" * 4096),
        "password in another case": ("alice", PASSWORD.upper()),
        "surrogates": ("alice", "\ud800"),
        "empty name": ("", PASSWORD),
        "name with NUL": ("ali\x00ce", PASSWORD),
        "name of surrogates": ("\ud800", PASSWORD),
        "long name": ("x" * 5000, PASSWORD),
        "disabled user": ("disabled", PASSWORD),
        "token of a disabled user": ("disabled", of_disabled),
        "user without password": ("external", "!"),
        "somebody else's token": ("alice", foreign),
        "expired token": ("alice", expired),
        "revoked token": ("alice", revoked),
        "made up token": ("alice", "hlp_" + "x" * 43),
        "digest of a token": ("alice", late.digest),
        "unknown robot": ("robot$library+nobody", robot[1]),
        "wrong robot secret": ("robot$library+ci", "x" * 43),
        "robot's secret without its name": ("alice", robot[1]),
        "robot's name without prefix": ("library+ci", robot[1]),
        "person's password for a robot": ("robot$alice", PASSWORD),
        "person's token by a robot's name": ("robot$library+ci", foreign),
        "disabled robot": ("robot$off", off_secret),
        "expired robot": ("robot$old", old_secret),
        "robot without secret": ("robot$library+ci", ""),
    }


def test_every_refusal_is_the_same(alice: User, robot: tuple[User, str], elsewhere: Elsewhere) -> None:
    """S-72"""
    for cause, (username, secret) in refusals(alice, robot).items():
        with elsewhere(), pytest.raises(Unauthorized) as caught:
            authenticate_basic(username, secret)
        assert (cause, caught.value.message, caught.value.detail, caught.value.headers) == (
            cause,
            authentication.REFUSED,
            None,
            {},
        )


def test_an_unknown_user_costs_the_same_work_as_a_known_one(
    alice: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any, elsewhere: Elsewhere, warm: None
) -> None:
    """S-72"""
    services.user_create(username="external", password=None)
    services.user_disable(user=services.user_create(username="off", password=PASSWORD))
    hashed: list[str] = []
    real = passwords.check_password

    def count(secret: str, encoded: str, setter: Callable[[str], None]) -> bool:
        hashed.append(encoded.rpartition("$")[0].rpartition("$")[0])  # the method and its cost
        return real(secret, encoded, setter)

    monkeypatch.setattr(passwords, "check_password", count)
    for username in ("nobody", "alice", "external", "off", "", "nul\x00"):
        # The row, the doors, and in a transaction, which here is a savepoint: the count, and what is forgotten.
        with elsewhere(), django_assert_num_queries(6), pytest.raises(Unauthorized):
            authenticate_basic(username, "Wrong-Horse-7")
    assert len(hashed) == 6
    assert len(set(hashed)) == 1


def test_an_unknown_user_takes_the_time_of_a_known_one(alice: User, elsewhere: Elsewhere) -> None:
    """S-72"""
    times: dict[str, list[float]] = {"alice": [], "nobody": []}
    for _ in range(21):
        for username, taken in times.items():  # in turn, so that a busy machine slows both alike
            start = time.perf_counter()
            with elsewhere(), pytest.raises(Unauthorized):
                authenticate_basic(username, "Wrong-Horse-7")
            taken.append(time.perf_counter() - start)
    known, unknown = (statistics.median(taken) for taken in times.values())
    # Without a hash it would take a twentieth.
    assert 0.5 < unknown / known < 2


# What is remembered.


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each password check that was really made."""
    made: list[str] = []
    real = passwords.check_password

    def count(secret: str, encoded: str, setter: Callable[[str], None]) -> bool:
        made.append(secret)
        return real(secret, encoded, setter)

    monkeypatch.setattr(passwords, "check_password", count)
    return made


def test_a_good_password_is_hashed_once_a_minute(
    alice: User, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticate_basic("alice", PASSWORD)
    authenticate_basic("ALICE", PASSWORD)
    assert len(checks) == 1
    later = time.monotonic() + passwords.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(passwords.time, "monotonic", lambda: later)
    authenticate_basic("alice", PASSWORD)
    assert len(checks) == 2


def test_a_wrong_password_is_never_remembered(alice: User, checks: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(Unauthorized):
            authenticate_basic("alice", "Wrong-Horse-7")
    assert len(checks) == 2


def test_what_is_remembered_is_the_password_of_one_account(alice: User, checks: list[str]) -> None:
    services.user_create(username="bob", password="Another-Horse-8")
    authenticate_basic("alice", PASSWORD)
    with pytest.raises(Unauthorized):
        authenticate_basic("bob", PASSWORD)


def test_a_changed_password_counts_at_once(alice: User) -> None:
    authenticate_basic("alice", PASSWORD)
    services.user_set_password(user=alice, password="Another-Horse-8")
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", PASSWORD)
    assert authenticate_basic("alice", "Another-Horse-8").version == 2


def test_disabling_counts_at_once(alice: User) -> None:
    authenticate_basic("alice", PASSWORD)
    services.user_disable(user=alice)
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", PASSWORD)


def test_no_secret_is_kept_in_memory_as_it_is(alice: User) -> None:
    authenticate_basic("alice", PASSWORD)
    assert not any(PASSWORD.encode() in key for key in passwords._remembered)


def test_what_is_remembered_is_bounded(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_REMEMBERED_MOST", 2)
    monkeypatch.setattr(passwords, "_remembered", type(passwords._remembered)())
    for name in ("one", "two", "three"):
        services.user_create(username=name, password=PASSWORD)
        authenticate_basic(name, PASSWORD)
    assert len(passwords._remembered) == 2


# What it costs.


def test_a_password_costs_one_query_and_once_a_minute_two(
    alice: User, django_assert_num_queries: Any, warm: None
) -> None:
    with django_assert_num_queries(2):
        authenticate_basic("alice", PASSWORD)
    with django_assert_num_queries(1):
        authenticate_basic("alice", PASSWORD)


def test_a_token_costs_one_query_and_once_an_hour_two(alice: User, django_assert_num_queries: Any, warm: None) -> None:
    token, secret = services.token_issue(user=alice, name="laptop")
    with django_assert_num_queries(2):
        authenticate_basic("alice", secret)
    with django_assert_num_queries(1):
        authenticate_basic("alice", secret)
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(hours=2))
    with django_assert_num_queries(2):
        authenticate_basic("alice", secret)


def test_a_robot_costs_one_query_and_once_an_hour_two(
    robot: tuple[User, str], django_assert_num_queries: Any, warm: None
) -> None:
    for most in (2, 1):
        with django_assert_num_queries(most):
            authenticate_basic("robot$library+ci", robot[1])


def test_passwords_are_kept_by_argon2id_at_the_chosen_cost(alice: User) -> None:
    assert alice.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_password_of_an_older_hasher_is_kept_anew(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    assert authenticate_basic("alice", PASSWORD).version == 1
    alice.refresh_from_db()
    assert alice.password.startswith("argon2$")
    assert authenticate_basic("alice", PASSWORD).user_id == alice.pk


def test_a_disabled_administrator_is_none(root: User) -> None:
    root.is_active = False
    assert not actor_of(root).is_admin
