"""Who may do what: every endpoint, every role, and the status each must get. An endpoint missing here is a failure.

The operations of the REST API, under api/v2.0/, have tables of their own: test_rest_roles.py.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from django.urls import get_resolver

from tests.factories import PULL, PUSH, Account, World
from tests.images import EMPTY, OCI_EMPTY, OCI_INDEX, Image, descriptor, dump, index_manifest, sha256, unique
from tests.ociclient import Client
from tests.rest.contract import PREFIX
from tests.rest.routes import pages, walk
from tests.wire import Answer, basic, bearer, raw

ROLES = (
    "nobody",  # no credentials at all
    "anonymous token",
    "user",  # signed in, no member
    "limited guest",
    "guest",
    "developer",
    "maintainer",
    "project admin",
    "robot that pulls",
    "robot that pushes",
    "robot of another project",
    "sysadmin",
    "disabled user",  # was a project admin; with a token issued before
    "expired robot",
)

# The columns are ROLES in order. What stands under `private` and has a repository stands under `public` too.
TABLE = """
private
GET     v2                                                401 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2                                                401 200 200 200 200 200 200 200 200 200 200 200 401 401
OPTIONS v2                                                204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/                                               401 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/                                               401 200 200 200 200 200 200 200 200 200 200 200 401 401
OPTIONS v2/                                               204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/_catalog                                       401 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/_catalog                                       401 200 200 200 200 200 200 200 200 200 200 200 401 401
OPTIONS v2/_catalog                                       204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/tags/list                          401 401 403 200 200 200 200 200 200 200 403 200 401 401
HEAD    v2/<name:name>/tags/list                          401 401 403 200 200 200 200 200 200 200 403 200 401 401
OPTIONS v2/<name:name>/tags/list                          204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/manifests/<segment:reference>      401 401 403 200 200 200 200 200 200 200 403 200 401 401
HEAD    v2/<name:name>/manifests/<segment:reference>      401 401 403 200 200 200 200 200 200 200 403 200 401 401
PUT     v2/<name:name>/manifests/<segment:reference>      401 401 403 403 403 201 201 201 403 201 403 201 401 401
DELETE  v2/<name:name>/manifests/<segment:reference>      401 401 403 403 403 403 202 202 403 403 403 202 401 401
OPTIONS v2/<name:name>/manifests/<segment:reference>      204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/referrers/<segment:digest>         401 401 403 200 200 200 200 200 200 200 403 200 401 401
HEAD    v2/<name:name>/referrers/<segment:digest>         401 401 403 200 200 200 200 200 200 200 403 200 401 401
OPTIONS v2/<name:name>/referrers/<segment:digest>         204 204 204 204 204 204 204 204 204 204 204 204 204 204
POST    v2/<name:name>/blobs/uploads/                     401 401 403 403 403 202 202 202 403 202 403 202 401 401
OPTIONS v2/<name:name>/blobs/uploads/                     204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
HEAD    v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
PATCH   v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 202 202 202 403 202 403 202 401 401
PUT     v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 201 201 201 403 201 403 201 401 401
DELETE  v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
OPTIONS v2/<name:name>/blobs/uploads/<uuid:upload_id>     204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
HEAD    v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
PATCH   v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
PUT     v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
DELETE  v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
OPTIONS v2/<name:name>/blobs/uploads/<segment:upload_id>  204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/<name:name>/blobs/<segment:digest>             401 401 403 200 200 200 200 200 200 200 403 200 401 401
HEAD    v2/<name:name>/blobs/<segment:digest>             401 401 403 200 200 200 200 200 200 200 403 200 401 401
DELETE  v2/<name:name>/blobs/<segment:digest>             401 401 403 403 403 403 202 202 403 403 403 202 401 401
OPTIONS v2/<name:name>/blobs/<segment:digest>             204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     v2/^                                              404 404 404 404 404 404 404 404 404 404 404 404 404 404
OPTIONS v2/^                                              404 404 404 404 404 404 404 404 404 404 404 404 404 404
GET     service/token                                     200 401 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    service/token                                     200 401 200 200 200 200 200 200 200 200 200 200 401 401
POST    service/token                                     401 401 200 200 200 200 200 200 200 200 200 200 401 401
OPTIONS service/token                                     204 204 204 204 204 204 204 204 204 204 204 204 204 204
GET     healthz                                           200 200 200 200 200 200 200 200 200 200 200 200 200 200
HEAD    healthz                                           200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET     readyz                                            200 200 200 200 200 200 200 200 200 200 200 200 200 200
HEAD    readyz                                            200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET     api/docs                                          200 200 200 200 200 200 200 200 200 200 200 200 200 200
HEAD    api/docs                                          200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET     api/version                                       200 200 200 200 200 200 200 200 200 200 200 200 200 200
HEAD    api/version                                       200 200 200 200 200 200 200 200 200 200 200 200 200 200
OPTIONS ^api/                                             404 404 404 404 404 404 404 404 404 404 404 404 404 404
POST    c/login                                           403 403 403 403 403 403 403 403 403 403 403 403 403 403
OPTIONS c/login                                           204 204 204 204 204 204 204 204 204 204 204 204 204 204
POST    c/log_out                                         403 401 200 200 200 200 200 200 200 200 200 200 401 401
OPTIONS c/log_out                                         204 204 204 204 204 204 204 204 204 204 204 204 204 204
POST    c/userExists                                      403 401 412 412 412 412 412 412 412 412 412 200 401 401
OPTIONS c/userExists                                      204 204 204 204 204 204 204 204 204 204 204 204 204 204
public
GET     v2/<name:name>/tags/list                          200 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/<name:name>/tags/list                          200 200 200 200 200 200 200 200 200 200 200 200 401 401
GET     v2/<name:name>/manifests/<segment:reference>      200 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/<name:name>/manifests/<segment:reference>      200 200 200 200 200 200 200 200 200 200 200 200 401 401
PUT     v2/<name:name>/manifests/<segment:reference>      401 401 403 403 403 201 201 201 403 201 403 201 401 401
DELETE  v2/<name:name>/manifests/<segment:reference>      401 401 403 403 403 403 202 202 403 403 403 202 401 401
GET     v2/<name:name>/referrers/<segment:digest>         200 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/<name:name>/referrers/<segment:digest>         200 200 200 200 200 200 200 200 200 200 200 200 401 401
POST    v2/<name:name>/blobs/uploads/                     401 401 403 403 403 202 202 202 403 202 403 202 401 401
GET     v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
HEAD    v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
PATCH   v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 202 202 202 403 202 403 202 401 401
PUT     v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 201 201 201 403 201 403 201 401 401
DELETE  v2/<name:name>/blobs/uploads/<uuid:upload_id>     401 401 403 403 403 204 204 204 403 204 403 204 401 401
GET     v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
HEAD    v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
PATCH   v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
PUT     v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
DELETE  v2/<name:name>/blobs/uploads/<segment:upload_id>  401 401 403 403 403 404 404 404 403 404 403 404 401 401
GET     v2/<name:name>/blobs/<segment:digest>             200 200 200 200 200 200 200 200 200 200 200 200 401 401
HEAD    v2/<name:name>/blobs/<segment:digest>             200 200 200 200 200 200 200 200 200 200 200 200 401 401
DELETE  v2/<name:name>/blobs/<segment:digest>             401 401 403 403 403 403 202 202 403 403 403 202 401 401
"""  # fmt: skip
MISSING_SESSION = "nonsense"


@dataclass(frozen=True)
class Row:
    visibility: str
    method: str
    route: str
    statuses: Mapping[str, int]

    @property
    def has_repository(self) -> bool:
        return "<name:name>" in self.route


def _rows() -> Iterator[Row]:
    visibility = ""
    for line in TABLE.strip().splitlines():
        if len(line.split()) == 1:
            visibility = line.strip()
            continue
        method, route, *statuses = line.split()
        yield Row(visibility, method, route, dict(zip(ROLES, map(int, statuses), strict=True)))


ROWS = list(_rows())


@dataclass
class Stage:
    """A project with an image in it, and somebody of every role."""

    world: World
    accounts: Mapping[str, Account]
    owner: Client
    image: Image
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        return self.image.repository

    def credentials(self, role: str, how: str) -> dict[str, str]:
        if role == "nobody":
            return {}
        if how == "basic" and role != "anonymous token":
            return basic(self.accounts[role].login, self.accounts[role].secret)
        return bearer(self.tokens[role])

    def request(self, row: Row) -> tuple[str, dict[str, str], bytes]:
        """Path, headers and body of a request that works for who may send it."""
        path, headers, body = "/" + row.route.replace("<name:name>", self.repository), {}, b""
        if row.route in ("v2/^", "^api/"):
            path = f"/{row.route.strip('^/')}/nothing"
        elif row.route == "service/token" and row.method != "POST":
            path += f"?scope=repository:{self.repository}:pull"
        elif row.method == "PUT" and "manifests" in row.route:
            headers, body = {"Content-Type": OCI_INDEX}, self.new_manifest()
        elif row.method in ("PATCH", "PUT"):
            body = unique()
        replacements = {
            "<segment:reference>": sha256(body) if row.method == "PUT" else self.image.digest,
            "<uuid:upload_id>": "",
            "<segment:upload_id>": MISSING_SESSION,
            "<segment:digest>": self.image.digest if "referrers" in row.route else sha256(self.image.layers[0]),
        }
        for name, value in replacements.items():
            if name in path:
                path = path.replace(name, value or self.new_session())
        if row.method == "PUT" and "uploads" in row.route:
            path += f"?digest={sha256(body)}"
        return path, headers, body

    def deletable(self, row: Row, path: str) -> str:
        """The path of something of its own to delete, for who may."""
        if "manifests" in row.route:
            content = self.new_manifest()
            assert self.owner.push_manifest(self.repository, sha256(content), content, OCI_INDEX).status == 201
            return path.replace(self.image.digest, sha256(content))
        if "blobs/<segment" in row.route:
            return path.replace(sha256(self.image.layers[0]), self.owner.push_blob(self.repository, unique()))
        return path

    def new_manifest(self) -> bytes:
        return dump(index_manifest([], annotations={"unique": secrets.token_hex(8)}))

    def new_session(self) -> str:
        return self.owner.session_of(self.repository).rpartition("/")[2]


def _stage(world: World, *, is_public: bool) -> Stage:
    people = {
        role: world.user()
        for role in ("user", "limited guest", "guest", "developer", "maintainer", "project admin", "disabled user")
    }
    members = {account: role for role, account in people.items() if role != "user"}
    members[people["disabled user"]] = "project admin"
    project = world.project(is_public=is_public, members=members)
    accounts = {
        **people,
        "robot that pulls": world.robot(project, PULL),
        "robot that pushes": world.robot(project, PUSH),
        "robot of another project": world.robot(world.project(), PUSH),
        "sysadmin": world.user(is_admin=True),
        "expired robot": world.robot(project, PUSH),
    }
    owner = world.player()
    stage = Stage(world, accounts, owner, owner.push_image(world.repository(project), "v1"))
    for role in ROLES[1:]:
        client = world.client(accounts.get(role))
        stage.tokens[role] = client.token_text(f"repository:{stage.repository}:pull,push,delete", "registry:catalog:*")
    world.clerk("user_disable", username=accounts["disabled user"].login)
    world.clerk("robot_expire", login=accounts["expired robot"].login)
    return stage


@pytest.fixture(scope="module")
def stages(world: World) -> dict[str, Stage]:
    return {"private": _stage(world, is_public=False), "public": _stage(world, is_public=True)}


CASES = [(row, how) for row in ROWS for how in ("basic", "bearer") if how == "basic" or row.route.startswith("v2")]


@pytest.mark.parametrize(("row", "how"), CASES, ids=[f"{r.visibility} {r.method} {r.route} {how}" for r, how in CASES])
def test_every_role_gets_its_status(stages: dict[str, Stage], row: Row, how: str) -> None:
    stage = stages[row.visibility]
    got = {role: _ask(stage, row, role, how) for role in ROLES}
    wrong = {
        role: f"{answer.status}, not {row.statuses[role]}"
        for role, answer in got.items()
        if answer.status != row.statuses[role]
    }
    assert not wrong
    for role, answer in got.items():
        if answer.status == HTTPStatus.UNAUTHORIZED and not row.route.startswith("c/"):
            scheme = "Basic" if row.route == "service/token" else "Bearer"
            assert answer.headers["WWW-Authenticate"].startswith(scheme), role


def _ask(stage: Stage, row: Row, role: str, how: str) -> Answer:
    path, headers, body = stage.request(row)
    if row.method == "DELETE" and row.statuses[role] < 300:
        path = stage.deletable(row, path)
    if row.route == "service/token" and row.method == "POST":
        headers, body = _form(stage, role)
    else:
        headers = {**headers, **stage.credentials(role, how)}
    return raw(stage.world.url, row.method, path, headers, body)


def _form(stage: Stage, role: str) -> tuple[dict[str, str], bytes]:
    account = stage.accounts.get(role, Account("", ""))
    form = f"grant_type=password&username={account.login}&password={account.secret}".replace("$", "%24").replace(
        "+", "%2B"
    )
    return {"Content-Type": "application/x-www-form-urlencoded"}, form.encode()


def test_refused_requests_changed_nothing(world: World) -> None:
    """After every role has tried everything it may not, the image is there as it was."""
    stage = _stage(world, is_public=False)
    for row in ROWS:
        if row.visibility != "private" or not row.has_repository or row.method in ("GET", "HEAD", "OPTIONS"):
            continue
        for role in ROLES:
            if row.statuses[role] >= 400:
                _ask(stage, row, role, "basic")
    stage.owner.pull(stage.repository, "v1")
    assert stage.owner.tags(stage.repository) == ["v1"]


# Completeness.


def test_every_endpoint_and_method_stands_in_the_table() -> None:
    served = {
        (method, route)
        for route, methods in walk(get_resolver().url_patterns)
        for method in methods
        if not route.startswith(PREFIX[1:] + "/") and route not in pages()
    }
    assert served == {(row.method, row.route) for row in ROWS}


def test_every_endpoint_of_a_repository_stands_in_both_parts() -> None:
    parts = [
        {
            (row.method, row.route)
            for row in ROWS
            if row.visibility == visibility and row.has_repository and row.method != "OPTIONS"
        }
        for visibility in ("private", "public")
    ]
    assert parts[0] == parts[1]


def test_every_row_stands_once() -> None:
    keys = [(row.visibility, row.method, row.route) for row in ROWS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v2.0/health", "/api/v2.0/ping"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_probes_are_only_read(world: World, path: str, method: str) -> None:
    assert raw(world.url, method, path).status == HTTPStatus.METHOD_NOT_ALLOWED


def test_unknown_paths_of_v2_take_no_method(world: World) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert raw(world.url, method, "/v2/nothing").status == HTTPStatus.NOT_FOUND


def test_blob_of_the_stage_has_no_other_door(stages: dict[str, Stage]) -> None:
    """What a user without a role in the private project may not pull, no request of theirs shows."""
    stage = stages["private"]
    credentials = stage.credentials("user", "basic")
    layer = stage.image.layers[0]
    for row in ROWS:
        if row.visibility == "private" and row.method == "GET":
            path, headers, body = stage.request(row)
            answer = raw(stage.world.url, "GET", path, {**headers, **credentials}, body)
            assert layer not in answer.body
            assert stage.image.content not in answer.body


def test_descriptor_of_the_empty_config_is_not_special(stages: dict[str, Stage]) -> None:
    """`{}` is in most repositories; that makes it no exception."""
    stage = stages["private"]
    stage.owner.push_blob(stage.repository, EMPTY)
    digest = str(descriptor(EMPTY, OCI_EMPTY)["digest"])
    path = f"/v2/{stage.repository}/blobs/{digest}"
    assert raw(stage.world.url, "GET", path, stage.credentials("user", "basic")).status == HTTPStatus.FORBIDDEN
