"""What a robot carries, as Harbor's API writes it, and as a value here. Pure.

[{"kind": "project", "namespace": "library", "access": [{"resource": "repository", "action": "pull"}]},
 {"kind": "project", "namespace": "*",       ...                 every project, also later ones},
 {"kind": "system",  "namespace": "/",       ...                 what lies outside projects}]
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harborlite.errors import BadRequest
from projects.names import is_name
from projects.roles import ROBOT_PROJECT_ACTIONS, SYSTEM_ACTIONS

PROJECT, SYSTEM = "project", "system"
EVERY_PROJECT, SYSTEM_NAMESPACE = "*", "/"


@dataclass(frozen=True, slots=True)
class Permission:
    """Actions in one namespace: a project's name, EVERY_PROJECT or SYSTEM_NAMESPACE."""

    kind: str
    namespace: str
    actions: frozenset[str]


def parse(value: object) -> list[Permission]:
    """The permissions that `value`, decoded JSON, describes, one a namespace. BadRequest when anything is unknown."""
    if not isinstance(value, list) or not value:
        raise BadRequest("permissions: a list of at least one permission")
    found: dict[tuple[str, str], frozenset[str]] = {}
    for entry in value:
        kind, namespace, access = _fields(entry, "kind", "namespace", "access")
        if not isinstance(kind, str) or not isinstance(namespace, str) or not isinstance(access, list) or not access:
            raise BadRequest("permissions: each has a kind, a namespace and a list of at least one access")
        found[kind, namespace] = found.get((kind, namespace), frozenset()) | {_action(item) for item in access}
    return [check(Permission(kind, namespace, actions)) for (kind, namespace), actions in found.items()]


def check(permission: Permission) -> Permission:
    """`permission` itself when a robot may be given such a thing at all; else BadRequest."""
    match permission.kind, permission.namespace:
        case "project", namespace if namespace == EVERY_PROJECT or is_name(namespace):
            known = ROBOT_PROJECT_ACTIONS
        case "system", "/":
            known = SYSTEM_ACTIONS
        case kind, namespace:
            raise BadRequest(f"permissions: there are none of kind {kind!a} for namespace {namespace!a}")
    unknown = permission.actions - known
    if unknown or not permission.actions:
        refused = ", ".join(sorted(unknown)) or "nothing"
        raise BadRequest(f"permissions: a robot can't be given {refused}", detail=sorted(unknown))
    return permission


def render(permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """`permissions` as Harbor's API shows them."""
    return [
        {
            "kind": permission.kind,
            "namespace": permission.namespace,
            "access": [
                {"resource": resource, "action": action, "effect": "allow"}
                for resource, _, action in (text.partition(":") for text in sorted(permission.actions))
            ],
        }
        for permission in permissions
    ]


def _action(item: object) -> str:
    resource, action, effect = _fields(item, "resource", "action", "effect")
    if not isinstance(resource, str) or not isinstance(action, str):
        raise BadRequest("permissions: an access has a resource and an action")
    if effect not in (None, "", "allow"):
        # Nothing here takes away again; to pass over a `deny` would grant what was meant to be refused.
        raise BadRequest("permissions: the only effect of an access is allow")
    return f"{resource}:{action}"


def _fields(value: object, *names: str) -> tuple[object, ...]:
    if not isinstance(value, dict):
        raise BadRequest("permissions: they and their accesses are objects")
    return tuple(value.get(name) for name in names)
