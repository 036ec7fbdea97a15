"""Members and robots of a project, by hand."""

import re
from collections.abc import Callable

import pytest

from tests.console.person import Page, Person
from tests.factories import Account, World

SignedIn = Callable[[Account], Person]


@pytest.fixture
def owner(world: World, signed_in: SignedIn) -> Person:
    return signed_in(world.owner)


def test_member_comes_gets_another_role_and_goes(world: World, owner: Person, signed_in: SignedIn) -> None:
    account, project = world.user(), world.project(owner=world.owner)
    members, person = f"/projects/{project}/-/members", signed_in(account)
    assert person.get(f"/projects/{project}").status == 404
    added = owner.post(members, {"name": account.login, "kind": "user", "role": "3"})
    assert (added.status, added.location) == (303, members)
    assert person.get(f"/projects/{project}").status == 200
    again = owner.post(members, {"name": account.login, "kind": "user", "role": "3"})
    assert (again.status, "is a member already" in again.text) == (400, True)
    number = _number(owner.get(members), "members", "role", before=account.login)
    assert owner.post(f"{members}/{number}/role", {"role": "2"}, from_page=members).location == members
    assert world.client(account).push_image(f"{project}/app", "v1").digest
    assert "Remove" in owner.get(f"{members}/{number}/remove").text
    assert owner.post(f"{members}/{number}/remove").location == members
    assert person.get(f"/projects/{project}").status == 404


@pytest.mark.parametrize("role", ["0", "9", "x", "", "-1", "٣"])
def test_role_that_is_none_is_refused(world: World, owner: Person, role: str) -> None:
    form = {"name": world.user().login, "kind": "user", "role": role}
    assert owner.post(f"/projects/{world.home}/-/members", form).status == 400


@pytest.mark.parametrize("name", ["nobody-is-called-so", "", "\0", "a" * 300])
@pytest.mark.parametrize("kind", ["user", "group"])
def test_who_is_nobody_can_be_no_member(world: World, owner: Person, name: str, kind: str) -> None:
    answer = owner.post(f"/projects/{world.home}/-/members", {"name": name, "kind": kind, "role": "2"})
    assert answer.status == 400


def test_owner_stays(world: World, owner: Person) -> None:
    page = owner.get(f"/projects/{world.project(owner=world.owner)}/-/members")
    assert "owner" in page.text
    assert "/remove" not in page.html


def test_robot_is_made_used_renewed_switched_and_deleted(world: World, owner: Person) -> None:
    project = world.project(owner=world.owner)
    robots = f"/projects/{project}/-/robots"
    assert "No robots yet" in owner.get(robots).text
    form = {"name": "ci", "description": "the <pipeline>", "preset": "push", "days": "30"}
    page = owner.post(f"{robots}/new", form)
    login, secret = f"robot${project}+ci", _secret(page)
    assert login in page.text
    assert world.client(Account(login, secret)).push_image(f"{project}/app", "v1").digest
    listed = owner.get(robots)
    assert secret not in listed.html
    assert ("Pull and push" in listed.text, "&lt;pipeline&gt;" in listed.html) == (True, True)
    again = owner.post(f"{robots}/new", form)
    assert (again.status, "already" in again.text, 'value="ci"' in again.html) == (400, True, True)

    number = _number(listed, "robots", "secret")
    renewed = _secret(owner.post(f"{robots}/{number}/secret", from_page=robots))
    assert renewed != secret
    assert world.client(Account(login, secret)).token().status == 401
    assert world.client(Account(login, renewed)).token().status == 200
    for enabled, status in (("false", 401), ("true", 200)):
        assert owner.post(f"{robots}/{number}/switch", {"enabled": enabled}, from_page=robots).location == robots
        assert world.client(Account(login, renewed)).token().status == status
    assert owner.post(f"{robots}/{number}/delete").location == robots
    assert world.client(Account(login, renewed)).token().status == 401


def test_robot_of_another_project_is_none_of_this(world: World, owner: Person) -> None:
    """Both are the owner's."""
    other = world.project(owner=world.owner)
    owner.post(f"/projects/{other}/-/robots/new", {"name": "ci", "preset": "pull", "days": "-1"})
    number = _number(owner.get(f"/projects/{other}/-/robots"), "robots", "secret")
    for what in ("secret", "switch", "delete"):
        answer = owner.post(f"/projects/{world.home}/-/robots/{number}/{what}", from_page="/account")
        assert answer.status == 404


@pytest.mark.parametrize(
    "wrong", [{"name": "Bad Name"}, {"name": ""}, {"preset": "root"}, {"days": "0"}, {"days": "x"}, {"name": "\0"}]
)
def test_robot_that_can_not_be_is_refused(world: World, owner: Person, wrong: dict[str, str]) -> None:
    form = {"name": "ci", "preset": "pull", "days": "30", **wrong}
    assert owner.post(f"/projects/{world.home}/-/robots/new", form).status == 400


def _number(page: Page, kind: str, what: str, before: str = "") -> str:
    found = re.search(rf"/-/{kind}/(\d+)/{what}", page.html[page.html.find(before) :])
    assert found is not None, page.text
    return found[1]


def _secret(page: Page) -> str:
    found = re.search(r'<div class="command"><code>([^<]+)</code>', page.html)
    assert found is not None, page.text
    return found[1]
