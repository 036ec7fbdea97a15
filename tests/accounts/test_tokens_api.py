"""Personal access tokens over REST: made, shown once, used, listed, revoked; whose, and by whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import AccessToken, User
from system.models import Event
from tests.accounts.browser import PASSWORD, Browser, Program

MINE = "/users/current/tokens"


@pytest.fixture
def person(alice: User) -> Program:
    return Program(alice)


def bearer(secret: str) -> Program:
    program = Program()
    program.credentials = {"Authorization": f"Bearer {secret}"}
    return program


def make(person: Program, **values: Any) -> dict[str, Any]:
    answer = person("POST", MINE, {"name": "laptop", **values})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    assert answer["Location"] == f"/api/v2.0/users/current/tokens/{made['id']}"
    return made


def test_a_token_signs_in_instead_of_the_password(alice: User, person: Program) -> None:
    secret = make(person)["secret"]
    for who in (Program(alice, secret), bearer(secret)):
        assert who("GET", "/users/current").json()["username"] == "Alice"
    with_it = Program("bob", secret)
    assert with_it("GET", "/users/current").status_code == 401


def test_a_secret_is_shown_once(person: Program) -> None:
    secret = make(person)["secret"]
    listed = person("GET", MINE)
    assert set(listed.json()[0]) == {"id", "name", "expires_at", "creation_time", "last_used_time"}
    assert secret not in listed.content.decode()
    assert AccessToken.objects.get().digest not in listed.content.decode()
    assert secret not in str(list(Event.objects.values()))
    event = Event.objects.get(resource_type="token")
    assert (event.username, event.operation, event.resource) == ("Alice", "create", "Alice/laptop")


@pytest.mark.parametrize(("duration", "days"), [({}, 30), ({"duration": 1}, 1), ({"duration": -1}, None)])
def test_a_token_expires(alice: User, person: Program, duration: dict[str, int], days: int | None) -> None:
    made = make(person, **duration)
    if days is None:
        assert made["expires_at"] == -1
        return
    due = (timezone.now() + timedelta(days=days)).timestamp()
    assert abs(made["expires_at"] - due) < 60
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for who in (Program(alice, made["secret"]), bearer(made["secret"])):
        assert who("GET", "/users/current").status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "  "), ("name", None), ("name", "two\nlines"), ("name", "x" * 256), ("name", "a\x00"),
        ("name", "\u202e"), ("name", 7), ("duration", 0), ("duration", -2), ("duration", 36_501), ("duration", 10**30),
        ("duration", "30"), ("duration", True), ("duration", 1.5), ("duration", None),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(person: Program, field: str, value: object) -> None:
    answer = person("POST", MINE, {"name": "t", field: value})
    assert answer.status_code == 400
    assert field in answer.json()["errors"][0]["message"]
    assert not AccessToken.objects.exists()


def test_a_name_is_taken_once(person: Program) -> None:
    make(person)
    assert person("POST", MINE, {"name": "laptop"}).status_code == 409


def test_a_token_makes_no_other(alice: User, person: Program) -> None:
    """Who found one can't stay when it is revoked."""
    secret = make(person)["secret"]
    for who in (Program(alice, secret), bearer(secret)):
        assert who("POST", MINE, {"name": "more"}).status_code == 403
        assert who("GET", MINE).status_code == 200


def test_a_revoked_token_is_refused_at_once(alice: User, person: Program) -> None:
    made = make(person)
    assert person("DELETE", f"{MINE}/{made['id']}").status_code == 200
    assert bearer(made["secret"])("GET", "/users/current").status_code == 401
    assert person("DELETE", f"{MINE}/{made['id']}").status_code == 404
    assert Event.objects.filter(operation="delete", resource="Alice/laptop").count() == 1


def test_who_revokes_a_token_with_a_browser_stays_signed_in(browser: Browser, alice: User) -> None:
    browser.login("alice")
    made = browser.request("POST", MINE, {"name": "t"}).json()
    assert browser.request("DELETE", f"{MINE}/{made['id']}").status_code == 200
    assert browser.get("/users/current").status_code == 200


def test_of_others_tokens_nothing_can_be_learned(person: Program, alice: User, root: User) -> None:
    theirs, secret = services.token_issue(user=root, name="t")
    answers = [person("DELETE", f"{MINE}/{number}") for number in (theirs.pk, 10**12, 10**30)]
    assert {answer.status_code for answer in answers} == {404}
    assert person("DELETE", f"/users/{alice.pk}/tokens/{theirs.pk}").status_code == 404
    assert person("DELETE", f"/users/{root.pk}/tokens/{theirs.pk}").status_code == 403
    assert person("GET", f"/users/{root.pk}/tokens").status_code == 403
    assert person("GET", MINE).json() == []
    assert Program(root, secret)("GET", "/users/current").status_code == 200


def test_administrators_list_and_revoke_them(alice: User, root: User, person: Program) -> None:
    made, admin = make(person), Program(root)
    path = f"/users/{alice.pk}/tokens"
    assert [row["name"] for row in admin("GET", path).json()] == ["laptop"]
    assert [row["name"] for row in person("GET", path).json()] == ["laptop"]
    assert "secret" not in admin("GET", path).json()[0]
    assert admin("POST", path, {"name": "t"}).status_code == 405
    assert admin("DELETE", f"/users/{root.pk}/tokens/{made['id']}").status_code == 404
    assert admin("DELETE", f"{path}/{made['id']}").status_code == 200
    assert bearer(made["secret"])("GET", "/users/current").status_code == 401


def test_robots_and_nobody_have_none(db: None) -> None:
    user, secret = services.robot_account_create(name="ci", expires_at=None)
    for method, body in (("GET", None), ("POST", {"name": "t"})):
        assert Program(user, secret)(method, MINE, body).status_code == 412
        assert Program()(method, MINE, body).status_code == 401


def test_a_robots_secret_is_no_bearer_token(db: None) -> None:
    _user, secret = services.robot_account_create(name="ci", expires_at=None)
    assert bearer(secret)("GET", "/systeminfo").status_code == 401


def test_a_token_of_a_disabled_account_is_refused(alice: User, root: User, person: Program) -> None:
    """S-07"""
    secret = make(person)["secret"]
    services.user_disable(user=alice)
    for who in (Program(alice, secret), bearer(secret), person):
        assert who("GET", "/users/current").status_code == 401


def test_tokens_outlive_a_new_password(alice: User, person: Program) -> None:
    secret = make(person)["secret"]
    services.user_set_password(user=alice, password=f"{PASSWORD}8")
    assert bearer(secret)("GET", "/users/current").status_code == 200


def test_lists_are_sorted_and_filtered(alice: User, person: Program) -> None:
    for name in ("a", "b", "c"):
        services.token_issue(user=alice, name=name)

    def names(query: str) -> list[str]:
        return [row["name"] for row in person("GET", f"{MINE}?{query}").json()]

    assert names("sort=name") == ["a", "b", "c"]
    assert names("sort=-name&page_size=2") == ["c", "b"]
    assert names("q=name=b") == ["b"]
    assert person("GET", f"{MINE}?q=digest=~a").status_code == 400
    assert person("GET", f"{MINE}?sort=digest").status_code == 400
