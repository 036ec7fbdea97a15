"""Which page answers whom with what: every page, every role. A page that is routed and in no row is a failure."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.console.person import Page, Person
from tests.factories import ROLES as MEMBERS
from tests.factories import World
from tests.rest.routes import pages

ROLES = ("nobody", "user", "limited guest", "guest", "developer", "maintainer", "project admin", "sysadmin")
# Of a private project. 303 is to the page where one signs in, where `nobody` is sent, or after a change.
TABLE = """
GET   /login                            200 303 303 303 303 303 303 303
POST  /login                            200 200 200 200 200 200 200 200
POST  /logout                           303 303 303 303 303 303 303 303
GET   /account                          200 200 200 200 200 200 200 200
POST  /account                          303 303 303 303 303 303 303 303
GET   /                                 303 303 303 303 303 303 303 303
GET   /projects                         200 200 200 200 200 200 200 200
GET   /projects/new                     303 200 200 200 200 200 200 200
POST  /projects/new                     303 400 400 400 400 400 400 400
GET   /projects/{project}               303 404 200 200 200 200 200 200
GET   /projects/{project}/-/members               303 404 403 200 200 200 200 200
POST  /projects/{project}/-/members               303 404 403 403 403 403 400 400
POST  /projects/{project}/-/members/0/role        303 404 403 403 403 403 404 404
GET   /projects/{project}/-/members/0/remove      303 404 403 403 403 403 404 404
POST  /projects/{project}/-/members/0/remove      303 404 403 403 403 403 404 404
GET   /projects/{project}/-/robots                303 404 403 200 200 200 200 200
GET   /projects/{project}/-/robots/new            303 404 403 403 403 403 200 200
POST  /projects/{project}/-/robots/new            303 404 403 403 403 403 400 400
POST  /projects/{project}/-/robots/0/secret       303 404 403 403 403 403 404 404
POST  /projects/{project}/-/robots/0/switch       303 404 403 403 403 403 404 404
GET   /projects/{project}/-/robots/0/delete       303 404 403 403 403 403 404 404
POST  /projects/{project}/-/robots/0/delete       303 404 403 403 403 403 404 404
GET   /projects/{repository}/-/tags     303 404 200 200 200 200 200 200
GET   /projects/{repository}/-/tags/v1/delete   303 404 403 403 403 200 200 200
POST  /projects/{repository}/-/tags/v1/delete   303 404 403 403 403 404 404 404
GET   /projects/{repository}/-/history  303 404 200 200 200 200 200 200
POST  /projects/{repository}/-/history  303 404 403 403 404 404 404 404
"""


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    statuses: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ROWS = [
    Row(method, path, dict(zip(ROLES, map(int, statuses), strict=True)))
    for method, path, *statuses in map(str.split, filter(None, TABLE.splitlines()))
]


@dataclass
class Stage:
    """A private project with a repository, and a browser of somebody of every role."""

    people: Mapping[str, Person]
    repository: str

    def path(self, row: Row) -> str:
        return row.path.format(project=self.repository.partition("/")[0], repository=self.repository)


@pytest.fixture(scope="module")
def stage(world: World) -> Stage:
    accounts = {role: world.user() for role in ("user", *MEMBERS)}
    project = world.project(members={account: role for role, account in accounts.items() if role in MEMBERS})
    accounts["sysadmin"] = world.user(is_admin=True)
    repository = world.repository(project)
    world.admin().push_image(repository, "v1")
    people = {role: Person(world.url).sign_in(who.login, who.secret) for role, who in accounts.items()}
    return Stage({"nobody": Person(world.url), **people}, repository)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_role_gets_its_status(world: World, stage: Stage, row: Row) -> None:
    got = {}
    for role, person in stage.people.items():
        if row.path == "/logout":  # somebody else of that kind, so that the people of the stage stay signed in
            answer = _sent(somebody(world, role), row.path)
        elif row.method == "GET":
            answer = person.get(stage.path(row))
        else:
            answer = _sent(person, stage.path(row))
        got[role] = answer.status
        if role == "nobody" and answer.status == 303 and row.statuses["user"] != 303:
            assert answer.location.startswith("/login")
    assert got == row.statuses


def somebody(world: World, role: str) -> Person:
    if role == "nobody":
        return Person(world.url)
    account = world.user()
    return Person(world.url).sign_in(account.login, account.secret)


def _sent(person: Person, path: str) -> Page:
    """A form that is accepted from who may send it, and changes nothing that others need."""
    form = {"language": "en", "theme": "auto", "tag": "no-such-tag"}
    return person.post(path.replace("/v1/", "/no-such-tag/"), form, from_page="/account")


def test_every_page_stands_in_the_table() -> None:
    routed = {f"{method} {_tabled(route)}" for route, methods in pages().items() for method in methods}
    assert routed == {str(row) for row in ROWS}


def _tabled(route: str) -> str:
    names = (("<str:project>/<path:repository>", "{repository}"), ("<str:project>", "{project}"))
    for written, tabled in (*names, ("<str:tag>", "v1"), ("<id:member_id>", "0"), ("<id:robot_id>", "0")):
        route = route.replace(written, tabled)
    return f"/{route}"
