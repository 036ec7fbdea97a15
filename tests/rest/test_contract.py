"""Harbor's contract, operation by operation: what is built answers as the description says, the rest is absent."""

import pytest
from django.urls import get_resolver

from harborlite.rest.views import NoSuchOperation
from tests.factories import World, fresh
from tests.rest.api import Api
from tests.rest.contract import OPERATIONS, PREFIX, Operation, complaints, key, lines, mismatches
from tests.rest.routes import served
from tests.rest.scene import Scene, robot_body

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EXPANSIONS = (
    "with_tag", "with_label", "with_scan_overview", "with_sbom_overview", "with_immutable_status", "with_accessory",
    "with_inherited_accessory", "with_signature",
)  # fmt: skip

REFUSED = {
    "GET /systeminfo/getcert": (404, "NOT_FOUND"),  # the server has no certificate of its own
    "PUT /users/{}/cli_secret": (412, "PRECONDITION"),  # as Harbor, whose people sign in with a password
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.key)
def test_operation_keeps_the_contract(scene: Scene, operation: Operation) -> None:
    ask = scene.ask(operation.key)
    query = {**(ask.query or {}), **{name: "true" for name in EXPANSIONS if name in operation.query}}
    answer = scene.admin(ask.method, ask.path, ask.body, query=query)
    if operation.key in REFUSED:
        assert (answer.status, *answer.codes) == REFUSED[operation.key]
    else:
        assert complaints(operation, answer) == []


def test_what_is_routed_is_the_contract() -> None:
    """Nothing is missing, and beside Harbor's operations there are ours."""
    routed = {key(method, route) for method, route in served() if method not in ("HEAD", "OPTIONS")}
    assert routed | {"HEAD /projects"} == {operation.key for operation in OPERATIONS}


LISTS = [operation for operation in OPERATIONS if operation.is_paged]


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.key)
def test_page_past_the_end_is_empty(scene: Scene, operation: Operation) -> None:
    """Terraform asks for pages until it gets an empty one."""
    ask = scene.ask(operation.key)
    answer = scene.admin("GET", ask.path, query={**(ask.query or {}), "page": 100000, "page_size": 100})
    assert complaints(operation, answer) == []
    assert answer.json() == []
    assert 'rel="next"' not in answer.headers.get("Link", "")


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.key)
@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=1.5", "page=99999999999999999999",
                                   "page_size=0", "page_size=-1", "page_size=x", "page_size=101",
                                   "page_size=1000000"])  # fmt: skip
def test_page_that_cannot_be(scene: Scene, operation: Operation, query: str) -> None:
    """S-132. Harbor takes what page_size says up to 100; -1 is its word for everything and no word here."""
    ask, (name, _, value) = scene.ask(operation.key), query.partition("=")
    answer = scene.admin("GET", ask.path, query={**(ask.query or {}), name: value})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"]), answer
    assert name in answer.json()["errors"][0]["message"]


SORTED = [operation for operation in LISTS if "sort" in operation.query]


@pytest.mark.parametrize("operation", SORTED, ids=lambda operation: operation.key)
@pytest.mark.parametrize("sort", ["password", "-user__password", "id;select", "name)--", "_connector", "?", "-", "--id",
                                  "pk__in", "id,password", "%00", "\u202e"])  # fmt: skip
def test_sort_by_what_is_not_listed(scene: Scene, operation: Operation, sort: str) -> None:
    """S-80"""
    ask = scene.ask(operation.key)
    answer = scene.admin("GET", ask.path, query={**(ask.query or {}), "sort": sort})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"]), answer
    assert "sort" in answer.json()["errors"][0]["message"]


FILTERED = [operation for operation in LISTS if "q" in operation.query]
BAD_Q = [
    "password=~pbkdf2", "secret=x", "project__owner__password=~a", "password__startswith=a",  # S-81
    ",".join(f"name=~{number}" for number in range(10_000)), "name=[[a~b]~c]", "id=[~]", "name={a b", "name=(a b",
    "name=[a~b", "name", "=x",  # S-82
    "_connector=OR", "_negated=1", "pk__in=1", "__class__=x",  # S-83
    "na'me=1", 'na"me=1', "extra->>'a'=1",  # S-84
    "name=\0", "name=~\0", "%00=1",  # S-85
]  # fmt: skip


@pytest.mark.parametrize("operation", FILTERED, ids=lambda operation: operation.key)
def test_q_that_cannot_be(scene: Scene, operation: Operation) -> None:
    """S-81..S-85: always 400, with a message that says it is q."""
    ask = scene.ask(operation.key)
    for q in BAD_Q:
        answer = scene.admin("GET", ask.path, query={**(ask.query or {}), "q": q})
        assert answer.status in ((400, 414) if len(q) > 10_000 else (400,)), f"{q[:80]}: {answer}"
        if answer.status == 400:
            assert answer.codes == ["BAD_REQUEST"], f"{q[:80]}: {answer}"
            assert "q" in answer.json()["errors"][0]["message"].split()[0], f"{q[:80]}: {answer}"


@pytest.mark.parametrize("path", list(lines("later.txt")))
def test_what_is_not_built_is_absent(scene: Scene, path: str) -> None:
    """No stub: whatever the method, there is nothing; and nobody learns more than that."""
    filled = path.format(project=scene.project, repository="some%252Fwhere", reference="v1")
    assert get_resolver().resolve(PREFIX + filled).func.view_class is NoSuchOperation
    for method in METHODS:
        assert scene.admin(method, filled).status == 404


@pytest.mark.parametrize("addition", ["vulnerabilities", "sbom", "files", "license", "nothing"])
def test_addition_that_is_not_built(scene: Scene, addition: str) -> None:
    """It is one path with those that are; an artifact just has no such addition."""
    answer = scene.admin("GET", f"{scene.artifact_path}/additions/{addition}")
    assert answer.status in (400, 404), answer
    assert addition not in scene.admin.get(scene.artifact_path).get("addition_links", {})


def test_name_in_location(scene: Scene) -> None:
    name = fresh("project")
    answer = scene.admin("POST", "/projects", {"project_name": name}, headers={"X-Resource-Name-In-Location": "true"})
    assert (answer.status, answer.headers["Location"]) == (201, f"{PREFIX}/projects/{name}")


def test_project_by_name_and_by_id(world: World, scene: Scene) -> None:
    """Digits are an id unless X-Is-Resource-Name says that they are a name."""
    by_name = scene.admin.get(f"/projects/{scene.project}")
    assert scene.admin.get(f"/projects/{by_name['project_id']}") == by_name
    digits = str(10**9 + by_name["project_id"])
    scene.admin.create("/projects", {"project_name": digits})
    assert scene.admin("GET", f"/projects/{digits}").status == 404
    named = scene.admin.get(f"/projects/{digits}", headers={"X-Is-Resource-Name": "true"})
    assert named["name"] == digits
    as_id = scene.admin("GET", f"/projects/{by_name['project_id']}", headers={"X-Is-Resource-Name": "true"})
    assert as_id.status == 404


def test_repository_name_in_a_path(scene: Scene) -> None:
    """Its slashes are encoded twice; the server decodes once, and so must whatever stands before it."""
    path = f"/projects/{scene.project}/repositories/{scene.repository.replace('/', '%252F')}"
    assert scene.admin.get(path)["name"] == scene.image.repository
    assert scene.admin.get(f"{path}/artifacts/v1")["digest"] == scene.image.digest
    for slash in ("%25252F", "%255C", "%2500", "%25%00"):
        answer = scene.admin("GET", f"/projects/{scene.project}/repositories/deep{slash}x")
        assert answer.status in (400, 404), answer


@pytest.mark.parametrize("path", ["/projects/{project}/metadatas", "/quotas"])
def test_slash_at_the_end(scene: Scene, path: str) -> None:
    """Terraform asks for `/quotas/?page=1`; the metadatas are called both ways."""
    filled = path.format(project=scene.project)
    assert scene.admin.get(filled) == scene.admin.get(filled + "/", page=1)


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b"\xff\xfe{\x00", b'{"project_name": NaN}',
                                  b'{"project_name": 1e999}', b"[" * 100_000, b'{"a":' * 100_000,
                                  b'{"project_name": ' + b"9" * 5000 + b"}",
                                  b'\xef\xbb\xbf{"project_name": "bom"}'],
                         ids=lambda body: str(body[:20]))  # fmt: skip
def test_body_that_is_no_json_object(scene: Scene, body: bytes) -> None:
    """S-133"""
    answer = scene.admin("POST", "/projects", body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded",
                                          "multipart/form-data; boundary=x"])  # fmt: skip
def test_body_of_another_media_type(scene: Scene, content_type: str) -> None:
    answer = scene.admin("POST", "/projects", b"project_name=x", headers={"Content-Type": content_type})
    assert answer.status == 415
    assert answer.codes == ["UNSUPPORTED_MEDIA_TYPE"]


def test_secret_of_a_robot_is_told_once(scene: Scene) -> None:
    """S-08"""
    made = scene.admin("POST", "/robots", robot_body(scene.project))
    assert len(made.json()["secret"]) >= 32
    shown = scene.admin("GET", f"/robots/{made.json()['id']}")
    assert made.json()["secret"].encode() not in shown.body
    assert "secret" not in shown.json()


def test_request_id_is_the_callers(nobody: Api) -> None:
    assert nobody("GET", "/ping", headers={"X-Request-Id": "my.id-1"}).headers["X-Request-Id"] == "my.id-1"


@pytest.mark.parametrize("kind", ["User", "Project", "Artifact"])
def test_the_check_itself_finds_what_is_wrong(kind: str) -> None:
    assert any("is missing" in said for said in mismatches(kind, {}, "x"))
    assert list(mismatches(kind, {"nonsense": 1}, "x"))[-1] == "x.nonsense is not declared: 1"
    assert list(mismatches(kind, [], "x")) == ["x is no dict: []"]
    assert list(mismatches("[int]", [1, "1", True], "x")) == ["x[1] is no int: '1'", "x[2] is no int: True"]
    assert list(mismatches("time", "yesterday", "x")) == ["x is no time: 'yesterday'"]
