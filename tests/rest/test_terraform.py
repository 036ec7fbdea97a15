"""The calls of terraform-provider-harbor, in its order and its exactness.

It takes exactly one status for a success, keeps the Location of what it made as the id, asks for that path from then
on, and reads lists page by page until one is empty.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from tests.factories import PASSWORD, Account, World, fresh
from tests.rest.api import Api
from tests.rest.contract import PREFIX
from tests.rest.scene import push_history, retention_body, retention_rule, rule_body
from tests.wire import TIMEOUT


class Provider:
    """What the provider's client does: `send` fails unless the status is the one that is expected."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def send(self, method: str, path: str, body: object = None, expected: int = 200) -> tuple[Any, Mapping[str, str]]:
        answer = self.api(method, path, body)
        assert answer.status == expected, answer
        return (answer.json() if answer.body else None), answer.headers

    def create(self, path: str, body: object) -> str:
        """The id of the resource: the path of what was made."""
        _, headers = self.send("POST", path, body, 201)
        location = headers["Location"]
        assert location.startswith(PREFIX + "/")
        return location

    def read(self, resource_id: str) -> Any:
        return self.send("GET", resource_id)[0]

    def update(self, resource_id: str, body: object) -> None:
        self.send("PUT", resource_id, body)

    def delete(self, resource_id: str) -> None:
        """As in `destroy`, and the refresh after it finds that it is gone."""
        self.send("DELETE", resource_id)
        self.send("GET", resource_id, expected=404)

    def pages(self, path: str, **query: object) -> list[Any]:
        found: list[Any] = []
        for page in range(1, 100):
            items, _ = self.send("GET", f"{path}?{urlencode({'page': page, **query})}")
            if not items:
                return found
            found += items
        raise AssertionError("the pages do not end")


@pytest.fixture
def provider(admin: Api) -> Provider:
    return Provider(admin)


def project_body(name: str, **further: object) -> dict[str, Any]:
    return {
        "project_name": name,
        "registry_id": None,
        "storage_limit": 5 * 1024**3,
        "metadata": {
            "public": "false",
            "auto_scan": "true",
            "auto_sbom_generation": "false",
            "severity": "",
            "prevent_vul": "false",
            "enable_content_trust": "false",
            "enable_content_trust_cosign": "false",
            "reuse_sys_cve_allowlist": "false",
        },
        "cve_allowlist": {"items": [{"cve_id": "CVE-2024-0001"}]},
        **further,
    }


def test_project(world: World, provider: Provider) -> None:
    name = fresh("project")
    resource = provider.create("/projects", project_body(name))
    shown = provider.read(resource)
    assert shown["name"] == name
    assert shown["metadata"]["auto_scan"] == "true"
    assert shown["cve_allowlist"]["items"] == [{"cve_id": "CVE-2024-0001"}]
    assert resource == f"{PREFIX}/projects/{shown['project_id']}"
    changed = project_body(name)
    changed["metadata"]["public"] = "true"
    provider.update(resource, changed)
    assert provider.read(resource)["metadata"]["public"] == "true"
    # The quota is another resource to Harbor: it pages all quotas for the one of this project.
    provider.read("/configurations")
    quotas = provider.pages("/quotas/")
    quota = next(entry for entry in quotas if entry["ref"]["id"] == shown["project_id"])
    assert quota["hard"]["storage"] == 5 * 1024**3
    provider.update(f"/quotas/{quota['id']}", {"hard": {"storage": 10 * 1024**3}})
    assert provider.read(f"/quotas/{quota['id']}")["hard"] == {"storage": 10 * 1024**3}
    # force_destroy: every repository goes first.
    for _ in range(11):
        push_history(world.admin(), f"{name}/{fresh('some')}", "v1")
    while repositories := provider.send("GET", f"/projects/{name}/repositories?page=1")[0]:
        for repository in repositories:
            path = repository["name"].removeprefix(f"{name}/")
            provider.send("DELETE", f"/projects/{name}/repositories/{path}")
    provider.delete(resource)


def test_project_that_holds_something_is_not_destroyed(world: World, provider: Provider) -> None:
    name = fresh("project")
    resource = provider.create("/projects", project_body(name))
    push_history(world.admin(), f"{name}/some", "v1")
    answer = provider.api("DELETE", resource)
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    assert "repositor" in answer.json()["errors"][0]["message"]


def test_members(world: World, provider: Provider) -> None:
    project = provider.create("/projects", project_body(fresh("project")))
    account, group = world.user(), fresh("group")
    provider.create("/usergroups", {"group_name": group, "group_type": 3})
    bodies = [
        {"role_id": 2, "member_user": {"username": account.login}},
        {"role_id": 3, "member_group": {"group_name": group, "group_type": 3}},
    ]
    for body, name in zip(bodies, (account.login, group), strict=True):
        resource = provider.create(f"{project}/members", body)
        assert resource.startswith(f"{project}/members/")
        assert provider.read(resource)["entity_name"] == name
        provider.update(resource, {**body, "role_id": 4})
        assert provider.read(resource)["role_id"] == 4
        assert name in [member["entity_name"] for member in provider.pages(f"{project}/members")]
        provider.delete(resource)


@pytest.mark.parametrize("level", ["project", "system"])
def test_robot_account(world: World, provider: Provider, level: str) -> None:
    prefix = provider.read("/configurations")["robot_name_prefix"]["value"]
    project, name = world.project(), fresh("robot")
    body = {
        "name": name,
        "description": "made by Terraform",
        "disable": False,
        "duration": -1,
        "level": level,
        "permissions": [
            {
                "kind": "project",
                "namespace": project,
                "access": [
                    {"action": "pull", "resource": "repository", "effect": "allow"},
                    {"action": "push", "resource": "repository"},
                ],
            }
        ],
    }
    made, headers = provider.send("POST", "/robots", body, 201)
    resource = headers["Location"]
    assert made["name"] == prefix + (f"{project}+{name}" if level == "project" else name)
    provider.send("PATCH", resource, {"secret": "Chosen-by-Terraform-1"})
    shown = provider.read(resource)
    assert (shown["name"], shown["duration"], shown["level"]) == (made["name"], -1, level)
    assert {access["action"] for access in shown["permissions"][0]["access"]} == {"pull", "push"}
    provider.update(resource, {**body, "id": made["id"], "name": made["name"], "disable": True})
    assert provider.read(resource)["disable"] is True
    assert made["name"] in [robot["name"] for robot in provider.pages("/robots", **_of_level(provider, level, project))]
    provider.delete(resource)


def _of_level(provider: Provider, level: str, project: str) -> dict[str, str]:
    project_id = provider.read(f"/projects/{project}")["project_id"] if level == "project" else 0
    return {"q": f"Level={level},ProjectID={project_id}"} if project_id else {"q": f"Level={level}"}


def test_immutable_tag_rule(world: World, provider: Provider) -> None:
    """There is no read by id: it pages the list."""
    project = provider.create("/projects", project_body(fresh("project")))
    resource = provider.create(f"{project}/immutabletagrules", rule_body("release-*"))
    number = int(resource.rpartition("/")[2])

    def read() -> Any:
        found = [rule for rule in provider.pages(f"{project}/immutabletagrules") if rule["id"] == number]
        return found[0] if found else None

    assert read()["tag_selectors"][0]["pattern"] == "release-*"
    provider.update(resource, {**rule_body("v*"), "id": number, "disabled": True})
    assert (read()["tag_selectors"][0]["pattern"], read()["disabled"]) == ("v*", True)
    provider.send("DELETE", resource)
    assert read() is None


def test_retention_policy(world: World, provider: Provider) -> None:
    """It finds one that is there by the project's metadata, and replaces it; to destroy it, by one without rules."""
    project = provider.create("/projects", project_body(fresh("project")))
    number = provider.read(project)["project_id"]
    rules = [
        retention_rule("nDaysSinceLastPull", 5, "latest"),
        retention_rule("latestPushedK", 10, "**", disabled=True),
        {**retention_rule("always", 0), "params": {"always": 0}},
    ]
    body = retention_body(number, *rules, cron="0 0 0 * * 0")
    resource = provider.create("/retentions", body)
    provider.send("POST", "/retentions", body, 400)
    assert f"{PREFIX}/retentions/{provider.read(project)['metadata']['retention_id']}" == resource
    shown = provider.read(resource)
    assert (shown["scope"], shown["trigger"]["settings"]["cron"]) == (body["scope"], "0 0 0 * * 0")
    for rule, sent in zip(shown["rules"], rules, strict=True):
        assert {name: rule[name] for name in ("template", "tag_selectors", "scope_selectors")} == {
            name: sent[name] for name in ("template", "tag_selectors", "scope_selectors")
        }
    assert [rule["disabled"] for rule in shown["rules"]] == [False, True, False]
    provider.update(resource, {**retention_body(number, rules[0], cron=""), "id": shown["id"]})
    assert len(provider.read(resource)["rules"]) == 1
    provider.update(resource, {**retention_body(number), "rules": [], "id": shown["id"]})
    assert provider.read(resource)["rules"] == []


@pytest.mark.parametrize("scope", ["g", "p"])
def test_label(world: World, provider: Provider, scope: str) -> None:
    project_id = provider.read(f"/projects/{world.project()}")["project_id"] if scope == "p" else 0
    body = {"name": fresh("label"), "description": "d", "color": "#FFFFFF", "scope": scope, "project_id": project_id}
    resource = provider.create("/labels", body)
    assert {**provider.read(resource), **body} == provider.read(resource)
    provider.update(resource, {**body, "color": "#000000"})
    assert provider.read(resource)["color"] == "#000000"
    provider.delete(resource)


def test_group(provider: Provider) -> None:
    body = {"group_name": fresh("group"), "group_type": 3}
    resource = provider.create("/usergroups", body)
    assert {**provider.read(resource), **body} == provider.read(resource)
    assert body["group_name"] in [group["group_name"] for group in provider.pages("/usergroups")]
    provider.delete(resource)


def test_user(provider: Provider) -> None:
    """The flag in the first call gives no right; the second call does."""
    name = fresh("user")
    body = {
        "username": name,
        "password": PASSWORD,
        "sysadmin_flag": True,
        "email": f"{name}@example.com",
        "realname": "Some Body",
        "comment": "",
    }
    resource = provider.create("/users", body)
    assert provider.read(resource)["sysadmin_flag"] is False
    provider.update(f"{resource}/sysadmin", {"sysadmin_flag": True})
    assert provider.read(resource)["sysadmin_flag"] is True
    provider.update(resource, {**body, "realname": "Other"})
    provider.update(f"{resource}/sysadmin", {"sysadmin_flag": False})
    provider.update(f"{resource}/password", {"new_password": "Another-horse-2"})
    shown = provider.read(resource)
    assert (shown["realname"], shown["sysadmin_flag"]) == ("Other", False)
    assert name in [user["username"] for user in provider.pages("/users", page_size=100, q=f"username=~{name}")]
    provider.delete(resource)


def test_config_system(provider: Provider) -> None:
    before = provider.read("/configurations")
    body = {
        "project_creation_restriction": "everyone",
        "robot_token_duration": 30,
        "scanner_skip_update_pulltime": False,
        "robot_name_prefix": "robot$",
        "storage_per_project": -1,
        "banner_message": '{"type":"info","closable":true,"message":"hello"}',
    }
    provider.update("/configurations", body)
    after = provider.read("/configurations")
    assert {key: after[key]["value"] for key in body} == body
    provider.update("/configurations", {key: before[key]["value"] for key in body})


def test_data_sources_end(world: World, provider: Provider) -> None:
    """Every list that a data source pages ends with an empty page, also with its default page size."""
    names = {world.project() for _ in range(11)}
    assert names <= {project["name"] for project in provider.pages("/projects", page_size=100)}
    assert [p["name"] for p in provider.pages("/projects", name=sorted(names)[0])] == [sorted(names)[0]]
    for path in ("/usergroups", "/robots", f"/projects/{world.home}/members", "/labels?scope=g"):
        provider.send("GET", f"{path}{'&' if '?' in path else '?'}page=1000")


# Schedules. The provider knows by an empty body that there is none, and then makes it with POST.

NO_TIME = {"creation_time": "0001-01-01T00:00:00Z", "update_time": "0001-01-01T00:00:00Z"}
"""What Go sends of the provider's one structure, whatever it is used for."""
GC, PURGE = "/system/gc/schedule", "/system/purgeaudit/schedule"


def schedule_body(kind: str, cron: str, **parameters: object) -> dict[str, Any]:
    """What is false, zero or empty the provider leaves out."""
    times = {"type": kind, **({"cron": cron} if cron else {})}
    return {"schedule": times, **NO_TIME, "parameters": {name: value for name, value in parameters.items() if value}}


def applied(provider: Provider, path: str, body: object) -> None:
    """As `SetSchedule` does it."""
    found, _ = provider.send("GET", path)
    provider.send(*(("PUT", path, body, 200) if found else ("POST", path, body, 201)))


@pytest.fixture
def unscheduled(provider: Provider) -> Iterator[None]:
    for path in (GC, PURGE):
        provider.update(path, schedule_body("None", ""))
    yield
    for path in (GC, PURGE):
        provider.update(path, schedule_body("None", ""))


def test_garbage_collection(provider: Provider, unscheduled: None) -> None:
    assert provider.api("GET", GC).body == b""
    applied(provider, GC, schedule_body("Daily", "0 0 0 * * *", delete_untagged=True, workers=4))
    shown = provider.read(GC)
    assert (shown["schedule"]["type"], shown["schedule"]["cron"]) == ("Daily", "0 0 0 * * *")
    assert shown["schedule"]["next_scheduled_time"] > shown["creation_time"]
    parameters = json.loads(shown["job_parameters"])
    assert (parameters["delete_untagged"], parameters["workers"]) == (True, 4)
    # Changed: what it leaves out is false now.
    applied(provider, GC, schedule_body("Custom", "0 30 4 * * 1", delete_untagged=False, workers=1))
    shown = provider.read(GC)
    assert (shown["schedule"]["type"], shown["schedule"]["cron"]) == ("Custom", "0 30 4 * * 1")
    parameters = json.loads(shown["job_parameters"])
    assert (parameters["delete_untagged"], parameters["workers"]) == (False, 1)
    provider.update(GC, schedule_body("None", ""))
    assert provider.send("GET", GC)[0] is None


def test_purge_audit_log(provider: Provider, unscheduled: None) -> None:
    wanted = {"audit_retention_hour": 24, "include_event_types": "create_artifact,delete_artifact,pull_artifact,other"}
    applied(provider, PURGE, schedule_body("Hourly", "0 0 * * * *", **wanted))
    shown = provider.read(PURGE)
    assert shown["schedule"]["type"] == "Hourly"
    assert {**json.loads(shown["job_parameters"]), **wanted} == json.loads(shown["job_parameters"])
    applied(provider, PURGE, schedule_body("Weekly", "0 0 0 * * 0", **(wanted | {"audit_retention_hour": 240})))
    assert json.loads(provider.read(PURGE)["job_parameters"])["audit_retention_hour"] == 240
    # `destroy` keeps the parameters and says that there is no schedule.
    applied(provider, PURGE, schedule_body("None", "", **wanted))
    assert provider.send("GET", PURGE)[0] is None


def test_purge_audit_log_as_older_providers_write_it(provider: Provider, unscheduled: None) -> None:
    wanted = {"audit_retention_hour": 24, "include_operations": "create,pull,delete"}
    applied(provider, PURGE, schedule_body("Daily", "0 0 0 * * *", **wanted))
    assert json.loads(provider.read(PURGE)["job_parameters"])["include_operations"] == "create,pull,delete"


# With a session instead of Basic.


def test_session_is_asked_for_a_csrf_token_and_gets_it(world: World) -> None:
    """It sends the call, takes the token and the cookie out of the 403, and sends it again."""
    sid = signed_in(world, world.user(is_admin=True))
    url, body = f"{world.url}{PREFIX}/projects", {"project_name": fresh("project")}
    first = requests.post(url, json=body, cookies={"sid": sid}, timeout=TIMEOUT)
    assert first.status_code == 403
    token, cookie = first.headers["X-Harbor-CSRF-Token"], first.cookies["_gorilla_csrf"]
    cookies = {"sid": sid, "_gorilla_csrf": cookie}
    wrong = requests.post(url, json=body, cookies=cookies, timeout=TIMEOUT)
    assert wrong.status_code == 403
    second = requests.post(url, json=body, cookies=cookies, headers={"X-Harbor-CSRF-Token": token}, timeout=TIMEOUT)
    assert second.status_code == 201
    assert second.headers["Location"].startswith(f"{PREFIX}/projects/")
    assert requests.get(f"{world.url}{second.headers['Location']}", cookies={"sid": sid}, timeout=TIMEOUT).ok


def signed_in(world: World, account: Account) -> str:
    """The cookie of a session, which asks for the token too: nobody signs a browser in from another site."""
    url, form = f"{world.url}/c/login", {"principal": account.login, "password": account.secret}
    first = requests.post(url, data=form, timeout=TIMEOUT)
    assert first.status_code == 403
    headers = {"X-Harbor-CSRF-Token": first.headers["X-Harbor-CSRF-Token"]}
    second = requests.post(url, data=form, cookies=first.cookies, headers=headers, timeout=TIMEOUT)
    assert second.status_code == 200
    return str(second.cookies["sid"])


def test_basic_is_never_asked_for_a_csrf_token(world: World) -> None:
    """Also not beside a session cookie (harborapi throws cookies away, others keep them)."""
    account = world.user(is_admin=True)
    for cookies in ({}, {"sid": "x", "_gorilla_csrf": "x"}):
        answer = requests.post(
            f"{world.url}{PREFIX}/projects",
            json={"project_name": fresh("project")},
            auth=(account.login, account.secret),
            cookies=cookies,
            timeout=TIMEOUT,
        )
        assert answer.status_code == 201


def test_registry(world: World, provider: Provider) -> None:
    """The provider writes all fields each time, and finds a registry again by its name."""
    name, account = fresh("registry"), world.user()
    credential = {"access_key": account.login, "access_secret": account.secret, "type": "basic"}
    body = {"name": name, "url": world.url, "description": "", "type": "docker-registry", "insecure": False}
    resource = provider.create("/registries", {**body, "credential": credential})
    shown = provider.read(resource)
    assert resource == f"{PREFIX}/registries/{shown['id']}"
    assert {key: shown[key] for key in body} == body
    assert shown["credential"]["access_key"] == account.login
    found = provider.pages("/registries", name=name)
    assert [entry["id"] for entry in found] == [shown["id"]]
    flat = {"access_key": account.login, "access_secret": account.secret, "credential_type": "basic"}
    provider.update(resource, {**body, **flat, "description": "changed", "insecure": True, "credential": {}})
    after = provider.read(resource)
    assert (after["description"], after["insecure"]) == ("changed", True)
    provider.delete(resource)
