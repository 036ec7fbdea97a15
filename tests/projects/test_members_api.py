"""REST: members of a project."""

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from projects import rbac
from projects.models import Member
from projects.roles import ACTIONS, Role
from projects.services.members import member_add
from system.models import Event
from tests.projects.caller import Caller
from tests.projects.company import Company, person

ROOT = "/projects/private/members"


def member_of(call: Caller, name: str) -> dict[str, Any]:
    answer = call.get("admin", f"{ROOT}?entityname={name}")
    assert answer.status == 200
    assert len(answer.body) == 1, answer.body
    found: dict[str, Any] = answer.body[0]
    return found


def test_members_are_listed_as_harbor_lists_them(call: Caller, company: Company) -> None:
    answer = call.get("guest", f"{ROOT}?page_size=100")
    assert answer.headers["X-Total-Count"] == "12"
    assert [member["entity_name"] for member in answer.body][:3] == ["admin", "admins", "boss"]
    own = member_of(call, "developer")
    assert own == {
        "id": own["id"],
        "project_id": company.private.pk,
        "entity_name": "developer",
        "entity_id": company.actors["developer"].user_id,
        "entity_type": "u",
        "role_id": 2,
        "role_name": "developer",
    }
    group = member_of(call, "limited_guests")
    assert (group["entity_type"], group["role_id"], group["role_name"]) == ("g", 5, "limitedGuest")
    assert call.get("admin", f"{ROOT}/{own['id']}").body == own
    assert call.get("admin", f"{ROOT}?entityname=nobody").body == []


def test_who_sees_the_members(call: Caller) -> None:
    for name, status in (
        ("anonymous", 401),
        ("stranger", 404),
        ("robot_of_public", 404),
        ("robot_of_private", 403),
        ("limited_guest", 403),
        ("guest", 200),
    ):
        assert (name, call.get(name, ROOT).status) == (name, status)
    assert call.get("stranger", "/projects/public/members").status == 403
    assert call.get("anonymous", "/projects/public/members").status == 401


def test_a_member_is_added_by_any_of_the_names_harbor_takes(call: Caller, company: Company) -> None:
    one, two = person("one"), person("two")
    ldap = accounts.group_create(name="ldap", kind=1, ldap_group_dn="cn=ldap,dc=example")
    oidc = accounts.group_create(name="oidc", kind=3)
    http = accounts.group_create(name="http", kind=2)
    for body, subject in (
        ({"role_id": 1, "member_user": {"user_id": one.pk}}, one),
        ({"role_id": 2, "member_user": {"username": "TWO"}, "member_group": {}}, two),
        ({"role_id": 3, "member_group": {"ldap_group_dn": "CN=ldap,dc=example", "group_type": 1}}, ldap),
        ({"role_id": 4, "member_group": {"group_name": "oidc", "group_type": 3}, "member_user": {}}, oidc),
        ({"role_id": 5, "member_group": {"id": http.pk}}, http),
    ):
        answer = call("admin", "POST", ROOT, body)
        member = Member.objects.latest("pk")
        assert (answer.status, answer.body) == (201, "")
        assert answer.headers["Location"] == f"/api/v2.0/projects/private/members/{member.pk}"
        assert (member.user or member.group, member.role, member.project) == (subject, body["role_id"], company.private)
        assert call("admin", "POST", ROOT, body).status == 409
    told = Event.objects.filter(operation="create", resource_type="member", username="admin")
    assert [event.resource for event in told.order_by("pk")] == ["one", "two", "ldap", "oidc", "http"]


def test_the_location_names_the_project_as_the_request_did(call: Caller, company: Company) -> None:
    body = {"role_id": 2, "member_user": {"username": person("new").username}}
    answer = call("admin", "POST", f"/projects/{company.private.pk}/members", body)
    assert answer.headers["Location"].startswith(f"/api/v2.0/projects/{company.private.pk}/members/")


def test_a_bad_member_is_refused_by_field(call: Caller, company: Company) -> None:
    robot = company.actors["robot_of_private"]
    user = {"username": person("new").username}
    for body, status, field in (
        ({"member_user": user}, 400, "role_id"),
        ({"role_id": 6, "member_user": user}, 400, "role_id"),
        ({"role_id": "1; DROP", "member_user": user}, 400, "role_id"),
        ({"role_id": None, "member_user": user}, 400, "role_id"),
        ({"role_id": 2}, 400, "member_user"),
        ({"role_id": 2, "member_user": {}, "member_group": {}}, 400, "member_user"),
        ({"role_id": 2, "member_user": {"user_id": 999999}}, 400, "member_user.user_id"),
        ({"role_id": 2, "member_user": {"user_id": 2**70}}, 400, "member_user.user_id"),
        ({"role_id": 2, "member_user": {"user_id": robot.user_id}}, 400, "member_user.user_id"),
        ({"role_id": 2, "member_group": {"id": 999999}}, 400, "member_group.id"),
        ({"role_id": 2, "member_user": {"username": "nobody"}}, 404, "nobody"),
        ({"role_id": 2, "member_user": {"username": robot.username}}, 404, "robot"),
        ({"role_id": 2, "member_user": {"username": "a\x00"}}, 400, "member_user.username"),
        ({"role_id": 2, "member_group": {"group_name": "nobody"}}, 404, "nobody"),
        ({"role_id": 2, "member_group": {"ldap_group_dn": "cn=x"}}, 404, "ldap_group_dn"),
        ({"role_id": 2, "member_user": []}, 400, "member_user"),
    ):
        answer = call("admin", "POST", ROOT, body)
        assert (body, answer.status) == (body, status)
        assert field in answer.error
    assert not Member.objects.filter(user__username="new").exists()


def test_a_role_is_changed_and_taken_away(call: Caller, company: Company) -> None:
    member = member_of(call, "developer")
    path = f"{ROOT}/{member['id']}"
    answer = call("admin", "PUT", path, {"role_id": 4})
    assert (answer.status, answer.body) == (200, "")
    assert rbac.actions(company.actors["developer"], company.private) == ACTIONS[Role.MAINTAINER]
    answer = call("admin", "DELETE", path)
    assert (answer.status, answer.body) == (200, "")
    assert rbac.actions(company.actors["developer"], company.private) == rbac.NOTHING
    for method, body in (("GET", None), ("PUT", {"role_id": 1}), ("DELETE", None)):
        assert call("admin", method, path, body).status == 404
    words = Event.objects.filter(resource_type="member", resource="developer").order_by("pk")
    assert [event.operation for event in words][-2:] == ["update", "delete"]


def test_the_owner_stays(call: Caller) -> None:
    path = f"{ROOT}/{member_of(call, 'boss')['id']}"
    assert call("admin", "PUT", path, {"role_id": 3}).status == 412
    answer = call("admin", "DELETE", path)
    assert (answer.status, answer.code) == (412, "PRECONDITION")


def test_nobody_raises_their_own_role(call: Caller, company: Company) -> None:
    """S-04"""
    for name in ("maintainer", "developer", "guest", "maintainer_by_group", "robot_of_private"):
        path = f"{ROOT}/{member_of(call, 'maintainer')['id']}"
        assert call(name, "PUT", path, {"role_id": 1}).status == 403
        assert call(name, "DELETE", path).status == 403
        user = {"user_id": company.actors[name].user_id}
        assert call(name, "POST", ROOT, {"role_id": 1, "member_user": user}).status == 403
    assert call("stranger", "POST", ROOT, {"role_id": 1, "member_user": {"username": "stranger"}}).status == 404
    assert call("stranger", "POST", "/projects/public/members", {"role_id": 1}).status == 403


def test_a_member_of_another_project_is_not_found(call: Caller, company: Company) -> None:
    """S-18"""
    foreign = member_add(project=company.public, subject=person("foreign"), role=Role.GUEST)
    for path in (f"{ROOT}/{foreign.pk}", f"{ROOT}/999999", f"{ROOT}/{2**70}"):
        for method, body in (("GET", None), ("PUT", {"role_id": 1}), ("DELETE", None)):
            assert (path, method, call("admin", method, path, body).status) == (path, method, 404)
    foreign.refresh_from_db()
    assert foreign.role == Role.GUEST


def test_a_list_costs_the_same_whatever_its_length(call: Caller, company: Company) -> None:
    def cost() -> int:
        call.get("admin", f"{ROOT}?page_size=100")
        with CaptureQueriesContext(connection) as queries:
            assert call.get("admin", f"{ROOT}?page_size=100").status == 200
        return len(queries)

    before = cost()
    for number in range(20):
        member_add(project=company.private, subject=person(f"more{number}"), role=Role.GUEST)
    assert cost() == before <= 5
