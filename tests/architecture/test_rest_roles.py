"""Who may do what in the REST API: every operation, every role, and the status each must get.

The tables are roles/*.txt: an operation in a line, its columns are ROLES in order. An operation that the URLs or the
OpenAPI know and no table is a failure. HEAD is as GET, and OPTIONS is nobody's secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator

from projects.roles import ROBOT_PROJECT_ACTIONS, SYSTEM_ACTIONS
from tests.factories import ROLES as MEMBERS
from tests.factories import Account, World
from tests.rest.contract import PREFIX, key
from tests.rest.routes import served
from tests.rest.scene import Ask, Scene
from tests.wire import Answer, basic, bearer, raw

ROLES = (
    "nobody",
    "registry token",  # of an administrator: good for /v2 and for nothing here (S-57)
    "user",  # signed in, no member
    "limited guest",
    "guest",
    "developer",
    "maintainer",
    "project admin",
    "robot that pulls",
    "robot of the project",  # with everything that a robot may be given in a project
    "robot of another project",  # the same there
    "robot of the system",  # with everything that a robot may be given outside projects
    "sysadmin",
    "disabled user",  # was a project admin
    "expired robot",
)
TABLES = Path(__file__).resolve().parent / "roles"
INSTANCE, PRIVATE, PUBLIC = "of the instance", "private", "public"


@dataclass(frozen=True)
class Row:
    part: str
    operation: str
    statuses: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.part} {self.operation}"


def _rows() -> Iterator[Row]:
    for table in sorted(TABLES.glob("*.txt")):
        part = ""
        for line in filter(None, table.read_text("utf-8").splitlines()):
            if line in (INSTANCE, PRIVATE, PUBLIC):
                part = line
                continue
            method, path, *statuses = line.split()
            yield Row(part, f"{method} {path}", dict(zip(ROLES, map(int, statuses), strict=True)))


ROWS = list(_rows())


@dataclass
class Stage:
    """A project with one of everything in it, and somebody of every role."""

    world: World
    scene: Scene
    accounts: Mapping[str, Account]
    token: str

    @classmethod
    def of(cls, world: World, *, is_public: bool) -> "Stage":
        people = {role: world.user() for role in ("user", *MEMBERS, "disabled user")}
        members = {account: role for role, account in people.items() if role in MEMBERS}
        members[people["disabled user"]] = "project admin"
        project = world.project(is_public=is_public, members=members)
        everything = tuple(sorted(ROBOT_PROJECT_ACTIONS))
        sysadmin = world.user(is_admin=True)
        accounts = {
            **people,
            "robot that pulls": world.robot(project, ("repository:pull",)),
            "robot of the project": world.robot(project, everything),
            "robot of another project": world.robot(world.project(), everything),
            "robot of the system": world.robot(None, {"/": tuple(sorted(SYSTEM_ACTIONS))}),
            "sysadmin": sysadmin,
            "expired robot": world.robot(project, everything),
        }
        token = world.client(sysadmin).token_text("registry:catalog:*", f"repository:{project}/x:pull,push,delete")
        world.clerk("user_disable", username=accounts["disabled user"].login)
        world.clerk("robot_expire", login=accounts["expired robot"].login)
        scene = Scene(world, project=project)
        scene.value("artifacts")  # so that nobody can delete the project, and who may is told so
        return cls(world, scene, accounts, token)

    def credentials(self, role: str) -> dict[str, str]:
        if role == "nobody":
            return {}
        if role == "registry token":
            return bearer(self.token)
        return basic(self.accounts[role].login, self.accounts[role].secret)

    def ask(self, row: Row, role: str) -> Ask:
        """On something of its own when it goes well; but there is only one project in which they have their roles."""
        is_spare = row.statuses[role] < 300 and not row.operation.endswith("/projects/{}")
        return self.scene.ask(row.operation, is_spare=is_spare)

    def send(self, row: Row, role: str, method: str | None = None) -> Answer:
        answer = self.scene.send(self.ask(row, role), self.credentials(role), method)
        if row.operation == "POST /projects" and answer.status == 201:
            self.scene.admin.done("DELETE", answer.headers["Location"])  # who administers one may see more
        return answer


@pytest.fixture(scope="module")
def stages(world: World) -> dict[str, Stage]:
    private = Stage.of(world, is_public=False)
    return {INSTANCE: private, PRIVATE: private, PUBLIC: Stage.of(world, is_public=True)}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_role_gets_its_status(stages: dict[str, Stage], row: Row) -> None:
    got = {role: stages[row.part].send(row, role) for role in ROLES}
    wrong = {
        role: f"{answer.status}, not {row.statuses[role]}: {answer.body[:200]!r}"
        for role, answer in got.items()
        if answer.status != row.statuses[role]
    }
    assert not wrong
    for role, answer in got.items():
        if answer.status == 401:
            assert answer.codes == ["UNAUTHORIZED"] or row.operation.startswith("HEAD"), role
        if answer.status == 403:
            assert answer.codes == ["FORBIDDEN"], role


# HEAD of /projects asks whether a project exists, and has a line of its own.
SHOWN = [row for row in ROWS if row.operation.startswith("GET") and row.operation != "GET /projects"]


@pytest.mark.parametrize("row", SHOWN, ids=str)
def test_head_is_as_get(stages: dict[str, Stage], row: Row) -> None:
    for role in ("nobody", "user", "limited guest", "robot of the project", "sysadmin"):
        answer = stages[row.part].send(row, role, "HEAD")
        assert (answer.status, answer.body) == (row.statuses[role], b""), role


@pytest.mark.parametrize("row", [r for r in ROWS if r.part != PUBLIC and "openapi" not in r.operation], ids=str)
def test_options_tells_methods_and_nothing_else(stages: dict[str, Stage], row: Row) -> None:
    """S-169"""
    stage = stages[row.part]
    for role in ("nobody", "user", "sysadmin"):
        answer = stage.scene.send(stage.ask(row, "nobody"), stage.credentials(role), "OPTIONS")
        assert (answer.status, answer.body) == (204, b""), role
        assert row.operation.partition(" ")[0] in answer.headers["Allow"].split(", ")


# Completeness.


def test_every_operation_that_is_routed_stands_in_a_table() -> None:
    routed = {key(method, route) for method, route in served() if method != "OPTIONS"}
    tabled = {row.operation for row in ROWS}
    heads = {"HEAD " + operation.partition(" ")[2] for operation in tabled if operation.startswith("GET")}
    assert routed | heads == tabled | heads


def test_every_operation_of_the_openapi_stands_in_a_table_and_no_other() -> None:
    """OpenAPI's generator leaves out HEAD, and we leave out the description itself."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    described = {key(method, path) for path, methods in paths.items() for method in methods}
    assert described | {"HEAD /projects", "GET /openapi.json"} == {row.operation for row in ROWS}


def test_every_row_stands_once_and_projects_rows_in_both_parts() -> None:
    names = [str(row) for row in ROWS]
    assert len(names) == len(set(names))
    parts = [{row.operation for row in ROWS if row.part == part} for part in (PRIVATE, PUBLIC)]
    assert parts[0] == parts[1]


def test_every_path_of_a_project_stands_in_the_parts() -> None:
    assert not [row for row in ROWS if row.part == INSTANCE and "/projects/{}" in row.operation]


@pytest.mark.parametrize("path", ["/nothing", "/projects/x/nothing", "/users/1/nothing", "/robots/1/nothing"])
def test_unknown_paths_take_no_method(world: World, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for headers in ({}, basic(world.admin_account.login, world.admin_account.secret)):
            assert raw(world.url, method, PREFIX + path, headers).status == 404
