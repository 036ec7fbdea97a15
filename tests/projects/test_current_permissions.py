"""GET /users/current/permissions: what whoever asks may do, by scope."""

import pytest

from projects.roles import ACTIONS, PROJECT_ACTIONS, PUBLIC, SYSTEM_ACTIONS, Role
from tests.projects.caller import Caller
from tests.projects.company import Company

PATH = "/users/current/permissions"


def told(call: Caller, who: str, scope: str, *, relative: bool = False) -> set[str]:
    answer = call(who, "GET", f"{PATH}?scope={scope}{'&relative=true' if relative else ''}")
    assert answer.status == 200, answer
    return {f"{row['resource']}:{row['action']}" for row in answer.body}


def as_seen(actions: frozenset[str], namespace: str = "") -> set[str]:
    """As the API tells them: the project itself is its namespace, or a dot for who stands inside it."""
    found = set()
    for resource, _, action in (text.partition(":") for text in actions):
        inside = f"{namespace}/{resource}" if namespace else resource
        found.add(f"{(namespace or '.') if resource == 'project' else inside}:{action}")
    return found


@pytest.mark.parametrize("role", Role)
def test_a_member_is_told_the_role(company: Company, call: Caller, role: Role) -> None:
    scope = f"/project/{company.private.pk}"
    who = role.name.lower()
    assert told(call, who, scope, relative=True) == as_seen(ACTIONS[role])
    assert told(call, who, scope) == as_seen(ACTIONS[role], scope)


def test_a_resource_is_a_scope_too(company: Company, call: Caller) -> None:
    scope = f"/project/{company.private.pk}/repository"
    assert told(call, "limited_guest", scope, relative=True) == {".:list", ".:read", ".:pull"}


def test_an_administrator_may_everything(company: Company, call: Caller) -> None:
    assert told(call, "administrator", f"/project/{company.private.pk}/", relative=True) == as_seen(PROJECT_ACTIONS)
    assert told(call, "administrator", "/system", relative=True) >= SYSTEM_ACTIONS
    assert told(call, "administrator", "/system/user", relative=True) == {
        f".:{action}" for action in ("create", "read", "update", "delete", "list")
    }


def test_what_is_hidden_is_told_as_what_is_not_there(company: Company, call: Caller) -> None:
    for scope in (f"/project/{company.private.pk}", "/project/999999", "/project/" + "9" * 18):
        assert told(call, "stranger", scope) == set()
    assert told(call, "stranger", f"/project/{company.public.pk}", relative=True) == as_seen(PUBLIC)
    assert told(call, "stranger", "/system") == set()


@pytest.mark.parametrize(
    "scope", ["", "/", "/project", "/project/private", "/projects/1", "/systems", "x", "/project/1x"]
)
def test_what_is_no_scope_has_nothing(call: Caller, scope: str) -> None:
    assert told(call, "administrator", scope) == set()


def test_bad_parameters_are_named(call: Caller) -> None:
    for query, field in (("relative=maybe", "relative"), ("scope=%00", "scope"), (f"scope={'x' * 300}", "scope")):
        answer = call("stranger", "GET", f"{PATH}?{query}")
        assert (answer.status, field in answer.error) == (400, True)


def test_nobody_is_asked_to_sign_in(call: Caller) -> None:
    assert call("anonymous", "GET", PATH).status == 401
