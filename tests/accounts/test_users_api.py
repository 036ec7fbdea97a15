"""/users over REST: who may, what is answered, and that nobody gets a right by writing it into a body."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts import services
from accounts.authentication import authenticate_basic
from accounts.models import User
from harborlite.errors import Unauthorized
from system.models import Event
from tests.accounts.browser import PASSWORD, Browser, Program

BODY = {"username": "bob", "email": "bob@example.com", "realname": "Bob B.", "comment": "c", "password": PASSWORD}
GREEDY = {
    "sysadmin_flag": True, "has_admin_role": True, "admin_role_in_auth": True, "is_superuser": True, "is_staff": True,
    "is_active": False, "kind": "robot", "user_id": 1, "id": 1, "access_version": 99, "groups": [1], "role_id": 1,
}  # fmt: skip


def messages(response: Any) -> str:
    return str(response.json()["errors"][0]["message"])


@pytest.fixture
def admin(root: User) -> Program:
    return Program(root)


@pytest.fixture
def person(alice: User) -> Program:
    return Program(alice)


@pytest.fixture
def robot(db: None) -> Program:
    user, secret = services.robot_account_create(name="ci", expires_at=None)
    return Program(user, secret)


def events() -> list[tuple[str, str, str, str]]:
    rows = Event.objects.order_by("pk").values_list("username", "operation", "resource_type", "resource")
    return [(str(who), str(what), str(kind), str(name)) for who, what, kind, name in rows]


# Creating.


def test_an_administrator_creates_an_account(admin: Program) -> None:
    answer = admin("POST", "/users", BODY)
    made = User.objects.get(username="bob")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer["Location"] == f"/api/v2.0/users/{made.pk}"
    assert (made.email, made.realname, made.comment) == ("bob@example.com", "Bob B.", "c")
    assert authenticate_basic("bob", PASSWORD).is_admin is False
    assert events()[-1] == ("root", "create", "user", "bob")
    assert PASSWORD not in str(Event.objects.values_list("description", "extra"))


def test_no_body_gives_a_right(admin: Program) -> None:
    """S-01"""
    assert admin("POST", "/users", {**BODY, **GREEDY}).status_code == 201
    made = User.objects.get(username="bob")
    assert (made.is_superuser, made.is_active, made.kind, made.access_version) == (False, True, "user", 1)
    assert not made.groups.exists()
    assert made.pk != 1


@pytest.mark.parametrize("who", ["person", "nobody", "robot"])
def test_others_create_none(who: str, person: Program, robot: Program, root: User) -> None:
    asked = {"person": person, "robot": robot, "nobody": Program()}[who]
    assert asked("POST", "/users", BODY).status_code == (401 if who == "nobody" else 403)
    assert not User.objects.filter(username="bob").exists()


@pytest.mark.parametrize("taken", [{"username": "ALICE"}, {"email": "ALICE@example.com"}])
def test_what_is_taken_is_a_conflict_that_does_not_say_what(admin: Program, alice: User, taken: dict[str, str]) -> None:
    """S-72: who registers learns of no address whether somebody has it."""
    answer = admin("POST", "/users", {**BODY, **taken})
    assert (answer.status_code, messages(answer)) == (409, "the username or the email is taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", ""), ("username", None), ("username", 7), ("username", "x" * 256), ("username", "robot$x"),
        ("username", "a b"), ("username", "a\u202eb"), ("username", "a\x00"), ("username", "\u0430dmin"),
        ("email", ""), ("email", "nonsense"), ("email", "a@b.c\n"), ("email", None),
        ("email", "x" * 250 + "@e.example"),
        ("realname", ""), ("realname", "two\nlines"), ("realname", "x" * 256),
        ("comment", "x" * 256), ("comment", "\x1b[0m"), ("comment", []),
        ("password", ""), ("password", "Short-1"), ("password", "no-upper-1"), ("password", "Aa1" + "x" * 4093),
        ("password", "Aa1\x00xxxxx"), ("password", "Aa1-" + "x" * 125),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(admin: Program, field: str, value: object) -> None:
    """S-75, S-76, S-85"""
    answer = admin("POST", "/users", {**BODY, field: value})
    assert answer.status_code == 400
    assert field in messages(answer)
    assert not User.objects.filter(realname="Bob B.").exists()


@pytest.mark.parametrize("missing", ["username", "email", "realname", "password"])
def test_a_missing_value_is_named(admin: Program, missing: str) -> None:
    answer = admin("POST", "/users", {key: value for key, value in BODY.items() if key != missing})
    assert (answer.status_code, missing in messages(answer)) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"username": "\\ud800"}', b"\xff"])
def test_what_is_no_body_is_refused(admin: Program, body: bytes) -> None:
    assert admin("POST", "/users", body).status_code == 400


# Registering.


def test_people_register_with_a_browser_where_it_is_allowed(browser: Browser, configured: Callable[..., None]) -> None:
    configured(self_registration=True)
    browser.get("/systeminfo")
    answer = browser.request("POST", "/users", {**BODY, **GREEDY})
    assert answer.status_code == 201
    assert User.objects.get(username="bob").is_superuser is False
    assert events()[-1] == ("anonymous", "create", "user", "bob")
    assert browser.login("bob").status_code == 200


def test_registering_wants_the_token(browser: Browser, configured: Callable[..., None]) -> None:
    """S-91; and Harbor's rule that programs do not register."""
    configured(self_registration=True)
    browser.get("/systeminfo")
    assert browser.request("POST", "/users", BODY, has_token=False).status_code == 403
    assert Program()("POST", "/users", BODY).status_code == 403
    assert not User.objects.exists()


def test_programs_do_not_register(person: Program, robot: Program, configured: Callable[..., None]) -> None:
    configured(self_registration=True)
    for who in (person, robot):
        answer = who("POST", "/users", BODY)
        assert (answer.status_code, messages(answer)) == (403, "self-registration cannot be triggered via API")


def test_nobody_registers_where_it_is_not_allowed(browser: Browser, configured: Callable[..., None]) -> None:
    browser.get("/systeminfo")
    assert browser.request("POST", "/users", BODY).status_code == 401


def test_who_tries_names_by_registering_is_stopped(
    browser: Browser, alice: User, configured: Callable[..., None]
) -> None:
    """S-72: otherwise everybody's name could be found out."""
    configured(self_registration=True)
    browser.get("/systeminfo")
    answers = [browser.request("POST", "/users", {**BODY, "username": "alice"}).status_code for _ in range(101)]
    assert set(answers[:100]) == {409}
    last = browser.request("POST", "/users", {**BODY, "username": "alice"})
    assert (answers[100], last.status_code) == (429, 429)
    assert 1 <= int(last["Retry-After"]) <= 61


# Lists.


def test_administrators_list_people(admin: Program, alice: User, robot: Program) -> None:
    answer = admin("GET", "/users")
    assert (answer.status_code, answer["X-Total-Count"]) == (200, "2")
    assert [row["username"] for row in answer.json()] == ["Alice", "root"]
    assert set(answer.json()[0]) == {
        "user_id", "username", "email", "realname", "comment", "sysadmin_flag", "admin_role_in_auth",
        "creation_time", "update_time",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=username=Alice", ["Alice"]),
        ("q=username=~LIC", ["Alice"]),
        ("username=lic", ["Alice"]),
        ("email=EXAMPLE", ["Alice"]),
        ("q=sysadmin_flag=true", ["root"]),
        ("q=username={Alice root}", ["Alice", "root"]),
        ("q=username=nobody", []),
        ("sort=-username", ["root", "Alice"]),
        ("sort=creation_time", ["Alice", "root"]),
        ("username=_", []),
        ("q=username=~%25", []),
    ],
)
def test_people_are_found(alice: User, admin: Program, query: str, names: list[str]) -> None:
    """S-86"""
    assert [row["username"] for row in admin("GET", f"/users?{query}").json()] == names


@pytest.mark.parametrize(
    "query",
    [
        "q=password=~argon2", "q=password=~a", "sort=password", "sort=-username_key", "q=access_version=1", "q=pk=1",
        "q=tokens__digest=~a", "q=groups=1", "q=is_superuser=true", "q=_connector=OR", "q=username__regex=.",
        "q=kind=robot",
        "sort=username;select", "sort=?", "q=user_id=x", "q=sysadmin_flag=maybe", "page=0", "page_size=101",
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_named(admin: Program, query: str) -> None:
    """S-80, S-81, S-83"""
    assert admin("GET", f"/users?{query}").status_code == 400


def test_a_list_costs_the_same_for_many_people(
    admin: Program, django_assert_num_queries: Callable[[int], Any], warm: None
) -> None:
    admin("GET", "/users")
    for count in (2, 60):
        User.objects.bulk_create(
            User(username=f"p{count}-{number}", username_key=f"p{count}-{number}") for number in range(count)
        )
        with django_assert_num_queries(3):  # the account, the page, how many
            assert len(admin("GET", "/users?page_size=2").json()) == 2


@pytest.mark.parametrize("path", ["/users", "/users?username=a"])
def test_others_do_not_list_people(path: str, person: Program, robot: Program) -> None:
    assert Program()("GET", path).status_code == 401
    assert person("GET", path).status_code == 403
    assert robot("GET", path).status_code == 403


def test_whoever_signed_in_searches_people(alice: User, root: User, person: Program, robot: Program) -> None:
    services.user_create(username="malice", password=None)
    services.user_disable(user=services.user_create(username="alicent", password=None))
    for who in (person, robot):
        answer = who("GET", "/users/search?username=LIC")
        assert [set(row) for row in answer.json()] == [{"user_id", "username"}] * 2
        assert [row["username"] for row in answer.json()] == ["Alice", "malice"]
        assert answer["X-Total-Count"] == "2"
    for part in ("nobody", "%25", "_", "robot$"):
        assert person("GET", f"/users/search?username={part}").json() == []
    assert person("GET", "/users/search").status_code == 400
    assert Program()("GET", "/users/search?username=a").status_code == 401


# One.


def test_who_asks_is_shown(alice: User, person: Program, robot: Program) -> None:
    shown = person("GET", "/users/current").json()
    assert (shown["user_id"], shown["username"], shown["sysadmin_flag"]) == (alice.pk, "Alice", False)
    assert shown["creation_time"].endswith("Z")
    assert Program()("GET", "/users/current").status_code == 401
    answer = robot("GET", "/users/current")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (412, "PRECONDITION")


def test_wrong_credentials_are_an_error_also_where_nobody_may_ask(alice: User) -> None:
    for who in (Program("alice", "Wrong-Horse-7"), Program("nobody")):
        for path in ("/systeminfo", "/users/current", "/ping"):
            assert who("GET", path).status_code == (200 if path == "/ping" else 401)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("suffix", ["", "/password", "/sysadmin", "/tokens"])
def test_of_others_nothing_can_be_learned(person: Program, root: User, method: str, suffix: str, alice: User) -> None:
    """S-03, S-72: somebody else answers as nobody does."""
    answers = [person(method, f"/users/{number}{suffix}", {}) for number in (root.pk, 10**12, 10**30)]
    assert {answer.status_code for answer in answers} <= ({405} if answers[0].status_code == 405 else {403})
    assert len({answer.content for answer in answers}) == 1
    assert Program()(method, f"/users/{root.pk}{suffix}", {}).status_code in (401, 405)


def test_an_administrator_reads_and_finds_no_robot(admin: Program, alice: User, robot: Program) -> None:
    assert admin("GET", f"/users/{alice.pk}").json()["email"] == "alice@example.com"
    bot = User.objects.get(kind="robot")
    for number in (bot.pk, 10**12, 10**30):
        for method, suffix in (("GET", ""), ("PUT", "/sysadmin"), ("DELETE", "")):
            assert admin(method, f"/users/{number}{suffix}", {}).status_code == 404
    assert User.objects.filter(pk=bot.pk).exists()


def test_people_write_their_own_profile_and_nothing_else(alice: User, person: Program) -> None:
    """S-02"""
    profile = {"email": "new@example.com", "realname": "Alice L.", "comment": "x"}
    assert person("PUT", f"/users/{alice.pk}", {**profile, **GREEDY, "username": "root2"}).status_code == 200
    alice.refresh_from_db()
    assert (alice.username, alice.email, alice.realname, alice.comment) == ("Alice", "new@example.com", "Alice L.", "x")
    assert (alice.is_superuser, alice.is_active, alice.kind, alice.access_version) == (False, True, "user", 1)
    assert events()[-1] == ("Alice", "update", "user", "Alice")


def test_a_taken_address_is_a_conflict(alice: User, root: User, admin: Program) -> None:
    body = {"email": "alice@example.com", "realname": "r", "comment": ""}
    assert admin("PUT", f"/users/{root.pk}", body).status_code == 409


def test_administrators_are_made_and_unmade(alice: User, admin: Program, person: Program) -> None:
    path = f"/users/{alice.pk}/sysadmin"
    assert person("PUT", path, {"sysadmin_flag": True}).status_code == 403
    assert admin("PUT", path, {"sysadmin_flag": True}).status_code == 200
    assert person("GET", "/users").status_code == 200
    assert admin("PUT", path, {}).status_code == 200  # how Terraform says false
    assert person("GET", "/users").status_code == 403
    for value in ("true", 1, None):
        assert admin("PUT", path, {"sysadmin_flag": value}).status_code == 400
    assert Event.objects.filter(resource="Alice", description__contains="system administrator").count() == 2


def test_the_last_administrator_stays(root: User, admin: Program) -> None:
    assert admin("PUT", f"/users/{root.pk}/sysadmin", {"sysadmin_flag": False}).status_code == 403
    assert admin("DELETE", f"/users/{root.pk}").status_code == 403
    assert admin("GET", "/users").status_code == 200


def test_nobody_deletes_themselves(alice: User, root: User, admin: Program, person: Program) -> None:
    services.user_set_admin(user=alice, is_admin=True)
    assert admin("DELETE", f"/users/{root.pk}").status_code == 403
    assert person("DELETE", f"/users/{alice.pk}").status_code == 403


def test_a_deleted_account_is_gone_at_once(alice: User, admin: Program, person: Program) -> None:
    """S-07"""
    _token, secret = services.token_issue(user=alice, name="t")
    assert person("GET", "/users/current").status_code == 200
    assert admin("DELETE", f"/users/{alice.pk}").status_code == 200
    assert person("GET", "/users/current").status_code == 401
    assert Program()("GET", "/users/current", Authorization=f"Bearer {secret}").status_code == 401
    assert admin("GET", f"/users/{alice.pk}").status_code == 404
    assert admin("DELETE", f"/users/{alice.pk}").status_code == 404
    assert events()[-1] == ("root", "delete", "user", "Alice")


# Passwords.

NEW = "Another-Horse-8"


def test_people_change_their_password_by_the_old_one(alice: User, person: Program) -> None:
    path = f"/users/{alice.pk}/password"
    wrong = person("PUT", path, {"old_password": "Wrong-Horse-7", "new_password": NEW})
    assert (wrong.status_code, messages(wrong)) == (403, "Current password is incorrect")
    assert person("PUT", path, {"new_password": NEW}).status_code == 403
    assert person("PUT", path, {"old_password": PASSWORD, "new_password": NEW}).status_code == 200
    assert person("GET", "/users/current").status_code == 401
    assert Program(alice, NEW)("GET", "/users/current").status_code == 200
    assert events()[-1] == ("Alice", "update", "user", "Alice")
    assert not Event.objects.filter(description__contains=NEW).exists()


def test_an_administrator_sets_a_password_without_knowing_the_old_one(alice: User, admin: Program) -> None:
    assert admin("PUT", f"/users/{alice.pk}/password", {"new_password": NEW}).status_code == 200
    assert authenticate_basic("alice", NEW)
    with pytest.raises(Unauthorized):
        authenticate_basic("alice", PASSWORD)


def test_an_administrator_needs_the_old_one_for_their_own(root: User, admin: Program) -> None:
    """Harbor's rule: who finds an open session does not own the account."""
    assert admin("PUT", f"/users/{root.pk}/password", {"new_password": NEW}).status_code == 403


@pytest.mark.parametrize("password", ["", "short", "x" * 200, PASSWORD, None, 7])
def test_bad_new_passwords_are_refused(alice: User, admin: Program, password: object) -> None:
    answer = admin("PUT", f"/users/{alice.pk}/password", {"new_password": password})
    assert (answer.status_code, "password" in messages(answer)) == (400, True)
    if password == PASSWORD:
        assert messages(answer) == "New password is identical to old password"


def test_guessing_the_old_password_is_stopped(alice: User, person: Program) -> None:
    """S-74"""
    path = f"/users/{alice.pk}/password"
    _token, secret = services.token_issue(user=alice, name="found")
    finder = Program(alice, secret)
    answers = [finder("PUT", path, {"old_password": f"Guess-{n}", "new_password": NEW}).status_code for n in range(6)]
    assert answers == [403] * 5 + [429]
    assert finder("PUT", path, {"old_password": PASSWORD, "new_password": NEW}).status_code == 429


def test_a_cli_secret_is_for_other_modes(alice: User, person: Program, robot: Program) -> None:
    answer = person("PUT", f"/users/{alice.pk}/cli_secret", {"secret": NEW})
    assert (answer.status_code, messages(answer)) == (412, "unable to update CLI secret under authmode: db_auth")
    assert Program()("PUT", f"/users/{alice.pk}/cli_secret", {"secret": NEW}).status_code == 401
