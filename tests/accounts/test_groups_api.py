"""/usergroups over REST."""

import pytest

from accounts import services
from accounts.models import Group, User
from system.models import Event
from tests.accounts.browser import Program

OIDC = {"group_name": "Team", "group_type": 3}
LDAP = {"group_name": "Staff", "group_type": 1, "ldap_group_dn": "cn=staff,dc=example,dc=com"}


@pytest.fixture
def admin(root: User) -> Program:
    return Program(root)


def test_a_group_is_registered_and_shown(admin: Program) -> None:
    for body in (OIDC, LDAP):
        answer = admin("POST", "/usergroups", body)
        group = Group.objects.get(name=body["group_name"])
        assert (answer.status_code, answer["Location"]) == (201, f"/api/v2.0/usergroups/{group.pk}")
        shown = admin("GET", f"/usergroups/{group.pk}").json()
        assert shown == {"id": group.pk, "ldap_group_dn": "", **body}
    event = Event.objects.filter(resource_type="group").earliest("pk")
    assert (event.username, event.operation, event.resource) == ("root", "create", "Team")


@pytest.mark.parametrize("twin", [OIDC, {**LDAP, "group_name": "Other", "ldap_group_dn": "CN=Staff,DC=example,DC=com"}])
def test_a_group_is_taken_once(admin: Program, twin: dict[str, object]) -> None:
    for body in (OIDC, LDAP):
        admin("POST", "/usergroups", body)
    assert admin("POST", "/usergroups", twin).status_code == 409


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group_name", ""), ("group_name", " "), ("group_name", None), ("group_name", "x" * 151),
        ("group_name", "a\x00"), ("group_name", "a\u202e"), ("group_type", 0), ("group_type", 4), ("group_type", "3"),
        ("group_type", None),
        ("group_type", 10**30), ("group_type", 1), ("ldap_group_dn", "cn=x"), ("ldap_group_dn", "x" * 513),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(admin: Program, field: str, value: object) -> None:
    answer = admin("POST", "/usergroups", {**OIDC, field: value})
    assert answer.status_code == 400
    named = "ldap_group_dn" if value == 1 else field
    assert named in answer.json()["errors"][0]["message"]
    assert not Group.objects.exists()


def test_groups_are_listed_and_found(admin: Program, alice: User) -> None:
    for name in ("Team", "Team two", "team_three"):
        services.group_create(name=name, kind=3)
    services.group_create(name="Staff", kind=1, ldap_group_dn="cn=staff")

    def names(query: str) -> list[str]:
        return [row["group_name"] for row in admin("GET", f"/usergroups?{query}").json()]

    assert names("") == ["Staff", "Team", "Team two", "team_three"]
    assert names("group_name=TEAM") == ["Team", "Team two", "team_three"]
    assert names("group_name=_") == ["team_three"]
    assert names("ldap_group_dn=CN=Staff") == ["Staff"]
    assert names("page=1000") == []
    found = Program(alice)("GET", "/usergroups/search?groupname=team")
    assert [set(row) for row in found.json()] == [{"id", "group_name", "group_type"}] * 3
    assert [row["group_name"] for row in found.json()] == ["Team", "Team two", "team_three"]
    assert found["X-Total-Count"] == "3"
    assert admin("GET", "/usergroups/search").status_code == 400


def test_a_group_is_renamed_and_keeps_its_people(admin: Program, alice: User) -> None:
    group = services.group_create(name="Team", kind=3)
    services.group_create(name="Other", kind=3)
    services.group_add_user(group=group, user=alice)
    path = f"/usergroups/{group.pk}"
    assert admin("PUT", path, {"group_name": "Crew", "group_type": 1}).status_code == 200
    assert admin("GET", path).json()["group_name"] == "Crew"
    assert admin("GET", path).json()["group_type"] == 3
    assert alice.groups.get().name == "Crew"
    assert admin("PUT", path, {"group_name": "Other"}).status_code == 409
    assert admin("PUT", path, {"group_name": ""}).status_code == 400
    assert admin("PUT", path, {}).status_code == 400


def test_who_was_in_a_deleted_group_has_lost_its_roles(admin: Program, alice: User) -> None:
    """S-70"""
    group = services.group_create(name="Team", kind=3)
    services.group_add_user(group=group, user=alice)
    version = alice.access_version
    assert admin("DELETE", f"/usergroups/{group.pk}").status_code == 200
    alice.refresh_from_db()
    assert (alice.access_version, alice.groups.count()) == (version + 1, 0)
    for method in ("GET", "DELETE"):
        assert admin(method, f"/usergroups/{group.pk}").status_code == 404
    assert admin("PUT", "/usergroups/1000000", {"group_name": "x"}).status_code == 404


def test_groups_are_for_administrators(alice: User) -> None:
    group = services.group_create(name="Team", kind=3)
    robot = Program(*services.robot_account_create(name="ci", expires_at=None))
    for method, path in (
        ("GET", "/usergroups"), ("POST", "/usergroups"), ("GET", f"/usergroups/{group.pk}"),
        ("PUT", f"/usergroups/{group.pk}"), ("DELETE", f"/usergroups/{group.pk}"), ("GET", "/usergroups/1000000"),
    ):  # fmt: skip
        body = {"group_name": "x", "group_type": 3} if method in ("POST", "PUT") else None
        assert Program()(method, path, body).status_code == 401
        assert Program(alice)(method, path, body).status_code == 403
        assert robot(method, path, body).status_code == 403
    assert Program()("GET", "/usergroups/search?groupname=T").status_code == 401
    assert robot("GET", "/usergroups/search?groupname=T").status_code == 200
    assert Group.objects.get().name == "Team"
