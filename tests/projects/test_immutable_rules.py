"""Immutable tag rules over the REST API: their shape, what is refused, who may, and what is written down."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.factories import ROLES, World
from tests.rest.api import Api
from tests.rest.scene import rule_body
from tests.wire import Answer


@pytest.fixture
def project(world: World) -> str:
    return world.project()


@pytest.fixture
def owner(world: World) -> Api:
    return Api(world.url, world.owner)


def rules(project: str, number: int | None = None) -> str:
    return f"/projects/{project}/immutabletagrules" + (f"/{number}" if number else "")


def listed(api: Api, project: str) -> list[Any]:
    found: list[Any] = api.get(rules(project), page_size=100)
    return found


def refusal(answer: Answer, status: int) -> str:
    assert answer.status == status, answer
    return str(answer.json()["errors"][0]["message"])


# The shape.


def test_a_rule_is_shown_as_it_was_made(owner: Api, project: str) -> None:
    location = owner.create(rules(project), rule_body("v*"))
    number = int(location.rpartition("/")[2])
    assert location == f"/api/v2.0{rules(project, number)}"
    assert listed(owner, project) == [
        {
            "id": number,
            "disabled": False,
            "action": "immutable",
            "template": "immutable_template",
            "priority": 0,
            "scope_selectors": {
                "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}],
            },
            "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
        }
    ]


def test_a_rule_of_bare_selectors_is_taken(owner: Api, project: str) -> None:
    """As harbor-cli sends it: no kind, no action, no template."""
    body = {
        "tag_selectors": [{"decoration": "excludes", "pattern": "latest"}],
        "scope_selectors": {"repository": [{"decoration": "repoExcludes", "pattern": "{a,b}"}]},
        "params": {},
    }
    owner.create(rules(project), body)
    (rule,) = listed(owner, project)
    assert rule["tag_selectors"] == [{"kind": "doublestar", "decoration": "excludes", "pattern": "latest"}]
    assert rule["scope_selectors"]["repository"][0]["decoration"] == "repoExcludes"


def test_a_rule_may_be_made_switched_off(owner: Api, project: str) -> None:
    owner.create(rules(project), rule_body("v*", disabled=True, priority=7))
    (rule,) = listed(owner, project)
    assert (rule["disabled"], rule["priority"]) == (True, 7)


def test_the_project_may_be_named_by_its_id(owner: Api, project: str) -> None:
    number = owner.get(f"/projects/{project}")["project_id"]
    location = owner.create(rules(str(number)), rule_body("v*"))
    assert location.startswith(f"/api/v2.0/projects/{number}/immutabletagrules/")
    owner.done("DELETE", location)
    assert listed(owner, project) == []


def test_a_rule_is_changed_as_a_whole(owner: Api, project: str) -> None:
    number = owner.create_id(rules(project), rule_body("v*"))
    owner.done("PUT", rules(project, number), {**rule_body("w*"), "id": number, "disabled": True})
    (rule,) = listed(owner, project)
    assert (rule["id"], rule["disabled"], rule["tag_selectors"][0]["pattern"]) == (number, True, "w*")


@pytest.mark.parametrize("further", [{}, {"tag_selectors": None, "scope_selectors": None, "id": 0, "priority": None}])
def test_a_rule_is_switched_off_alone(owner: Api, project: str, further: Mapping[str, object]) -> None:
    """As harborapi does it: what is left out stays."""
    number = owner.create_id(rules(project), rule_body("v*", priority=3))
    owner.done("PUT", rules(project, number), {"disabled": True, **further})
    (rule,) = listed(owner, project)
    assert (rule["disabled"], rule["tag_selectors"][0]["pattern"], rule["priority"]) == (True, "v*", 3)


def test_rules_are_paged_filtered_and_sorted(owner: Api, project: str) -> None:
    made = [owner.create_id(rules(project), rule_body(f"v{n}", disabled=n % 2 == 1, priority=-n)) for n in range(12)]
    assert [rule["id"] for rule in owner.all(rules(project))] == made
    first = owner("GET", rules(project), query={"page_size": 5})
    assert (first.headers["X-Total-Count"], len(first.json())) == ("12", 5)
    assert [rule["id"] for rule in owner.get(rules(project), q="disabled=true")] == made[1::2]
    assert [rule["id"] for rule in owner.get(rules(project), sort="priority", page_size=2)] == made[:-3:-1]
    assert owner.get(rules(project), page=9) == []


# What is refused.

TAG = {"kind": "doublestar", "decoration": "matches", "pattern": "v*"}
SCOPE = {"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}
REFUSED: list[tuple[Mapping[str, object], str]] = [
    ({"tag_selectors": None}, "tag_selectors"),
    ({"tag_selectors": []}, "tag_selectors"),
    ({"tag_selectors": [TAG, TAG]}, "tag_selectors"),
    ({"tag_selectors": "v*"}, "tag_selectors"),
    ({"tag_selectors": ["v*"]}, "tag_selectors"),
    ({"tag_selectors": [{**TAG, "kind": "label"}]}, "kind"),
    ({"tag_selectors": [{**TAG, "decoration": "repoMatches"}]}, "decoration"),
    ({"tag_selectors": [{**TAG, "decoration": ["matches"]}]}, "decoration"),
    ({"tag_selectors": [{**TAG, "pattern": ""}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": 1}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": "v\x00"}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": "v\ud800"}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": "v\u202e"}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": "[v"}]}, "a [ has no ]"),
    ({"tag_selectors": [{**TAG, "pattern": "{v"}]}, "a { has no }"),
    ({"tag_selectors": [{**TAG, "pattern": "v" * 1025}]}, "pattern"),
    ({"tag_selectors": [{**TAG, "pattern": "*a" * 200}]}, "100 stars"),
    ({"scope_selectors": {}}, "scope_selectors.repository"),
    ({"scope_selectors": None}, "scope_selectors"),
    ({"scope_selectors": []}, "scope_selectors"),
    ({"scope_selectors": {"repository": []}}, "scope_selectors.repository"),
    ({"scope_selectors": {"repository": [SCOPE, SCOPE]}}, "scope_selectors.repository"),
    ({"scope_selectors": {"repository": [{**SCOPE, "decoration": "nsMatches"}]}}, "decoration"),
    ({"scope_selectors": {"repository": [{**SCOPE, "pattern": "a\\"}]}}, "a backslash needs"),
    ({"action": "retain"}, "action"),
    ({"template": "always"}, "template"),
    ({"disabled": "yes"}, "disabled"),
    ({"priority": 2**31}, "priority"),
    ({"priority": "high"}, "priority"),
]


WAYS = [
    (method, *row) for method in ("POST", "PUT") for row in REFUSED if method == "POST" or None not in row[0].values()
]
"""In a PUT, null says that nothing changes."""


@pytest.mark.parametrize(("method", "wrong", "named"), WAYS, ids=[f"{way[0]} {way[1]!a}"[:60] for way in WAYS])
def test_what_is_wrong_is_named(owner: Api, project: str, method: str, wrong: Mapping[str, object], named: str) -> None:
    number = owner.create_id(rules(project), rule_body("w*")) if method == "PUT" else None
    answer = owner(method, rules(project, number), {**rule_body("v*"), **wrong})
    assert named in refusal(answer, 400)
    assert [rule["tag_selectors"][0]["pattern"] for rule in listed(owner, project)] == (["w*"] if number else [])


def test_the_id_in_the_body_is_that_of_the_path(owner: Api, project: str) -> None:
    number = owner.create_id(rules(project), rule_body("v*"))
    answer = owner("PUT", rules(project, number), rule_body("w*", id=number + 1))
    assert "id" in refusal(answer, 400)


def test_the_same_rule_twice_is_a_conflict(owner: Api, project: str) -> None:
    owner.create(rules(project), rule_body("v*"))
    other = owner.create_id(rules(project), rule_body("w*"))
    refusal(owner("POST", rules(project), rule_body("v*", disabled=True)), 409)
    refusal(owner("PUT", rules(project, other), rule_body("v*")), 409)
    assert [rule["tag_selectors"][0]["pattern"] for rule in listed(owner, project)] == ["v*", "w*"]


def test_long_patterns_are_told_apart(owner: Api, project: str) -> None:
    for end in "ab":
        owner.create(rules(project), rule_body("é" * 1023 + end))
    assert len(listed(owner, project)) == 2


def test_a_project_has_no_more_than_a_hundred_rules(owner: Api, project: str) -> None:
    for number in range(100):
        owner.create(rules(project), rule_body(f"v{number}"))
    assert "100" in refusal(owner("POST", rules(project), rule_body("v100")), 400)


# Who may. S-13: rules of other projects answer as those that do not exist.

ALLOWED = {"project admin": True, "maintainer": True, "developer": False, "guest": False, "limited guest": False}


@pytest.mark.parametrize("role", ROLES)
def test_maintainers_see_to_rules(world: World, role: str) -> None:
    account = world.user()
    project = world.project(members={account: role})
    spare = Api(world.url, world.owner).create_id(rules(project), rule_body("old"))
    api, expected = Api(world.url, account), ALLOWED[role]
    assert api("GET", rules(project)).status == (200 if expected else 403)
    assert api("POST", rules(project), rule_body("new")).status == (201 if expected else 403)
    assert api("PUT", rules(project, spare), {"disabled": True}).status == (200 if expected else 403)
    assert api("DELETE", rules(project, spare)).status == (200 if expected else 403)


def test_strangers_learn_nothing(world: World, project: str, owner: Api) -> None:
    number = owner.create_id(rules(project), rule_body("v*"))
    stranger, nobody = Api(world.url, world.user()), Api(world.url)
    asks = [("GET", rules(project), None), ("POST", rules(project), rule_body("w*"))]
    asks += [(method, rules(project, number), rule_body("w*")) for method in ("PUT", "DELETE")]
    for method, path, body in asks:
        missing = stranger(method, path.replace(project, f"{project}-not"), body)
        assert (missing.status, stranger(method, path, body).status) == (404, 404)
        assert stranger(method, path, body).json() == missing.json()
        assert nobody(method, path, body).status == 401
    assert len(listed(owner, project)) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_rule_of_another_project_is_not_found(world: World, owner: Api, project: str, method: str) -> None:
    """S-13 (Harbor's CVE-2022-31669), with rights in both projects and in one."""
    theirs = world.user()
    other = world.project(owner=theirs, members={world.owner: "guest"})
    foreign = Api(world.url, theirs).create_id(rules(other), rule_body("theirs"))
    second = world.project()
    mine = owner.create_id(rules(second), rule_body("mine"))
    for number in (foreign, mine, 2**62, 0):
        answer = owner(method, rules(project) + f"/{number}", rule_body("changed"))
        assert refusal(answer, 404) == f"the project has no immutable tag rule {number}"
    assert listed(Api(world.url, theirs), other)[0]["tag_selectors"][0]["pattern"] == "theirs"
    assert listed(owner, second)[0]["tag_selectors"][0]["pattern"] == "mine"


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "1%00", "1e3"])
def test_what_is_no_number_is_refused_by_name(owner: Api, project: str, number: str) -> None:
    answer = owner("DELETE", f"{rules(project)}/{number}")
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert b"rule_id" in answer.body


def test_a_number_beyond_all_ids_is_not_found(owner: Api, project: str) -> None:
    assert owner("DELETE", f"{rules(project)}/99999999999999999999").status == 404


def test_a_deleted_rule_is_gone(owner: Api, project: str) -> None:
    number = owner.create_id(rules(project), rule_body("v*"))
    owner.done("DELETE", rules(project, number))
    assert owner("DELETE", rules(project, number)).status == 404
    assert owner("PUT", rules(project, number), rule_body("v*")).status == 404
    owner.create(rules(project), rule_body("v*"))


def test_changes_of_rules_are_written_down(owner: Api, project: str) -> None:
    number = owner.create_id(rules(project), rule_body("v*"))
    owner.done("PUT", rules(project, number), {"disabled": True})
    owner.done("DELETE", rules(project, number))
    events = owner.get(f"/projects/{project}/auditlog-exts", page_size=100)
    told = [(event["operation"], event["resource"]) for event in events if event["resource_type"] == "immutable_rule"]
    assert sorted(told) == [(what, f"{project}/{number}") for what in ("create", "delete", "update")]
    described = [event["operation_description"] for event in events if event["resource_type"] == "immutable_rule"]
    assert f"create immutable tag rule {number} (repoMatches **, matches v*)" in described
