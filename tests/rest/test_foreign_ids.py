"""S-10..S-25, S-31..S-33: another tenant's ids, names and rows are to this tenant as if there were none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.factories import World, fresh
from tests.rest.api import Api, twice
from tests.rest.scene import Ask, Scene, retention_body, robot_body, rule_body
from tests.wire import Answer

NOT_COMPARED = {"Date", "X-Request-Id", "Content-Length"}


@dataclass(frozen=True)
class Two:
    """A and B administer a project of their own each; B's is full of things whose ids A knows."""

    a: Api
    here: Scene
    there: Scene
    theirs: Mapping[str, str]
    """B's ids by the names that they have in FOREIGN."""
    nobodys: Mapping[str, str]
    """Ids of the same kinds that nothing has."""


def _nobodys(value: str) -> str:
    if value.isdigit():
        return "1999999999"
    return "sha256:" + "0" * 64 if value.startswith("sha256:") else fresh("missing")


@pytest.fixture(scope="module")
def two(world: World) -> Two:
    a, member = world.user(), world.user()
    here = Scene(world, project=world.project(owner=a, members={world.owner: "project admin"}))
    there = Scene(world, project=world.project(members={member: "guest"}))
    theirs = {
        "project": there.project,
        "project id": str(there.project_id),
        "repository": twice(there.repository),
        "digest": there.image.digest,
        "member": str(there.member),
        "label": str(there.label),
        "rule": str(there.rule),
        "robot": str(there.robot),
        "quota": str(there.quota),
        "user": str(there.user_id_of(member)),
        "group": str(there.group),
        "retention": str(there.retention),
        "run": str(there.retention_run),
        "task": str(there.retention_task()),
    }
    for noun in ("labels", "immutabletagrules", "robots", "retentions"):
        here.value(noun)  # what A has of its own
    return Two(Api(world.url, a), here, there, theirs, {name: _nobodys(value) for name, value in theirs.items()})


FOREIGN = [
    # S-12
    Ask("GET", "/robots/{robot}"),
    Ask("PUT", "/robots/{robot}", robot_body("{here}")),
    Ask("PATCH", "/robots/{robot}", {"secret": ""}),
    Ask("DELETE", "/robots/{robot}"),
    Ask("GET", "/robots", query={"q": "Level=project,ProjectID={project id}"}),
    # S-13
    Ask("PUT", "/projects/{here}/immutabletagrules/{rule}", rule_body("x")),
    Ask("DELETE", "/projects/{here}/immutabletagrules/{rule}"),
    Ask("GET", "/projects/{project}/immutabletagrules"),
    Ask("POST", "/projects/{project}/immutabletagrules", rule_body("x")),
    Ask("PUT", "/projects/{project}/immutabletagrules/{rule}", rule_body("x")),
    Ask("DELETE", "/projects/{project}/immutabletagrules/{rule}"),
    # S-14
    Ask("GET", "/retentions/{retention}"),
    Ask("PUT", "/retentions/{retention}", retention_body(0)),
    Ask("DELETE", "/retentions/{retention}"),
    Ask("GET", "/retentions/{retention}/executions"),
    Ask("POST", "/retentions/{retention}/executions", {"dry_run": True}),
    Ask("GET", "/retentions/{retention}/executions/{run}"),
    Ask("PATCH", "/retentions/{retention}/executions/{run}", {"action": "stop"}),
    Ask("GET", "/retentions/{retention}/executions/{run}/tasks"),
    Ask("GET", "/retentions/{retention}/executions/{run}/tasks/{task}"),
    Ask("GET", "/retentions/{retention}/executions/{run}/artifacts"),
    Ask("GET", "/retentions/{own retention}/executions/{run}"),
    Ask("PATCH", "/retentions/{own retention}/executions/{run}", {"action": "stop"}),
    Ask("GET", "/retentions/{own retention}/executions/{run}/tasks/{task}"),
    Ask("POST", "/retentions/{own retention}/executions", {"plan": "{run}"}),
    Ask("POST", "/retentions", {**retention_body(0), "scope": {"level": "project", "ref": "{project id}"}}),
    Ask("GET", "/projects/{project}/in-use"),
    Ask("PUT", "/projects/{project}/in-use/cluster", {"digests": []}),
    Ask("GET", "/projects/{project}/repositories/{repository}/tags/v1/expiry"),
    Ask("PUT", "/projects/{project}/repositories/{repository}/tags/v1/expiry", {"expires_at": None}),
    # S-17
    Ask("GET", "/labels/{label}"),
    Ask("PUT", "/labels/{label}", {"name": "mine"}),
    Ask("DELETE", "/labels/{label}"),
    Ask("GET", "/labels", query={"scope": "p", "project_id": "{project id}"}),
    Ask("POST", "/labels", {"name": "mine", "scope": "p", "project_id": "{project id}"}),
    Ask("POST", "/projects/{here}/repositories/{repo here}/artifacts/v1/labels", {"id": "{label}"}),
    Ask("DELETE", "/projects/{here}/repositories/{repo here}/artifacts/v1/labels/{label}"),
    # S-18
    Ask("GET", "/projects/{here}/members/{member}"),
    Ask("PUT", "/projects/{here}/members/{member}", {"role_id": 1}),
    Ask("DELETE", "/projects/{here}/members/{member}"),
    Ask("GET", "/projects/{project}/members"),
    Ask("POST", "/projects/{project}/members", {"role_id": 1, "member_user": {"username": "admin"}}),
    Ask("GET", "/projects/{project}/members/{member}"),
    Ask("PUT", "/projects/{project}/members/{member}", {"role_id": 1}),
    Ask("DELETE", "/projects/{project}/members/{member}"),
    # S-19
    Ask("GET", "/quotas/{quota}"),
    Ask("PUT", "/quotas/{quota}", {"hard": {"storage": 1}}),
    Ask("GET", "/quotas", query={"reference": "project", "reference_id": "{project id}"}),
    # S-20, and the project itself
    Ask("GET", "/projects/{project}"),
    Ask("GET", "/projects/{project id}"),
    Ask("PUT", "/projects/{project}", {"metadata": {"public": "true"}}),
    Ask("PUT", "/projects/{project id}", {"metadata": {"public": "true"}}),
    Ask("DELETE", "/projects/{project}"),
    Ask("HEAD", "/projects", query={"project_name": "{project}"}),
    Ask("GET", "/projects", query={"name": "{project}"}),
    Ask("GET", "/projects", query={"q": "name={project}"}),
    Ask("GET", "/projects/{project}/_deletable"),
    Ask("GET", "/projects/{project}/summary"),
    Ask("GET", "/projects/{project}/metadatas/"),
    Ask("POST", "/projects/{project}/metadatas/", {"auto_scan": "true"}),
    Ask("GET", "/projects/{project}/metadatas/public"),
    Ask("PUT", "/projects/{project}/metadatas/public", {"public": "true"}),
    Ask("DELETE", "/projects/{project}/metadatas/public"),
    # What is in it
    Ask("GET", "/projects/{project}/repositories"),
    Ask("GET", "/projects/{project}/artifacts"),
    Ask("GET", "/projects/{project}/repositories/{repository}"),
    Ask("PUT", "/projects/{project}/repositories/{repository}", {"description": "mine"}),
    Ask("DELETE", "/projects/{project}/repositories/{repository}"),
    Ask("GET", "/projects/{here}/repositories/{repository}"),
    Ask("GET", "/projects/{project}/repositories/{repository}/artifacts"),
    Ask("GET", "/projects/{project}/repositories/{repository}/artifacts/{digest}"),
    Ask("DELETE", "/projects/{project}/repositories/{repository}/artifacts/{digest}"),
    Ask("GET", "/projects/{here}/repositories/{repo here}/artifacts/{digest}"),
    Ask("DELETE", "/projects/{here}/repositories/{repo here}/artifacts/{digest}"),
    Ask("POST", "/projects/{here}/repositories/{repo here}/artifacts/{digest}/tags", {"name": "mine"}),
    Ask("GET", "/projects/{project}/repositories/{repository}/artifacts/v1/tags"),
    Ask("POST", "/projects/{project}/repositories/{repository}/artifacts/v1/tags", {"name": "mine"}),
    Ask("DELETE", "/projects/{project}/repositories/{repository}/artifacts/v1/tags/v1"),
    Ask("GET", "/projects/{project}/repositories/{repository}/artifacts/v1/accessories"),
    Ask("GET", "/projects/{project}/repositories/{repository}/artifacts/v1/additions/build_history"),
    Ask("POST", "/projects/{here}/repositories/stolen/artifacts", query={"from": "{project}/deep/x:v1"}),
    Ask("POST", "/projects/{project}/repositories/placed/artifacts", query={"from": "{here}/x:v1"}),
    # Audit rows
    Ask("GET", "/projects/{project}/logs"),
    Ask("GET", "/projects/{project}/auditlog-exts"),
    Ask("GET", "/auditlog-exts", query={"q": "resource=~{project}"}),
    Ask("GET", "/audit-logs", query={"q": "resource=~{project}"}),
    # People
    Ask("GET", "/users/{user}"),
    Ask("PUT", "/users/{user}", {"email": "mine@example.com", "realname": "", "comment": ""}),
    Ask("PUT", "/users/{user}/password", {"new_password": "Mine-from-now-1"}),
    Ask("PUT", "/users/{user}/sysadmin", {"sysadmin_flag": True}),
    Ask("DELETE", "/users/{user}"),
    Ask("GET", "/usergroups/{group}"),
    Ask("DELETE", "/usergroups/{group}"),
]


@pytest.mark.parametrize("ask", FOREIGN, ids=lambda ask: f"{ask.method} {ask.path} {ask.query or ''}")
def test_another_tenants_id_is_like_none(two: Two, ask: Ask) -> None:
    got = _seen(two, ask, two.theirs)
    assert got == _seen(two, ask, two.nobodys)
    assert got["status"] in (200, 401, 403, 404)
    assert got["status"] != 200 or (ask.method == "GET" and got["body"] == "[]"), got


HIDDEN = [ask for ask in FOREIGN if "/{project" in ask.path]


@pytest.mark.parametrize("ask", HIDDEN, ids=lambda ask: f"{ask.method} {ask.path}")
def test_hidden_project_is_not_found(two: Two, ask: Ask) -> None:
    """By who is signed in; who isn't is told to sign in, also for a project that is not there."""
    assert _seen(two, ask, two.theirs)["status"] == 404
    nobody = Api(two.a.url)
    assert _send(two, nobody, ask, two.theirs).status == _send(two, nobody, ask, two.nobodys).status == 401


def test_nothing_of_the_other_tenants_has_changed(world: World, two: Two) -> None:
    """Whatever A sent to B's things, they are as they were, to the byte."""
    paths = [
        f"/projects/{two.there.project}", f"/projects/{two.there.project}/members",
        f"/projects/{two.there.project}/immutabletagrules", f"/projects/{two.there.project}/metadatas/",
        f"/robots/{two.there.robot}", f"/labels/{two.there.label}", f"/quotas/{two.there.quota}",
        f"/users/{two.theirs['user']}", f"/usergroups/{two.there.group}",
        f"{two.there.artifact_path}?with_tag=true&with_label=true&with_accessory=true",
        f"/projects/{two.there.project}/logs?page_size=100", f"/retentions/{two.theirs['retention']}",
        f"/retentions/{two.theirs['retention']}/executions", f"/projects/{two.there.project}/in-use",
    ]  # fmt: skip
    before = [two.there.admin("GET", path).body for path in paths]
    for ask in FOREIGN:
        _send(two, two.a, ask, two.theirs)
    assert [two.there.admin("GET", path).body for path in paths] == before


def _seen(two: Two, ask: Ask, ids: Mapping[str, str]) -> dict[str, Any]:
    """All of the answer by which A could tell it from another; ids are put back to their names."""
    answer = _send(two, two.a, ask, ids)
    body = answer.body.decode()
    for name, value in ids.items():
        body = body.replace(value, "{" + name + "}") if "{" + name + "}" in str(ask) else body
    headers = {name: value for name, value in answer.headers.items() if name not in NOT_COMPARED}
    return {"status": answer.status, "headers": headers, "body": body}


def _send(two: Two, api: Api, ask: Ask, ids: Mapping[str, str]) -> Answer:
    values = {**ids, "here": two.here.project, "repo here": twice(two.here.repository)}
    values["own retention"] = str(two.here.retention)

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, str):
            number = value in ("{label}", "{project id}", "{run}")
            for name, text in values.items():
                value = value.replace("{" + name + "}", text)
            return int(value) if number else value
        return value

    return api(ask.method, filled(ask.path), filled(ask.body), query=filled(ask.query))


# What lists, counts and searches say (S-31, S-32).


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/search", {"q": "{project}"}),
        ("/projects", {"page_size": 100}),
        ("/repositories", {"page_size": 100}),
        ("/labels", {"scope": "g", "page_size": 100}),
        ("/audit-logs", {"page_size": 100}),
        ("/auditlog-exts", {"page_size": 100}),
        ("/robots", {"page_size": 100}),
        ("/quotas", {"page_size": 100}),
    ],
)
def test_list_does_not_name_another_tenant(two: Two, path: str, query: Mapping[str, Any]) -> None:
    for name in ("project", "repository"):
        hidden = two.there.project if name == "project" else two.there.repository
        for page in _pages(two.a, path, {key: str(value).format(project=hidden) for key, value in query.items()}):
            assert hidden.encode() not in page.body
            assert hidden not in str(page.headers).replace(f"q={hidden}", "")


def _pages(api: Api, path: str, query: Mapping[str, Any]) -> list[Answer]:
    first = api("GET", path, query=query)
    return [first] if first.status != 200 else list(api.pages(path, **query))


def test_counts_are_of_what_one_sees(world: World) -> None:
    """S-32: totals and statistics of a new account do not count what it may not see."""
    account = world.user()
    api = Api(world.url, account)
    public = len(api.all("/projects", page_size=100))
    before = api.get("/statistics")
    hidden = Scene(world)
    hidden.value("artifacts")
    assert api.get("/statistics") == before
    answer = api("GET", "/projects", query={"page_size": 1})
    assert int(answer.headers["X-Total-Count"]) == public
    assert before["private_project_count"] == before["private_repo_count"] == 0


def test_public_project_made_private_is_hidden_at_once(world: World) -> None:
    """S-33, in the REST API"""
    scene = Scene(world, is_public=True)
    nobody, user = Api(world.url), Api(world.url, world.user())
    paths = [f"/projects/{scene.project}", f"/projects/{scene.project}/repositories", scene.artifact_path]
    for path in paths:
        assert nobody("GET", path).status == user("GET", path).status == 200
    scene.admin.done("PUT", f"/projects/{scene.project}", {"metadata": {"public": "false"}})
    for _ in range(4):  # whichever web process answers
        for path in paths:
            assert (nobody("GET", path).status, user("GET", path).status) == (401, 404)


# Roles inside a project (S-04, S-09, S-20, S-25).


def test_maintainer_changes_no_metadata(world: World) -> None:
    """S-20 (CVE-2024-22278), S-33: and so makes nothing public."""
    account = world.user()
    scene = Scene(world, project=world.project(members={account: "maintainer"}))
    api, path = Api(world.url, account), f"/projects/{scene.project}"
    for ask in (
        Ask("PUT", f"{path}/metadatas/public", {"public": "true"}),
        Ask("POST", f"{path}/metadatas/", {"auto_scan": "true"}),
        Ask("DELETE", f"{path}/metadatas/public"),
        Ask("PUT", path, {"metadata": {"public": "true"}}),
    ):
        assert api(ask.method, ask.path, ask.body).status == 403
    assert scene.admin.get(path)["metadata"]["public"] == "false"


def test_maintainer_raises_no_role(world: World) -> None:
    """S-04"""
    account = world.user()
    scene = Scene(world, project=world.project(members={account: "maintainer"}))
    api, path = Api(world.url, account), f"/projects/{scene.project}/members"
    own = scene.admin.get(path, entityname=account.login)[0]["id"]
    assert api("PUT", f"{path}/{own}", {"role_id": 1}).status == 403
    assert api("POST", path, {"role_id": 1, "member_user": {"username": world.user().login}}).status == 403
    assert scene.admin.get(f"{path}/{own}")["role_id"] == 4


def test_robot_makes_no_robot_that_may_more(world: World) -> None:
    """S-09"""
    scene = Scene(world)
    other = world.project()
    robot = Api(world.url, world.robot(scene.project, ("robot:create", "robot:read", "repository:pull")))
    wide = robot_body(scene.project)
    wide["permissions"][0]["access"].append({"resource": "repository", "action": "push"})
    elsewhere = robot_body(other)
    everywhere = {**robot_body(scene.project), "level": "system"}
    everywhere["permissions"][0]["namespace"] = "*"
    for body in (wide, elsewhere, everywhere, robot_body(None)):
        answer = robot("POST", "/robots", body)
        assert answer.status in (403, 404), answer
    assert robot("POST", "/robots", robot_body(scene.project)).status == 201


def test_who_only_reads_sees_no_secret(world: World) -> None:
    """S-25: neither of robots nor of the configuration."""
    scene = Scene(world)
    made = scene.admin("POST", "/robots", robot_body(scene.project)).json()
    guest = world.user()
    world.clerk("member_add", project=scene.project, username=guest.login, role=3)
    for api in (scene.admin, Api(world.url, guest)):
        for path in (f"/robots/{made['id']}", f"/robots?q=Level=project,ProjectID={scene.project_id}"):
            answer = api("GET", path)
            assert answer.status == 200
            assert made["secret"].encode() not in answer.body
    settings = scene.admin.get("/configurations")
    assert not [name for name in settings if "password" in name or "secret" in name]
