"""projects.permissions: Harbor's JSON in and out; whatever is not known is refused."""

from typing import Any

import pytest

from harborlite.errors import BadRequest
from projects.permissions import Permission, parse, render

PULL = {"resource": "repository", "action": "pull"}


def one(**changes: Any) -> list[dict[str, Any]]:
    return [{"kind": "project", "namespace": "library", "access": [PULL], **changes}]


def test_harbors_json_is_understood() -> None:
    push = {"resource": "repository", "action": "push", "effect": "allow"}
    assert parse(one(access=[PULL, push])) == [
        Permission("project", "library", frozenset({"repository:pull", "repository:push"}))
    ]
    assert parse(one(namespace="*"))[0].namespace == "*"
    catalog = one(kind="system", namespace="/", access=[{"resource": "catalog", "action": "read", "effect": ""}])
    assert parse(catalog)[0].actions == {"catalog:read"}


def test_one_namespace_named_twice_is_one_permission() -> None:
    push = {"resource": "repository", "action": "push"}
    assert parse([*one(), *one(access=[push])]) == [
        Permission("project", "library", frozenset({"repository:pull", "repository:push"}))
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "text",
        [],
        [None],
        ["text"],
        [[]],
        one(kind=None),
        one(kind="universe"),
        one(kind=["project"]),
        one(namespace=None),
        one(namespace=1),
        one(namespace=""),
        one(namespace="/"),
        one(namespace="**"),
        one(namespace="lib*"),
        one(namespace="../library"),
        one(namespace="Library"),
        one(namespace="library\n"),
        one(kind="system", namespace="*"),
        one(kind="system", namespace="library"),
        one(kind="system", namespace="/"),  # pulling is nothing of the system
        one(access=None),
        one(access=[]),
        one(access={}),
        one(access=[None]),
        one(access=[{}]),
        one(access=[{"resource": "repository"}]),
        one(access=[{"resource": "repository", "action": None}]),
        one(access=[{"resource": "repository", "action": "*"}]),
        one(access=[{"resource": "*", "action": "*"}]),
        one(access=[{"resource": "*", "action": "pull"}]),
        one(access=[{"resource": "repository", "action": "fly"}]),
        one(access=[{"resource": "repository:pull", "action": ""}]),
        one(access=[{"resource": "catalog", "action": "read"}]),
        one(access=[{"resource": "robot", "action": "update"}]),
        one(access=[{"resource": "repository", "action": "scanner-pull"}]),
        one(access=[{**PULL, "effect": "deny"}]),
        one(access=[{**PULL, "effect": True}]),
        [*one(), {}],
    ],
)
def test_what_is_not_known_is_refused(value: object) -> None:
    with pytest.raises(BadRequest):
        parse(value)


def test_what_is_shown_can_be_sent_again() -> None:
    permissions = [
        Permission("project", "library", frozenset({"repository:pull", "tag:list"})),
        Permission("project", "*", frozenset({"repository:pull"})),
        Permission("system", "/", frozenset({"catalog:read"})),
    ]
    assert parse(render(permissions)) == permissions
    assert render(permissions)[1] == one(namespace="*", access=[{**PULL, "effect": "allow"}])[0]
