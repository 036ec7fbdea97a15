"""Signing in and out, and who is sent to do so."""

from collections.abc import Callable

import pytest

from tests.console.person import Person
from tests.factories import Account, World
from tests.wire import basic

SignedIn = Callable[[Account], Person]


def test_in_and_out_again(world: World, nobody: Person) -> None:
    account = world.user()
    assert nobody.sign_in(account.login, account.secret).get("/projects").html.count(account.login) == 1
    answer = nobody.post("/logout", from_page="/projects")
    assert (answer.status, answer.location) == (303, "/login")
    assert account.login not in nobody.get("/projects").html


def test_whoever_has_signed_in_sees_no_form(world: World, signed_in: SignedIn) -> None:
    answer = signed_in(world.user()).get("/login?next=/account")
    assert (answer.status, answer.location) == (303, "/account")


@pytest.mark.parametrize("password", ["Wrong-password-1", ""])
def test_wrong_password_says_so_and_keeps_the_name(world: World, nobody: Person, password: str) -> None:
    account = world.user()
    answer = nobody.post("/login", {"principal": account.login, "password": password})
    assert answer.status == 200
    assert "not right" in answer.text
    assert f'value="{account.login}"' in answer.html
    unknown = nobody.post("/login", {"principal": "nobody-has-this", "password": password})
    assert unknown.text.replace("nobody-has-this", "") == answer.text.replace(account.login, "")


def test_page_that_needs_somebody_is_come_back_to(world: World, nobody: Person) -> None:
    asked = nobody.get("/projects/new")
    assert (asked.status, asked.location) == (303, "/login?next=%2Fprojects%2Fnew")
    account = world.user()
    form = {"principal": account.login, "password": account.secret, "next": "/projects/new"}
    assert nobody.post("/login", form, from_page=asked.location).location == "/projects/new"


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"])
def test_other_sites_are_not_gone_to(world: World, nobody: Person, following: str) -> None:
    account = world.user()
    form = {"principal": account.login, "password": account.secret, "next": following}
    assert nobody.post("/login", form).location == "/"


@pytest.mark.parametrize("path", ["/login", "/logout", "/account", "/projects/new"])
def test_form_of_another_site_changes_nothing(world: World, signed_in: SignedIn, path: str) -> None:
    account = world.user()
    person = signed_in(account)
    answer = person.post_bare(path, {"principal": account.login, "password": account.secret, "name": "stolen"})
    assert answer.status == 403
    assert "Reload" in answer.text
    assert person.get("/projects/new").status == 200


def test_password_that_a_browser_remembers_is_not_taken(world: World, nobody: Person) -> None:
    """It would send it along with what other sites make it send."""
    headers = basic(world.owner.login, world.owner.secret)
    assert nobody.get("/projects/new", **headers).location.startswith("/login")
    assert nobody.post_bare("/projects/new", {"name": "stolen"}, **headers).location.startswith("/login")


def test_session_ends_with_the_account(world: World, signed_in: SignedIn) -> None:
    account = world.user()
    person = signed_in(account)
    world.clerk("user_disable", username=account.login)
    assert person.get("/projects/new").location.startswith("/login")


def test_too_many_wrong_passwords_say_when_to_try_again(world: World, nobody: Person) -> None:
    account = world.user()
    answers = [nobody.post("/login", {"principal": account.login, "password": f"Wrong-{n}-aA"}) for n in range(12)]
    assert answers[-1].status == 429
    assert "Wait" in answers[-1].text
