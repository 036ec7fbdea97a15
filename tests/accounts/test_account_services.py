"""accounts.services: what is true afterwards, what is refused, and who loses what."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import services
from accounts.authentication import actor_of, authenticate_basic
from accounts.models import AccessToken, Group, User
from accounts.queries import groups_of, is_current, tokens_of, user_get, users_search
from harborlite.actors import ANONYMOUS
from harborlite.errors import BadRequest, Conflict, Denied, NotFound, Unauthorized
from tests.together import together

PASSWORD = "Correct-Horse-7"


def version(user: User) -> int:
    return User.objects.get(pk=user.pk).access_version


# People.


def test_a_user_is_made_without_rights(alice: User) -> None:
    alice.refresh_from_db()
    assert (alice.username, alice.kind, alice.is_active, alice.is_superuser) == ("Alice", "user", True, False)


@pytest.mark.parametrize("twin", ["alice", "ALICE", "\uff21lice", "Al\u0131ce"])
def test_a_username_is_taken_in_every_form(alice: User, twin: str) -> None:
    with pytest.raises(Conflict):
        services.user_create(username=twin, password=PASSWORD)


def test_an_email_is_taken_in_every_case(alice: User) -> None:
    with pytest.raises(Conflict):
        services.user_create(username="bob", password=PASSWORD, email="ALICE@example.com")


def test_many_have_no_email(db: None) -> None:
    for name in ("one", "two"):
        assert services.user_create(username=name, password=PASSWORD, email="").email is None


@pytest.mark.parametrize(
    "values",
    [
        {"username": "robot$x"},
        {"username": "two words"},
        {"email": "nonsense"},
        {"email": "a@example.com\n"},
        {"realname": "x" * 256},
        {"realname": "two\nlines"},
        {"comment": "\x00"},
        {"comment": "\u202e"},
    ],
)
def test_bad_values_are_refused(db: None, values: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        services.user_create(**{"username": "bob", "password": PASSWORD, **values})  # type: ignore[arg-type]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "password", ["", "Short-1", "no-upper-case-1", "NO-LOWER-CASE-1", "No-Digit-At-All", "Aa1" * 50, "Aa1-nul\x00xxx"]
)
def test_bad_passwords_are_refused(alice: User, password: str) -> None:
    with pytest.raises(BadRequest):
        services.user_create(username="bob", password=password)
    with pytest.raises(BadRequest):
        services.user_set_password(user=alice, password=password)
    assert authenticate_basic("alice", PASSWORD)


def test_a_password_of_128_characters_counts_to_its_last(db: None) -> None:
    password = "Aa1" + "x" * 125
    services.user_create(username="bob", password=password)
    assert authenticate_basic("bob", password)
    with pytest.raises(Unauthorized):
        authenticate_basic("bob", password[:-1] + "y")


def test_the_profile_is_replaced(alice: User, root: User) -> None:
    services.user_update(user=alice, email="a@example.com", realname="Alice L.", comment="")
    assert (user_get("alice").email, user_get("alice").realname) == ("a@example.com", "Alice L.")
    with pytest.raises(Conflict):
        services.user_update(user=root, email="A@example.com", realname="", comment="")


def test_a_new_password_ends_sessions(alice: User) -> None:
    kept_in_sessions = alice.get_session_auth_hash()
    services.user_set_password(user=alice, password="Another-Horse-8")
    assert user_get("alice").get_session_auth_hash() != kept_in_sessions


@pytest.mark.parametrize(
    "change",
    [
        lambda user: services.user_set_password(user=user, password="Another-Horse-8"),
        lambda user: services.user_disable(user=user),
        lambda user: services.user_enable(user=user),
        lambda user: services.user_set_admin(user=user, is_admin=True),
        lambda user: services.user_set_admin(user=user, is_admin=False),
        lambda user: services.token_revoke(token=services.token_issue(user=user, name="t")[0]),
        lambda user: services.group_add_user(group=services.group_create(name="g", kind=3), user=user),
    ],
    ids=["password", "disable", "enable", "admin", "not admin", "token revoked", "joined a group"],
)
def test_what_changes_access_changes_the_version(alice: User, root: User, change: Callable[[User], None]) -> None:
    before, others = version(alice), version(root)
    change(alice)
    assert version(alice) == before + 1
    assert version(root) == others


def test_the_last_administrator_stays(root: User) -> None:
    for change in (
        lambda: services.user_disable(user=root),
        lambda: services.user_delete(user=root),
        lambda: services.user_set_admin(user=root, is_admin=False),
    ):
        with pytest.raises(Denied):
            change()
    root.refresh_from_db()
    assert (root.is_active, root.is_superuser, root.access_version) == (True, True, 1)


def test_an_administrator_who_is_not_the_last_can_go(root: User, alice: User) -> None:
    services.user_set_admin(user=alice, is_admin=True)
    services.user_delete(user=root)
    assert list(User.objects.values_list("username", flat=True)) == ["Alice"]


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_remove_each_other_do_not_both_succeed() -> None:
    for _round in range(5):
        one, two = (services.user_create(username=name, password=None, is_admin=True) for name in ("one", "two"))
        results = together(lambda: services.user_delete(user=one), lambda: services.user_disable(user=two))  # noqa: B023
        assert sorted(map(str, results)) == sorted(map(str, [None, Denied]))
        assert User.objects.filter(is_superuser=True, is_active=True).count() == 1
        User.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_a_name_at_once_one_gets_it() -> None:
    results = together(*(lambda name=name: services.user_create(username=name, password=None) for name in ("Bo", "BO")))
    assert results.count(Conflict) == 1
    assert User.objects.count() == 1


def test_a_deleted_user_is_gone_and_so_are_the_tokens(alice: User, root: User) -> None:
    _token, secret = services.token_issue(user=alice, name="laptop")
    services.user_delete(user=alice)
    assert not AccessToken.objects.exists()
    again = services.user_create(username="alice", password=PASSWORD)
    assert again.pk != alice.pk
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", secret)


def test_a_user_that_is_gone_can_not_be_changed(alice: User) -> None:
    services.user_delete(user=User.objects.get(pk=alice.pk))
    with pytest.raises(NotFound):
        services.user_set_password(user=alice, password="Another-Horse-8")
    with pytest.raises(NotFound):
        services.user_update(user=alice, email=None, realname="", comment="")


def test_robots_are_not_changed_as_people(db: None) -> None:
    robot, _secret = services.robot_account_create(name="library+ci", expires_at=None)
    group = services.group_create(name="g", kind=3)
    for change in (
        lambda: services.user_set_password(user=robot, password=PASSWORD),
        lambda: services.user_set_admin(user=robot, is_admin=True),
        lambda: services.user_enable(user=robot),
        lambda: services.user_delete(user=robot),
        lambda: services.token_issue(user=robot, name="more"),
        lambda: services.group_add_user(group=group, user=robot),
    ):
        with pytest.raises(BadRequest):
            change()


# The first administrator.


def test_the_first_administrator_has_a_password_nobody_knew_before(db: None) -> None:
    password = services.admin_ensure(None)
    assert password is not None
    assert authenticate_basic("admin", password).is_admin
    assert services.admin_ensure(None) is None


def test_the_first_administrator_has_the_given_password(db: None) -> None:
    assert services.admin_ensure(PASSWORD) is None
    assert authenticate_basic("admin", PASSWORD).is_admin


@pytest.mark.parametrize("password", ["Harbor12345", "admin", "password", "changeme"])
def test_no_documented_password_signs_in_to_a_fresh_installation(db: None, password: str) -> None:
    services.admin_ensure(None)
    with pytest.raises(Unauthorized):
        authenticate_basic("admin", password)


def test_a_password_given_later_changes_nothing(db: None) -> None:
    first = services.admin_ensure(None)
    assert services.admin_ensure(PASSWORD) is None
    assert first is not None
    assert authenticate_basic("admin", first)
    with pytest.raises(Unauthorized):
        authenticate_basic("admin", PASSWORD)


def test_no_administrator_is_made_where_there_are_people(alice: User) -> None:
    assert services.admin_ensure(None) is None
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_that_start_at_once_one_makes_the_administrator() -> None:
    results = together(lambda: services.admin_ensure(None), lambda: services.admin_ensure(None))
    password = next(result for result in results if isinstance(result, str))
    assert results.count(None) == 1
    assert authenticate_basic("admin", password)


# Groups.


def test_who_leaves_a_group_loses_it(alice: User) -> None:
    group = services.group_create(name="team", kind=Group.Kind.OIDC)
    services.group_add_user(group=group, user=alice)
    assert [found.name for found in groups_of(alice)] == ["team"]
    before = version(alice)
    services.group_remove_user(group=group, user=alice)
    assert not groups_of(alice)
    assert version(alice) == before + 1


def test_a_deleted_group_takes_from_all_its_members(alice: User, root: User) -> None:
    group = services.group_create(name="team", kind=Group.Kind.HTTP)
    services.group_add_user(group=group, user=alice)
    before, others = version(alice), version(root)
    services.group_delete(group=group)
    assert (version(alice), version(root)) == (before + 1, others)
    assert not Group.objects.exists()


def test_an_ldap_group_is_known_by_its_dn(db: None) -> None:
    services.group_create(name="ops", kind=1, ldap_group_dn="cn=ops,dc=example,dc=com")
    with pytest.raises(Conflict):
        services.group_create(name="ops2", kind=1, ldap_group_dn="CN=ops,dc=example,dc=com")


@pytest.mark.parametrize(
    "values",
    [
        {"name": "", "kind": 3},
        {"name": "x" * 151, "kind": 3},
        {"name": "g", "kind": 4},
        {"name": "g", "kind": 1},
        {"name": "g", "kind": 3, "ldap_group_dn": "cn=x"},
        {"name": "g\x00", "kind": 3},
    ],
)
def test_bad_groups_are_refused(db: None, values: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        services.group_create(**values)


def test_a_groups_name_is_taken_once(db: None) -> None:
    services.group_create(name="team", kind=3)
    with pytest.raises(Conflict):
        services.group_create(name="team", kind=2)


# Access tokens.


def test_only_the_digest_of_a_secret_is_kept(alice: User) -> None:
    token, secret = services.token_issue(user=alice, name="laptop")
    assert secret.startswith("hlp_")
    assert len(secret) > 40
    row = AccessToken.objects.filter(pk=token.pk).values().get()
    assert row["digest"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in map(str, row.values())


def test_a_token_outlives_a_change_of_password(alice: User) -> None:
    _token, secret = services.token_issue(user=alice, name="laptop")
    services.user_set_password(user=alice, password="Another-Horse-8")
    assert authenticate_basic("alice", secret)


def test_a_tokens_name_is_taken_once_per_user(alice: User, root: User) -> None:
    services.token_issue(user=alice, name="laptop")
    services.token_issue(user=root, name="laptop")
    with pytest.raises(Conflict):
        services.token_issue(user=alice, name="laptop")
    assert tokens_of(alice).count() == 1


@pytest.mark.parametrize(
    ("name", "days"), [("", None), ("   ", None), ("x" * 256, None), ("two\nlines", None), ("old", 0), ("old", -1)]
)
def test_bad_tokens_are_refused(alice: User, name: str, days: int | None) -> None:
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    with pytest.raises(BadRequest):
        services.token_issue(user=alice, name=name, expires_at=expires_at)


def test_a_robots_new_secret_ends_the_old_one(db: None) -> None:
    robot, old = services.robot_account_create(name="library+ci", expires_at=None)
    new = services.robot_account_secret(user=robot)
    assert authenticate_basic("robot$library+ci", new).version == 2
    with pytest.raises(Unauthorized):
        authenticate_basic("robot$library+ci", old)


# Reads.


def test_people_are_found_by_the_start_of_their_name(alice: User, root: User) -> None:
    services.robot_account_create(name="alice", expires_at=None)
    assert [user.username for user in users_search("AL")] == ["Alice"]
    for wild in ("%", "_lice", "al%", "\x00", "robot"):
        assert not users_search(wild)


@pytest.mark.parametrize("name", ["nobody", "", "nul\x00", "\ud800", "robot$library+ci"])
def test_who_is_not_there_is_not_found(db: None, name: str) -> None:
    services.robot_account_create(name="library+ci", expires_at=None)
    with pytest.raises(NotFound):
        user_get(name)


def test_an_actor_is_current_until_its_account_changes(alice: User) -> None:
    actor = actor_of(alice)
    assert is_current(actor)
    services.user_set_password(user=alice, password="Another-Horse-8")
    assert not is_current(actor)
    actor = actor_of(user_get("alice"))
    assert is_current(actor)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert not is_current(actor)
    User.objects.filter(pk=alice.pk).delete()
    assert not is_current(actor)
    assert is_current(ANONYMOUS)
