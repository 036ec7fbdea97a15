"""projects.roles: the facts of Harbor's role table that people rely on."""

import itertools

import pytest

from projects import roles
from projects.roles import ACTIONS, PROJECT_ACTIONS, PUBLIC, ROBOT_PROJECT_ACTIONS, Role

FACTS = [
    # action               admin  maintainer developer guest limited public
    ("project:read",         1, 1, 1, 1, 1, 1),
    ("project:update",       1, 0, 0, 0, 0, 0),
    ("project:delete",       1, 0, 0, 0, 0, 0),
    ("repository:pull",      1, 1, 1, 1, 1, 1),
    ("repository:list",      1, 1, 1, 1, 1, 1),
    ("repository:push",      1, 1, 1, 0, 0, 0),
    ("repository:delete",    1, 1, 0, 0, 0, 0),
    ("artifact:read",        1, 1, 1, 1, 1, 1),
    ("artifact:create",      1, 1, 1, 0, 0, 0),
    ("artifact:delete",      1, 1, 0, 0, 0, 0),
    ("tag:list",             1, 1, 1, 1, 1, 1),
    ("tag:create",           1, 1, 1, 0, 0, 0),
    ("tag:delete",           1, 1, 0, 0, 0, 0),
    ("member:list",          1, 1, 1, 1, 0, 0),
    ("member:create",        1, 0, 0, 0, 0, 0),
    ("member:update",        1, 0, 0, 0, 0, 0),
    ("robot:list",           1, 1, 1, 1, 0, 0),
    ("robot:create",         1, 0, 0, 0, 0, 0),
    ("robot:update",         1, 0, 0, 0, 0, 0),
    ("metadata:read",        1, 1, 0, 0, 0, 0),
    ("metadata:update",      1, 0, 0, 0, 0, 0),  # CVE-2024-22278: maintainers must not
    ("configuration:update", 1, 0, 0, 0, 0, 0),
    ("log:list",             1, 0, 0, 0, 0, 0),
    ("label:create",         1, 1, 0, 0, 0, 0),
    ("label:list",           1, 1, 1, 1, 0, 1),
    ("immutable-tag:create", 1, 1, 0, 0, 0, 0),
    ("tag-retention:create", 1, 1, 1, 0, 0, 0),
    ("notification-policy:create", 1, 0, 0, 0, 0, 0),
    ("quota:read",           1, 1, 1, 1, 1, 0),
    ("quota:update",         0, 0, 0, 0, 0, 0),
    ("scan:create",          1, 1, 0, 0, 0, 0),
    ("accessory:list",       1, 1, 1, 1, 1, 1),
    ("artifact-addition:read", 1, 1, 1, 1, 1, 1),
    ("artifact-label:create", 1, 1, 1, 0, 0, 0),
    ("export-cve:create",    1, 1, 1, 0, 0, 0),
    ("sbom:read",            1, 1, 1, 1, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact[0])
def test_a_role_has_harbors_actions(fact: tuple[str, int, int, int, int, int, int]) -> None:
    action, *expected = fact
    order = (Role.ADMIN, Role.MAINTAINER, Role.DEVELOPER, Role.GUEST, Role.LIMITED_GUEST)
    assert [int(action in actions) for actions in (*(ACTIONS[role] for role in order), PUBLIC)] == expected


def test_roles_have_harbors_numbers() -> None:
    assert {role.label: role.value for role in Role} == {
        "projectAdmin": 1,
        "developer": 2,
        "guest": 3,
        "maintainer": 4,
        "limitedGuest": 5,
    }


def test_each_role_has_what_lesser_ones_have() -> None:
    order = (Role.ADMIN, Role.MAINTAINER, Role.DEVELOPER, Role.GUEST, Role.LIMITED_GUEST)
    for greater, lesser in itertools.pairwise(order):
        assert ACTIONS[greater] > ACTIONS[lesser]


def test_an_administrator_of_a_project_can_give_a_robot_everything_a_robot_may_have() -> None:
    assert ACTIONS[Role.ADMIN] >= ROBOT_PROJECT_ACTIONS
    assert ACTIONS[Role.ADMIN] == PROJECT_ACTIONS


def test_only_pushing_carries_something_with_it() -> None:
    assert roles.closed(frozenset({"repository:push"})) == {"repository:push", "repository:pull"}
    assert roles.closed(frozenset({"tag:list"})) == {"tag:list"}
    assert roles.closed(frozenset()) == frozenset()
