"""Why somebody may or may not: what is said is what is decided, by the rule that decides it."""

import secrets
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import services as accounts
from accounts.authentication import actor_of
from accounts.models import Group, User
from projects import rbac
from projects.explain import explain
from projects.models import Quota
from projects.roles import PROJECT_ACTIONS, ROBOT_PROJECT_ACTIONS, Role
from projects.services.members import member_add
from projects.services.projects import project_create, project_update
from projects.services.robots import robot_set_enabled
from system import config
from system.models import Configuration
from tests.projects.caller import Caller
from tests.projects.company import Company, person, robot

ACTIONS = sorted(PROJECT_ACTIONS | ROBOT_PROJECT_ACTIONS)
PATH = "/projects/private/explain"


@pytest.fixture(autouse=True)
def fresh_configuration() -> Any:
    config.forget()
    yield
    config.forget()


def set_config(key: str, *, value: object) -> None:
    Configuration.objects.update_or_create(key=key, defaults={"value": value})
    config.forget()


def test_what_is_said_is_what_is_decided(company: Company) -> None:
    """For everybody, in both projects; for other actions and other people see the next."""
    for name, actor in company.actors.items():
        for project in (company.private, company.public):
            granted = rbac.actions(actor, project)
            for action in ("repository:pull", "repository:push", "tag:list", "artifact:delete", "member:update"):
                said = explain(actor, project, action)
                assert (name, str(project), action, said.is_allowed) == (name, str(project), action, action in granted)
                assert said.reasons
                assert all(reason.rule and reason.reason for reason in said.reasons)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    is_public=st.booleans(),
    own=st.none() | st.sampled_from(list(Role)),
    by_groups=st.lists(st.sampled_from(list(Role)), max_size=2),
    is_active=st.booleans(),
    carried=st.sets(st.sampled_from(sorted(ROBOT_PROJECT_ACTIONS)), min_size=1, max_size=4),
    reach=st.sampled_from(["of the project", "of the system", "everywhere", "elsewhere"]),
    action=st.sampled_from(ACTIONS),
)
def test_whatever_somebody_has_what_is_said_is_what_is_decided(
    db: None,
    is_public: bool,
    own: Role | None,
    by_groups: list[Role],
    is_active: bool,
    carried: set[str],
    reach: str,
    action: str,
) -> None:
    mark = secrets.token_hex(6)
    owner, user = person(f"owner-{mark}"), person(f"somebody-{mark}")
    project = project_create(name=f"here-{mark}", owner=owner, is_public=is_public)
    other = project_create(name=f"there-{mark}", owner=owner, is_public=is_public)
    if own:
        member_add(project=project, subject=user, role=own)
    for number, role in enumerate(by_groups):
        group = accounts.group_create(name=f"group{number}-{mark}", kind=3)
        member_add(project=project, subject=group, role=role)
        accounts.group_add_user(group=group, user=user)
    home, namespace = {
        "of the project": (project, project.name),
        "of the system": (None, project.name),
        "everywhere": (None, "*"),
        "elsewhere": (other, other.name),
    }[reach]
    machine = robot(home, f"robot-{mark}", *carried, namespace=namespace)
    if not is_active:
        accounts.user_disable(user=user)
        robot_set_enabled(robot=machine, is_enabled=False)
        user.refresh_from_db()
        machine.user.refresh_from_db()
    for actor in (actor_of(user), actor_of(machine.user)):
        said = explain(actor, project, action)
        assert said.is_allowed == rbac.allowed(actor, project, action)


RULES = {
    # who asks about whom, what: allowed, by which rule
    ("developer", None, "repository:push"): (True, "role"),
    ("developer_by_group", None, "repository:push"): (True, "role-by-group"),
    ("robot_of_private", None, "repository:push"): (True, "robot-permission"),
    ("system_robot_for_all", None, "artifact:delete"): (True, "robot-permission-everywhere"),
    ("administrator", None, "project:delete"): (True, "administrator"),
    ("guest", None, "repository:push"): (False, "role-not-sufficient"),
    ("robot_of_private", None, "artifact:delete"): (False, "robot-permission-missing"),
    ("admin", "stranger", "repository:pull"): (False, "no-role"),
    ("admin", "", "repository:pull"): (False, "not-signed-in"),
    ("admin", "off", "repository:pull"): (False, "account-disabled"),
    ("admin", "robot$private+off", "repository:push"): (False, "account-disabled"),
    ("admin", "robot$private+old", "repository:push"): (False, "secret-expired"),
    ("admin", "robot$one", "repository:push"): (True, "robot-permission"),
    ("admin", "robot$all", "repository:pull"): (True, "robot-permission-everywhere"),
    ("administrator", "robot$public+ci", "repository:pull"): (False, "robot-permission-missing"),
    ("administrator", "GUEST", "member:list"): (True, "role"),
}


def test_the_rule_is_named(call: Caller) -> None:
    for (asker, about, action), (is_allowed, rule) in RULES.items():
        query = f"?action={action}" if about is None else f"?action={action}&actor={quote(about)}"
        answer = call.get(asker, PATH + query)
        assert answer.status == 200, (asker, about, action, answer)
        assert (asker, about, action, answer.body["allowed"], answer.body["rule"]) == (
            asker,
            about,
            action,
            is_allowed,
            rule,
        )


def test_an_answer_says_it_in_words(call: Caller) -> None:
    answer = call.get("admin", f"{PATH}?action=repository:push&actor=guest_by_group&repository=private/app&tag=v1").body
    assert answer == {
        "actor": "guest_by_group",
        "kind": "user",
        "project": "private",
        "action": "repository:push",
        "repository": "app",
        "tag": "v1",
        "allowed": False,
        "rule": "role-not-sufficient",
        "reason": "guest may not do this; it takes projectAdmin or maintainer or developer",
        "reasons": answer["reasons"],
    }
    told = call.get("developer_by_group", f"{PATH}?action=repository:push").body
    assert told["reason"] == "in the group developers, which has the role developer in the project"
    assert told["reasons"] == [{"rule": "role-by-group", "reason": told["reason"]}]


def test_every_rule_that_allows_is_named(call: Caller, company: Company) -> None:
    group = Group.objects.get(name="maintainers")
    accounts.group_add_user(group=group, user=User.objects.get(pk=company.actors["developer"].user_id))
    project_update(project=company.private, is_public=True)
    told = call.get("developer", f"{PATH}?action=repository:pull").body
    assert {reason["rule"] for reason in told["reasons"]} == {"role", "role-by-group", "public-project"}


def test_who_may_ask_about_whom(call: Caller) -> None:
    for asker, about, status in (
        ("anonymous", None, 401),
        ("stranger", None, 404),
        ("stranger", "guest", 404),
        ("robot_of_public", None, 404),
        ("limited_guest", None, 200),
        ("limited_guest", "limited_guest", 200),
        ("guest", "admin", 403),
        ("guest", "missing", 403),
        ("maintainer", "guest", 403),
        ("robot_of_private", "guest", 403),
        ("admin", "guest", 200),
        ("admin", "missing", 404),
        ("admin", "robot$public+ci", 404),
        ("admin", "robot$public+missing", 404),
        ("administrator", "robot$public+ci", 200),
        ("administrator", "robot$missing", 404),
    ):
        query = f"?action=repository:pull{'' if about is None else f'&actor={quote(about)}'}"
        assert (asker, about, call.get(asker, PATH + query).status) == (asker, about, status)
    assert call.get("anonymous", "/projects/public/explain?action=repository:pull").body["rule"] == "public-project"


def test_a_bad_question_is_refused_by_name(call: Caller) -> None:
    for query, field in (
        ("", "action"),
        ("action=repository:fly", "action"),
        ("action=", "action"),
        ("action=repository:push&actor=a%00", "actor"),
        ("action=repository:push&tag=a%00b", "tag"),
        ("action=repository:push&repository=%E2%80%AE", "repository"),
    ):
        answer = call.get("developer", f"{PATH}?{query}")
        assert (query, answer.status) == (query, 400)
        assert field in answer.error


# What is in the way of who has the right.


def test_read_only_mode_is_in_the_way_of_changes(call: Caller) -> None:
    set_config("read_only", value=True)
    told = call.get("developer", f"{PATH}?action=repository:push").body
    assert (told["allowed"], told["rule"]) == (False, "read-only")
    assert call.get("developer", f"{PATH}?action=repository:pull").body["allowed"]
    assert call.get("guest", f"{PATH}?action=repository:push").body["rule"] == "role-not-sufficient"


def test_a_full_project_is_in_the_way_of_a_push(call: Caller, company: Company) -> None:
    Quota.objects.filter(project=company.private).update(hard=10, folded=10)
    told = call.get("developer", f"{PATH}?action=repository:push").body
    assert (told["allowed"], told["rule"]) == (False, "quota")
    assert call.get("admin", f"{PATH}?action=tag:delete").body["allowed"]
    set_config("quota_per_project_enable", value=False)
    assert call.get("developer", f"{PATH}?action=repository:push").body["allowed"]
