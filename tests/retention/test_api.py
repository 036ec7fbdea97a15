"""Retention over the REST API: the form of policies, what is refused, runs, and what is told of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.factories import World, fresh
from tests.product import PATIENCE
from tests.rest.api import Api, twice
from tests.rest.scene import push_history, retention_body, retention_rule
from tests.wire import Answer

TAG = {"kind": "doublestar", "decoration": "matches", "pattern": "v*"}
SCOPE = {"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}


@dataclass(frozen=True)
class Place:
    """A project of its own, and its owner's API."""

    world: World
    api: Api
    project: str
    number: int

    def body(self, *rules: Mapping[str, object], **further: object) -> dict[str, Any]:
        return {**retention_body(self.number, *rules), **further}

    def policy(self, *rules: Mapping[str, object]) -> str:
        return self.api.create("/retentions", self.body(*rules))

    def push(self, *tags: str, repository: str = "app") -> str:
        """The digest of a new image with these tags, the first of them pushed."""
        player = self.world.player()
        image = push_history(player, f"{self.project}/{repository}", tags[0] if tags else None)
        for tag in tags[1:]:
            assert player.push_manifest(image.repository, tag, image.document).status == 201
        return image.digest

    def tags(self, repository: str = "app") -> list[str]:
        return self.world.player().tags(f"{self.project}/{repository}")

    def run(self, policy: str, **given: object) -> dict[str, Any]:
        """A run that has ended."""
        path = self.api.create(f"{policy}/executions", given)
        deadline = time.monotonic() + PATIENCE
        while (told := self.api.get(path))["status"] in ("Pending", "Running"):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        assert told["status"] == "Success", told
        return {**told, "path": path}


@pytest.fixture
def place(world: World) -> Place:
    project, api = world.project(), Api(world.url, world.owner)
    return Place(world, api, project, int(api.get(f"/projects/{project}")["project_id"]))


def refusal(answer: Answer, status: int = 400) -> str:
    assert answer.status == status, answer
    return str(answer.json()["errors"][0]["message"])


# The form.


def test_a_policy_is_shown_as_it_was_made(place: Place) -> None:
    location = place.policy(retention_rule("latestPushedK", 7, "v*"))
    shown = place.api.get(location)
    assert shown == {
        "id": int(location.rpartition("/")[2]),
        "algorithm": "or",
        "rules": [
            {
                "id": 1,
                "priority": 0,
                "disabled": False,
                "action": "retain",
                "template": "latestPushedK",
                "params": {"latestPushedK": 7},
                "tag_selectors": [{**TAG, "extras": '{"untagged":true}'}],
                "scope_selectors": {"repository": [SCOPE]},
            }
        ],
        "trigger": {"kind": "Schedule", "references": {}, "settings": {"cron": "", "time_zone": "UTC"}},
        "scope": {"level": "project", "ref": place.number},
        "may_empty": False,
    }


def test_the_projects_metadata_name_the_policy(place: Place) -> None:
    location = place.policy()
    assert place.api.get(f"/projects/{place.project}")["metadata"]["retention_id"] == location.rpartition("/")[2]
    place.api.done("DELETE", location)
    assert "retention_id" not in place.api.get(f"/projects/{place.project}")["metadata"]
    assert place.api("GET", location).status == 404


def test_a_project_has_one_policy(place: Place) -> None:
    place.policy()
    assert "already" in refusal(place.api("POST", "/retentions", place.body()))


def test_a_policy_is_replaced_as_a_whole(place: Place) -> None:
    location = place.policy(retention_rule("always", 0), retention_rule("latestPulledN", 3))
    place.api.done("PUT", location, place.body(rules=[], may_empty=True))
    shown = place.api.get(location)
    assert (shown["rules"], shown["may_empty"]) == ([], True)


def test_a_schedule_is_told_with_its_next_time(place: Place) -> None:
    body = place.body()
    body["trigger"]["settings"] = {"cron": "0 30 3 * * *", "time_zone": "Europe/Berlin"}
    location = place.api.create("/retentions", body)
    settings = place.api.get(location)["trigger"]["settings"]
    assert (settings["cron"], settings["time_zone"]) == ("0 30 3 * * *", "Europe/Berlin")
    assert settings["next_scheduled_time"].endswith((":30:00Z",))
    admin = Api(place.world.url, place.world.admin_account)
    (schedule,) = [row for row in admin.all("/schedules") if row["vendor_id"] == int(location.rpartition("/")[2])]
    assert schedule["vendor_type"] == "RETENTION"
    place.api.done("PUT", location, place.body())
    assert "next_scheduled_time" not in place.api.get(location)["trigger"]["settings"]


@pytest.mark.parametrize("number", [5, 5.0, "5"])
def test_numbers_come_in_all_forms_that_clients_send(place: Place, number: object) -> None:
    rule = {**retention_rule("latestPushedK", 1), "params": {"latestPushedK": number}}
    assert place.api.get(place.policy(rule))["rules"][0]["params"] == {"latestPushedK": 5}


def test_rules_get_ids_of_their_own(place: Place) -> None:
    patterns = [("a", 0), ("b", 7), ("c", 7), ("d", 1)]
    rules = [{**retention_rule("always", 0, pattern), "id": number} for pattern, number in patterns]
    shown = place.api.get(place.policy(*rules))["rules"]
    assert [(rule["tag_selectors"][0]["pattern"], rule["id"]) for rule in shown] == [
        ("a", 2),
        ("b", 7),
        ("c", 3),
        ("d", 1),
    ]


# What is refused.


def changed(**changes: object) -> dict[str, object]:
    return {**retention_rule("latestPushedK", 3), **changes}


REFUSED: list[tuple[Mapping[str, object], str]] = [
    ({"rules": [changed(template="newest")]}, "template"),
    ({"rules": [changed(template=None)]}, "template"),
    ({"rules": [changed(params={})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": -1})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": 32767})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": True})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": 1.5})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": "many"})]}, "params"),
    ({"rules": [changed(params={"latestPushedK": 10**400})]}, "params"),
    ({"rules": [changed(params={"latestPulledN": 3})]}, "params"),
    ({"rules": [changed(params=[3])]}, "params"),
    ({"rules": [changed(action="delete")]}, "action"),
    ({"rules": [changed(disabled="no")]}, "disabled"),
    ({"rules": [changed(id=-1)]}, "id"),
    ({"rules": [changed(priority=2**31)]}, "priority"),
    ({"rules": [changed(tag_selectors=[])]}, "tag_selectors"),
    ({"rules": [changed(tag_selectors=None)]}, "tag_selectors"),
    ({"rules": [changed(tag_selectors=[{**TAG, "pattern": "a["}])]}, "pattern"),
    ({"rules": [changed(tag_selectors=[{**TAG, "pattern": ""}])]}, "pattern"),
    ({"rules": [changed(tag_selectors=[{**TAG, "pattern": "x" * 1025}])]}, "pattern"),
    ({"rules": [changed(tag_selectors=[{**TAG, "decoration": "withLabels"}])]}, "decoration"),
    ({"rules": [changed(tag_selectors=[{**TAG, "kind": "label"}])]}, "decoration"),
    ({"rules": [changed(tag_selectors=[{**TAG, "kind": "regex"}])]}, "kind"),
    ({"rules": [changed(tag_selectors=[{**TAG, "extras": "{"}])]}, "extras"),
    ({"rules": [changed(tag_selectors=[{**TAG, "extras": '{"untagged": "yes"}'}])]}, "extras"),
    ({"rules": [changed(tag_selectors=[{**TAG, "extras": "[" * 1000}])]}, "extras"),
    ({"rules": [changed(tag_selectors=[{"kind": "label", "decoration": "withLabels", "pattern": " ,"}])]}, "pattern"),
    ({"rules": [changed(scope_selectors={})]}, "scope_selectors"),
    ({"rules": [changed(scope_selectors={"repository": []})]}, "repository"),
    ({"rules": [changed(scope_selectors={"repository": [{**SCOPE, "decoration": "matches"}]})]}, "decoration"),
    ({"rules": [changed(scope_selectors={"repository": [{**SCOPE, "pattern": "{a"}]})]}, "pattern"),
    ({"rules": [changed(params={"latestPushedK": n}) for n in range(16)]}, "rules"),
    ({"rules": {}}, "rules"),
    ({"algorithm": "and"}, "algorithm"),
    ({"trigger": {"kind": "Event"}}, "trigger"),
    ({"trigger": {"kind": "Schedule", "settings": {"cron": "every day"}}}, "cron"),
    ({"trigger": {"kind": "Schedule", "settings": {"cron": "* * * * * *"}}}, "cron"),
    ({"trigger": {"kind": "Schedule", "settings": {"cron": "0 61 * * * *"}}}, "cron"),
    ({"trigger": {"kind": "Schedule", "settings": {"cron": "0 0 0 * * *", "time_zone": "Mars"}}}, "time_zone"),
    ({"scope": None}, "scope"),
    ({"scope": {"level": "system", "ref": 1}}, "level"),
    ({"scope": {"level": "project"}}, "ref"),
    ({"scope": {"level": "project", "ref": "1"}}, "ref"),
    ({"may_empty": "yes"}, "may_empty"),
]


@pytest.mark.parametrize(("change", "field"), REFUSED)
def test_what_is_wrong_is_named(place: Place, change: Mapping[str, object], field: str) -> None:
    assert field in refusal(place.api("POST", "/retentions", {**place.body(), **change}))
    assert "retention_id" not in place.api.get(f"/projects/{place.project}")["metadata"]


def test_two_rules_that_say_the_same_are_refused(place: Place) -> None:
    rule = retention_rule("latestPushedK", 3)
    answer = place.api("POST", "/retentions", place.body({**rule, "id": 1}, {**rule, "id": 2}))
    assert "rules" in refusal(answer, 409)


def test_a_label_that_there_is_not_is_refused(place: Place) -> None:
    """A typo in a label would keep nothing."""
    name = fresh("label")
    rule = {**changed(), "tag_selectors": [TAG, {"kind": "label", "decoration": "withLabels", "pattern": name}]}
    assert name in refusal(place.api("POST", "/retentions", place.body(rule)))
    place.api.create("/labels", {"name": name, "scope": "p", "project_id": place.number})
    place.policy(rule)


def test_a_policy_stays_with_its_project(place: Place) -> None:
    location = place.policy()
    other = place.api.get(f"/projects/{place.world.project()}")["project_id"]
    assert "scope.ref" in refusal(place.api("PUT", location, {**retention_body(other)}))
    assert "id" in refusal(place.api("PUT", location, place.body(id=10**9)))


def test_a_foreign_project_and_none_answer_alike(place: Place) -> None:
    stranger = Api(place.world.url, place.world.user())
    answers = [stranger("POST", "/retentions", retention_body(ref)) for ref in (place.number, 10**9)]
    assert [(answer.status, answer.body) for answer in answers] == [(404, answers[0].body)] * 2


# Runs.


def test_a_dry_run_and_a_run_of_its_plan(place: Place) -> None:
    kept, gone = place.push("v1", "latest"), place.push("old", "older")
    policy = place.policy(retention_rule("always", 0, "v*"))
    planned = place.run(policy, dry_run=True)
    assert (planned["total"], planned["retained"], planned["deleted"], planned["dry_run"]) == (2, 1, 0, True)
    assert place.tags() == ["latest", "old", "older", "v1"]
    artifacts = {row["digest"]: row for row in place.api.all(f"{planned['path']}/artifacts")}
    assert (artifacts[kept]["kept"], artifacts[kept]["rule"], sorted(artifacts[kept]["tags"])) == (
        True,
        1,
        ["latest", "v1"],
    )
    assert (artifacts[gone]["kept"], artifacts[gone]["rule"], artifacts[gone]["outcome"]) == (False, None, "")
    assert artifacts[gone]["freed_bytes"] == planned["freed_bytes"] > 0
    (only,) = place.api.get(f"{planned['path']}/artifacts", q="kept=false", sort="-freed_bytes")
    assert only["digest"] == gone
    done = place.run(policy, plan=planned["id"])
    assert (done["deleted"], done["retained"], place.tags()) == (1, 1, ["latest", "v1"])
    (task,) = place.api.get(f"{done['path']}/tasks")
    assert (task["repository"], task["total"], task["retained"], task["status_code"]) == ("app", 2, 1, 3)
    log = place.api("GET", f"{done['path']}/tasks/{task['id']}").body.decode()
    assert f"{gone} | old,older |" in log
    assert "DEL" in log
    assert "RETAIN" in log


def test_a_run_that_would_empty_a_repository_asks(place: Place) -> None:
    place.push("release-1")
    policy = place.policy({**retention_rule("always", 0, "relase-*")})
    held = place.run(policy)
    assert (held["held"], held["needs_confirmation"], held["idle_rules"]) == (1, ["app"], [1])
    assert place.tags() == ["release-1"]
    done = place.run(policy, plan=held["id"], confirm=True)
    assert (done["deleted"], done["held"], done["confirmed"]) == (1, 0, True)


def test_a_run_is_not_found_by_another_policys_path(place: Place) -> None:
    policy = place.policy()
    run = place.run(policy, dry_run=True)
    other = Place(place.world, place.api, *_other(place))
    path = f"{other.policy()}/executions/{run['id']}"
    for method, target, body in (
        ("GET", path, None),
        ("PATCH", path, {"action": "stop"}),
        ("GET", f"{path}/tasks", None),
        ("GET", f"{path}/artifacts", None),
    ):
        assert place.api(method, target, body).status == 404
    assert place.api("POST", f"{path.rpartition('/')[0]}", {"plan": run["id"]}).status == 404


def _other(place: Place) -> tuple[str, int]:
    project = place.world.project()
    return project, int(place.api.get(f"/projects/{project}")["project_id"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dry_run": "yes"}, "dry_run"),
        ({"plan": "x"}, "plan"),
        ({"plan": 5, "dry_run": True}, "dry_run"),
        ({"confirm": 1}, "confirm"),
    ],
)
def test_what_is_wrong_with_a_run_is_named(place: Place, body: object, field: str) -> None:
    assert field in refusal(place.api("POST", f"{place.policy()}/executions", body))


def test_stop_is_the_only_action(place: Place) -> None:
    policy = place.policy()
    run = place.run(policy, dry_run=True)
    assert "action" in refusal(place.api("PATCH", run["path"], {"action": "start"}))
    place.api.done("PATCH", run["path"], {"action": "stop"})
    assert place.api.get(run["path"])["status"] == "Success"


# In use, and expiry.


def test_reports_replace_each_other_and_are_shown(place: Place) -> None:
    one, two = place.push("a"), place.push("b")
    path = f"/projects/{place.project}/in-use"
    answer = place.api("PUT", f"{path}/cluster-1", {"digests": [one, two, one], "seconds": 600})
    assert (answer.status, answer.json()["digests"]) == (200, 2)
    place.api("PUT", f"{path}/cluster-2", {"digests": [one]})
    assert [(row["source"], row["digest"]) for row in place.api.all(path)] == sorted(
        [("cluster-1", one), ("cluster-1", two), ("cluster-2", one)]
    )
    assert len(place.api.get(path, q=f"digest={one}")) == 2
    place.api("PUT", f"{path}/cluster-1", {"digests": []})
    assert [row["source"] for row in place.api.all(path)] == ["cluster-2"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "digests"),
        ({"digests": ["latest"]}, "digests"),
        ({"digests": "sha256:" + "0" * 64}, "digests"),
        ({"digests": [], "seconds": 59}, "seconds"),
        ({"digests": [], "seconds": 10**9}, "seconds"),
        ({"digests": [], "seconds": "600"}, "seconds"),
        ({"digests": [], "seconds": True}, "seconds"),
        ({"digests": ["sha256:" + "0" * 64] * 10_001}, "digests"),
    ],
)
def test_what_is_wrong_with_a_report_is_named(place: Place, body: object, field: str) -> None:
    assert field in refusal(place.api("PUT", f"/projects/{place.project}/in-use/cluster", body))


def test_a_source_has_a_name_on_one_line(place: Place) -> None:
    for name in ("x" * 65, "a%0Ab"):
        answer = place.api("PUT", f"/projects/{place.project}/in-use/{name}", {"digests": []})
        assert "source" in refusal(answer)


def test_a_tag_tells_when_it_expires(place: Place) -> None:
    place.push("a", repository="deep/app")
    path = f"/projects/{place.project}/repositories/{twice('deep/app')}/tags/a/expiry"
    assert place.api.get(path) == {"name": "a", "expires_at": "0001-01-01T00:00:00.000Z"}
    for given, shown in (
        ("2999-01-01T02:00:00+02:00", "2999-01-01T00:00:00.000Z"),
        (None, "0001-01-01T00:00:00.000Z"),
    ):
        answer = place.api("PUT", path, {"expires_at": given})
        assert (answer.status, answer.json()) == (200, {"name": "a", "expires_at": shown})
        assert place.api.get(path)["expires_at"] == shown


@pytest.mark.parametrize("moment", ["tomorrow", 5, True, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "", []])
def test_a_time_that_is_none_is_refused(place: Place, moment: object) -> None:
    place.push("a")
    path = f"/projects/{place.project}/repositories/app/tags/a/expiry"
    assert "expires_at" in refusal(place.api("PUT", path, {"expires_at": moment}))


def test_a_tag_that_there_is_not_does_not_expire(place: Place) -> None:
    place.push("a")
    path = f"/projects/{place.project}/repositories/app/tags/b/expiry"
    assert [place.api("GET", path).status, place.api("PUT", path, {"expires_at": None}).status] == [404, 404]
