"""Browsers: signing in and out, whose session it is and when it ends, and requests that other sites forge."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import override_settings

from accounts import services, sessions
from accounts.models import FailedSignIns, User
from system.models import Event
from tests.accounts.browser import CSRF, PASSWORD, Browser, Program
from tests.wire import basic, bearer

NEW = "Another-Horse-8"
PROFILE = {"email": "a@example.com", "realname": "A", "comment": ""}


@pytest.fixture
def signed_in(browser: Browser, alice: User) -> Browser:
    assert browser.login("alice").status_code == 200
    return browser


def logins() -> list[tuple[str, str, bool]]:
    rows = Event.objects.filter(operation__in=("login", "logout")).order_by("pk")
    return [(event.operation, event.resource, event.is_successful) for event in rows]


# Signing in and out.


def test_a_password_signs_in(browser: Browser, alice: User) -> None:
    answer = browser.login("ALICE")
    assert (answer.status_code, answer.content) == (200, b"")
    assert browser.get("/users/current").json()["username"] == "Alice"
    event = Event.objects.get(operation="login")
    assert (event.username, event.user_id, event.resource_type, event.is_successful) == (
        "Alice",
        alice.pk,
        "user",
        True,
    )
    assert event.address.startswith("10.")


@pytest.mark.parametrize(
    "form",
    [
        {"principal": "alice", "password": "Wrong-Horse-7"},
        {"principal": "nobody", "password": PASSWORD},
        {"principal": "alice"},
        {"password": PASSWORD},
        {"principal": "%00", "password": "%00"},
        {"principal": "%ed%a0%80", "password": "%ff"},
        {"principal": "x" * 300, "password": PASSWORD},
        {},
    ],
)
def test_refused_sign_ins_are_alike(browser: Browser, alice: User, form: dict[str, str]) -> None:
    """S-72"""
    browser.get("/systeminfo")
    answer = browser.request("POST", "/c/login", form=form)
    assert answer.status_code == 401
    assert answer.json() == {"errors": [{"code": "UNAUTHORIZED", "message": "invalid username or password"}]}
    assert "sid" not in browser.client.cookies
    assert logins()[0][0::2] == ("login", False)


def test_neither_a_token_nor_a_robot_signs_in_with_a_browser(browser: Browser, alice: User) -> None:
    _token, secret = services.token_issue(user=alice, name="t")
    robot, robot_secret = services.robot_account_create(name="ci", expires_at=None)
    assert browser.login("alice", secret).status_code == 401
    assert browser.login(robot.login, robot_secret).status_code == 401


def test_the_id_and_the_token_are_new_after_signing_in(browser: Browser, alice: User, root: User) -> None:
    """S-93: who planted a session id, or knew it, has nothing."""
    browser.client.cookies["sid"] = "planted0planted0planted0planted0"
    browser.login("alice")
    first, secret = browser.sid, browser.cookie("_gorilla_csrf").value
    assert first != "planted0planted0planted0planted0"
    browser.login("root")
    assert browser.sid != first
    assert browser.cookie("_gorilla_csrf").value != secret
    assert not Session.objects.filter(session_key=first).exists()
    assert browser.get("/users/current").json()["username"] == "root"


@pytest.mark.parametrize("is_secure", [False, True])
def test_cookies_are_kept_from_scripts_and_other_sites(alice: User, is_secure: bool) -> None:
    """S-93"""
    browser = Browser(is_secure=is_secure)
    browser.login("alice")
    for name in ("sid", "_gorilla_csrf"):
        cookie = browser.cookie(name)
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        assert bool(cookie["secure"]) is is_secure
    assert browser.cookie("_gorilla_csrf").value.isalnum()  # Go's clients cut it at an equals sign


def test_signing_out_ends_the_session(signed_in: Browser) -> None:
    sid = signed_in.sid
    assert signed_in.request("POST", "/c/log_out").status_code == 200
    signed_in.client.cookies["sid"] = sid
    assert signed_in.get("/users/current").status_code == 401
    assert not Session.objects.exists()
    assert logins()[-1] == ("logout", "Alice", True)


def test_a_link_signs_nobody_out(signed_in: Browser) -> None:
    """S-92"""
    assert signed_in.request("GET", "/c/log_out").status_code == 405
    assert signed_in.request("POST", "/c/log_out", has_token=False).status_code == 403
    assert signed_in.get("/users/current").status_code == 200


def test_signing_out_without_a_session_is_nothing(browser: Browser) -> None:
    browser.get("/systeminfo")
    assert browser.request("POST", "/c/log_out").status_code == 200
    assert not logins()


# How long it lives.


@pytest.mark.parametrize(
    "change",
    [
        lambda user: services.user_set_password(user=user, password=NEW),
        lambda user: services.user_disable(user=user),
        lambda user: (services.user_disable(user=user), services.user_enable(user=user)),
        lambda user: services.user_delete(user=user),
        lambda user: services.user_set_admin(user=user, is_admin=True),
    ],
    ids=["password", "disabled", "disabled and enabled", "deleted", "administrator"],
)
def test_a_session_dies_with_what_it_stood_for(
    signed_in: Browser, root: User, alice: User, change: Callable[[User], object]
) -> None:
    """S-07"""
    change(alice)
    assert signed_in.get("/users/current").status_code == 401
    assert signed_in.get("/users").status_code == 401
    assert not Session.objects.exists()


def test_who_changes_their_password_stays_signed_in_alone(signed_in: Browser, alice: User) -> None:
    """S-07: the other session is gone, and the id of this one is new."""
    other = Browser()
    other.login("alice")
    before = signed_in.sid
    body = {"old_password": PASSWORD, "new_password": NEW}
    assert signed_in.request("PUT", f"/users/{alice.pk}/password", body).status_code == 200
    assert signed_in.sid != before
    assert signed_in.get("/users/current").status_code == 200
    assert other.get("/users/current").status_code == 401
    other.client.cookies["sid"] = before
    assert other.get("/users/current").status_code == 401


def test_an_idle_session_ends(signed_in: Browser, configured: Callable[..., None], monkeypatch: Any) -> None:
    now = time.time()
    for later, headers, status in ((59 * 60, {}, 200), (118 * 60, {}, 200), (179 * 60, {}, 401)):
        monkeypatch.setattr(sessions.time, "time", lambda later=later: now + later)
        assert signed_in.get("/users/current", headers=headers).status_code == status
    configured(session_timeout=5)
    monkeypatch.undo()
    browser = Browser()
    browser.login("alice")
    assert int(browser.cookie("sid")["max-age"]) == 300
    monkeypatch.setattr(sessions.time, "time", lambda: now + 400)
    assert browser.get("/users/current").status_code == 401


def test_a_page_that_asks_by_itself_keeps_no_session_alive(signed_in: Browser, monkeypatch: Any) -> None:
    now = time.time()
    for later, status in ((59 * 60, 200), (61 * 60, 401)):
        monkeypatch.setattr(sessions.time, "time", lambda later=later: now + later)
        answer = signed_in.get("/users/current", headers={sessions.NO_RENEWAL: "true"})
        assert answer.status_code == status


def test_ended_sessions_are_removed(signed_in: Browser) -> None:
    Session.objects.update(expire_date="2020-01-01T00:00:00Z")
    Browser().login("alice")
    assert Session.objects.count() == 1


def test_a_session_costs_two_queries(signed_in: Browser, django_assert_num_queries: Any, warm: None) -> None:
    with django_assert_num_queries(3):  # and what is shown
        assert signed_in.get("/users/current").status_code == 200


@pytest.mark.parametrize("sid", ["x", "x" * 32, "x" * 4000, "'; --", "\u00e9" * 32])
def test_an_unknown_session_is_nobody(browser: Browser, sid: str) -> None:
    browser.client.cookies["sid"] = sid
    assert browser.get("/users/current").status_code == 401
    assert browser.get("/systeminfo").status_code == 200


def test_a_session_is_none_on_v2(signed_in: Browser) -> None:
    """S-57"""
    answer = signed_in.client.get("/v2/")
    assert (answer.status_code, "Set-Cookie" in answer.headers, CSRF in answer.headers) == (401, False, False)


# Requests of other sites.


def test_a_change_with_a_session_wants_the_token(signed_in: Browser, alice: User) -> None:
    """S-91"""
    path = f"/users/{alice.pk}"
    refused = signed_in.request("PUT", path, PROFILE, has_token=False)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "FORBIDDEN")
    assert refused[CSRF]
    for wrong in ("", "x", "x" * 32, "x" * 64, signed_in.token[:-1], signed_in.token + "x"):
        assert signed_in.request("PUT", path, PROFILE, headers={CSRF: wrong}, has_token=False).status_code == 403
    assert signed_in.request("PUT", path, PROFILE).status_code == 200


def test_a_token_is_good_with_its_cookie_only(signed_in: Browser, alice: User) -> None:
    """S-91"""
    stranger = Browser()
    stranger.get("/systeminfo")
    signed_in.token = stranger.token
    assert signed_in.request("PUT", f"/users/{alice.pk}", PROFILE).status_code == 403
    del signed_in.client.cookies["_gorilla_csrf"]
    assert signed_in.request("PUT", f"/users/{alice.pk}", PROFILE).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"]
)
def test_a_foreign_origin_is_refused_even_with_the_token(signed_in: Browser, alice: User, origin: str) -> None:
    """S-91"""
    for path, body, form in ((f"/users/{alice.pk}", PROFILE, None), ("/c/log_out", None, {})):
        method = "PUT" if body else "POST"
        answer = signed_in.request(method, path, body, form=form, headers={"Origin": origin})
        assert answer.status_code == 403


@pytest.mark.parametrize("referer", ["https://evil.example/x", "http://localhost/", "nonsense"])
def test_a_foreign_referer_is_refused_over_https(alice: User, referer: str) -> None:
    browser = Browser(is_secure=True)
    browser.login("alice")
    answer = browser.request("PUT", f"/users/{alice.pk}", PROFILE, headers={"Referer": referer})
    assert answer.status_code == 403
    # Terraform sends neither Origin nor Referer.
    assert browser.request("PUT", f"/users/{alice.pk}", PROFILE).status_code == 200


@pytest.mark.parametrize("origin", ["http://testserver", "https://registry.example.com"])
def test_our_own_origins_are_taken(signed_in: Browser, alice: User, origin: str) -> None:
    """The host of the request, and EXT_ENDPOINT, as which a proxy may show us."""
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://registry.example.com"], ALLOWED_HOSTS=["testserver"]):
        assert signed_in.request("PUT", f"/users/{alice.pk}", PROFILE, headers={"Origin": origin}).status_code == 200
        refused = signed_in.request("PUT", f"/users/{alice.pk}", PROFILE, headers={"Origin": f"{origin}.evil.example"})
        assert refused.status_code == 403


def test_signing_in_wants_the_token(browser: Browser, alice: User) -> None:
    """S-92: no other site signs somebody in as somebody else."""
    form = {"principal": "alice", "password": PASSWORD}
    for path in ("/c/login", "/c/log_out", "/c/userExists"):
        refused = browser.request("POST", path, form=form, has_token=False)
        assert (refused.status_code, bool(refused[CSRF])) == (403, True)
    assert not Session.objects.exists()
    # As Terraform and Harbor's own page do: both are in the refusal.
    assert browser.request("POST", "/c/login", form=form).status_code == 200


def test_a_form_with_files_is_not_read(signed_in: Browser, alice: User) -> None:
    boundary = "multipart/form-data; boundary=x"
    answer = signed_in.client.generic("POST", "/c/login", b"--x\r\n", content_type=boundary)
    assert answer.status_code == 415
    answer = signed_in.client.generic("POST", "/api/v2.0/users", b"--x\r\n", content_type=boundary)
    assert answer.status_code == 415


@pytest.mark.parametrize("cookies", [{}, {"sid": "x" * 32}, {"sid": "x" * 32, "_gorilla_csrf": "y" * 32}])
def test_a_header_never_wants_the_token(alice: User, cookies: dict[str, str]) -> None:
    _token, secret = services.token_issue(user=alice, name="t")
    for header in (basic("alice", PASSWORD), basic("alice", secret), bearer(secret)):
        browser = Browser()
        for name, value in cookies.items():
            browser.client.cookies[name] = value
        answer = browser.request("PUT", f"/users/{alice.pk}", PROFILE, headers=header, has_token=False)
        assert answer.status_code == 200
        assert CSRF not in answer.headers
        assert "_gorilla_csrf" not in answer.cookies


def test_a_header_counts_before_the_session(signed_in: Browser, root: User) -> None:
    assert signed_in.get("/users/current", headers=basic("root", PASSWORD)).json()["username"] == "root"
    for header in (basic("root", "Wrong-Horse-7"), bearer("x"), {"Authorization": "Digest x"}, {"Authorization": "x"}):
        assert signed_in.get("/users/current", headers=header).status_code == 401


def test_no_page_of_ours_is_shown_inside_another(browser: Browser) -> None:
    """S-93"""
    for path in ("/systeminfo", "/users/current", "/nothing", "/c/login"):
        assert "frame-ancestors 'none'" in browser.get(path)["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "localhost:80:80", "a b", "["])
def test_an_evil_host_is_refused(alice: User, host: str) -> None:
    """S-96"""
    browser = Browser()
    for path in ("/users/current", "/c/log_out"):
        answer = browser.request("GET" if path.startswith("/users") else "POST", path, headers={"Host": host})
        assert answer.status_code == 400
        assert host not in str(answer.headers)
    answer = browser.get("/users/current", headers={"X-Forwarded-Host": host})
    assert answer.status_code == 401


# Is there somebody.


def test_who_is_there_is_told_to_administrators(alice: User, root: User) -> None:
    browser = Browser()
    browser.login("root")
    for target, value, found in (
        ("username", "ALICE", True), ("email", "Alice@example.com", True), ("username", "bob", False),
        ("username", "%00", False), ("email", "%ed%a0%80", False), ("password", "x", False), ("", "", False),
    ):  # fmt: skip
        answer = browser.request("POST", "/c/userExists", form={"target": target, "value": value})
        assert (answer.status_code, answer.json()) == (200, found)


def test_who_is_there_is_told_to_others_only_while_they_may_register(
    browser: Browser, alice: User, configured: Callable[..., None]
) -> None:
    """S-72: and then not for long."""
    browser.get("/systeminfo")
    form = {"target": "username", "value": "alice"}
    assert browser.request("POST", "/c/userExists", form=form).status_code == 412
    assert Program(alice)("POST", "/c/userExists").status_code == 412
    configured(self_registration=True)
    answers = [browser.request("POST", "/c/userExists", form=form).status_code for _ in range(101)]
    assert answers == [200] * 100 + [429]
    assert FailedSignIns.objects.count() == 1
