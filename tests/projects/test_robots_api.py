"""REST: robots of projects and of the system; their secrets, who may make which, and what is not theirs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authentication import authenticate_basic
from accounts.models import AccessToken, User
from projects import rbac
from projects.models import Robot
from projects.permissions import Permission
from projects.roles import ACTIONS, ROBOT_PROJECT_ACTIONS, SYSTEM_ACTIONS, Role
from projects.services.robots import robot_create
from system import config
from system.models import Event
from tests.projects.caller import Answer, Caller
from tests.projects.company import Company, robot

CHOSEN = "Chosen-secret-1"


def permission(namespace: str, *actions: str, kind: str = "project") -> dict[str, Any]:
    pairs = [action.split(":") for action in actions or ("repository:pull",)]
    access = [{"resource": resource, "action": action} for resource, action in pairs]
    return {"kind": kind, "namespace": namespace, "access": access}


def wanted(*permissions: dict[str, Any], **more: object) -> dict[str, Any]:
    body = {"name": "new", "level": "project", "duration": -1, "permissions": permissions or [permission("private")]}
    return body | more


def by_id(call: Caller, name: str, method: str, number: int, body: object = None) -> Answer:
    return call(name, method, f"/robots/{number}", body)


def of_private(call: Caller) -> Robot:
    return Robot.objects.select_related("user").get(project=call.company.private, name="ci")


# Making one.


def test_a_robot_of_a_project_is_made_and_signs_in(call: Caller, company: Company) -> None:
    answer = call("admin", "POST", "/robots", wanted(description="for CI", duration=30))
    made = Robot.objects.get(name="new")
    assert answer.status == 201
    assert answer.headers["Location"] == f"/api/v2.0/robots/{made.pk}"
    assert answer.body.keys() == {"id", "name", "secret", "creation_time", "expires_at"}
    assert (answer.body["id"], answer.body["name"]) == (made.pk, "robot$private+new")
    ends = datetime.fromtimestamp(answer.body["expires_at"], UTC)
    assert abs(ends - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    actor = authenticate_basic("robot$private+new", answer.body["secret"])
    assert rbac.actions(actor, company.private) == {"repository:pull"}
    event = Event.objects.get(operation="create", resource_type="robot", username="admin")
    assert (event.resource, event.project_id) == ("robot$private+new", company.private.pk)
    assert answer.body["secret"] not in str(Event.objects.values_list())


def test_a_robot_is_shown_as_harbor_shows_it(call: Caller, company: Company) -> None:
    number = call("admin", "POST", "/robots", wanted(description="for CI")).body["id"]
    shown = by_id(call, "admin", "GET", number).body
    assert shown.pop("creation_time").endswith("Z")
    assert shown.pop("update_time").endswith("Z")
    assert shown == {
        "id": number,
        "name": "robot$private+new",
        "description": "for CI",
        "level": "project",
        "duration": -1,
        "editable": True,
        "disable": False,
        "expires_at": -1,
        "permissions": [
            {
                "kind": "project",
                "namespace": "private",
                "access": [{"resource": "repository", "action": "pull", "effect": "allow"}],
            }
        ],
        "creator_type": "local",
        "creator_ref": company.actors["admin"].user_id,
    }


def test_a_robot_of_the_system_carries_several(call: Caller, company: Company) -> None:
    several = [permission("*", "repository:push"), permission("/", "catalog:read", kind="system")]
    answer = call("administrator", "POST", "/robots", wanted(*several, level="system"))
    assert answer.body["name"] == "robot$new"
    shown = by_id(call, "administrator", "GET", answer.body["id"]).body
    assert shown["level"] == "system"
    assert {(one["kind"], one["namespace"]) for one in shown["permissions"]} == {("project", "*"), ("system", "/")}


def test_a_robot_may_be_made_disabled(call: Caller, company: Company) -> None:
    answer = call("admin", "POST", "/robots", wanted(disable=True))
    assert by_id(call, "admin", "GET", answer.body["id"]).body["disable"] is True
    call.signed_in_as("new", answer.body["name"], answer.body["secret"])
    assert call.get("new", "/projects/private").status == 401


def test_how_long_a_robot_lasts_is_configured_unless_it_is_said(call: Caller) -> None:
    config.forget()
    made = call("admin", "POST", "/robots", wanted(duration=None)).body
    assert by_id(call, "admin", "GET", made["id"]).body["duration"] == config.get("robot_token_duration")
    assert made["expires_at"] > 0


def test_a_bad_robot_is_refused_by_field(call: Caller, company: Company) -> None:
    count = Robot.objects.count()
    deny = permission("private")
    deny["access"][0]["effect"] = "deny"
    for body, field in (
        ({}, "name"),
        (wanted(name="Upper"), "name"),
        (wanted(name="a+b"), "name"),
        (wanted(name="a" * 255), "name"),
        (wanted(level="galaxy"), "level"),
        (wanted(level=None), "level"),
        (wanted(duration=0), "duration"),
        (wanted(duration=-2), "duration"),
        (wanted(duration=2**40), "duration"),
        (wanted(duration="long"), "duration"),
        (wanted(permissions=[]), "permissions"),
        (wanted(permissions="all"), "permissions"),
        (wanted(permissions=[{}]), "permissions"),
        (wanted(permissions=[{"kind": "project", "namespace": "private", "access": []}]), "permissions"),
        (wanted(permission("private", "repository:fly")), "permissions"),
        (wanted(permission("private", "catalog:read")), "permissions"),
        (wanted(permission("private", "*:*")), "permissions"),
        (wanted(deny), "permissions"),
        (wanted(permission("*")), "permissions"),
        (wanted(permission("/", "catalog:read", kind="system")), "permissions"),
        (wanted(permission("private"), permission("public")), "permissions"),
        (wanted(permission("missing"), level="system"), "permissions"),
        (wanted(permission("private", "catalog:read", kind="system"), level="system"), "permissions"),
        (wanted(description="a\x00"), "description"),
        (wanted(disable="no"), "disable"),
    ):
        answer = call("administrator", "POST", "/robots", body)
        assert (body, answer.status) == (body, 400)
        assert field in answer.error
    assert Robot.objects.count() == count


def test_a_taken_name_is_a_conflict(call: Caller) -> None:
    assert call("admin", "POST", "/robots", wanted(name="ci")).status == 409


def test_who_may_make_robots(call: Caller, company: Company) -> None:
    system = wanted(permission("private"), level="system")
    for name, for_project, for_system in (
        ("anonymous", 401, 401),
        ("stranger", 404, 403),
        ("robot_of_public", 404, 403),
        ("robot_of_private", 403, 403),
        ("guest", 403, 403),
        ("maintainer", 403, 403),
        ("admin", 201, 403),
        ("administrator", 201, 201),
    ):
        got = (
            call(name, "POST", "/robots", wanted(name=f"by-{name}".replace("_", "-"))).status,
            call(name, "POST", "/robots", system | {"name": f"by-{name}".replace("_", "-")}).status,
        )
        assert (name, got) == (name, (for_project, for_system))
    assert call("admin", "POST", "/robots", wanted(permission("missing"))).status == 404


def test_a_robot_gives_no_more_than_it_has(call: Caller, company: Company) -> None:
    """S-09"""
    maker, secret = robot_create(
        creator=company.actors["administrator"],
        name="maker",
        project=company.private,
        permissions=[Permission("project", "private", frozenset({"robot:create", "repository:pull"}))],
    )
    call.signed_in_as("maker", maker.user.login, secret)
    wider = wanted(permission("private", "repository:pull", "repository:push"))
    assert call("maker", "POST", "/robots", wider).status == 403
    assert call("maker", "POST", "/robots", wanted(permission("public"))).status == 403
    assert call("maker", "POST", "/robots", wanted(level="system")).status == 403
    made = call("maker", "POST", "/robots", wanted())
    assert made.status == 201
    shown = by_id(call, "admin", "GET", made.body["id"]).body
    assert (shown["creator_type"], shown["creator_ref"]) == ("robot", maker.pk)
    root, secret = robot_create(
        creator=company.actors["administrator"],
        name="root",
        project=None,
        permissions=[
            Permission("system", "/", frozenset({"robot:create"})),
            Permission("project", "public", frozenset({"repository:pull"})),
        ],
    )
    call.signed_in_as("root", root.user.login, secret)
    for several in (
        [permission("private")],
        [permission("missing")],
        [permission("*")],
        [permission("public", "repository:push")],
        [permission("/", "robot:create", "user:create", kind="system")],
    ):
        assert call("root", "POST", "/robots", wanted(*several, level="system")).status == 403
    assert call("root", "POST", "/robots", wanted(permission("public"), level="system")).status == 201


def test_an_administrator_of_a_project_can_give_whatever_a_robot_may_have_there() -> None:
    assert ACTIONS[Role.ADMIN] >= ROBOT_PROJECT_ACTIONS


# Listing.


def test_robots_are_listed_by_level_and_project(call: Caller, company: Company) -> None:
    answer = call.get("administrator", "/robots")
    assert [one["name"] for one in answer.body] == ["robot$all", "robot$old", "robot$one"]
    assert answer.headers["X-Total-Count"] == "3"
    assert call.get("administrator", "/robots?q=Level%3Dsystem").body == answer.body
    own = f"Level%3Dproject,ProjectID%3D{company.private.pk}"
    found = call.get("guest", f"/robots?q={own}").body
    assert [one["name"] for one in found] == ["robot$private+ci", "robot$private+off", "robot$private+old"]
    for query, expected in (
        ("name%3Dci", ["robot$private+ci"]),
        ("name%3Drobot%24private%2Bci", ["robot$private+ci"]),
        ("name%3D~O", ["robot$private+off", "robot$private+old"]),
        ("disable%3Dtrue", ["robot$private+off"]),
        ("description%3Dnone", []),
    ):
        names = [one["name"] for one in call.get("guest", f"/robots?q={own},{query}").body]
        assert (query, names) == (query, expected)
    assert [one["name"] for one in call.get("guest", f"/robots?q={own}&sort=-name&page_size=1").body] == [
        "robot$private+old"
    ]


def test_who_lists_robots(call: Caller, company: Company) -> None:
    own = f"/robots?q=Level%3Dproject,ProjectID%3D{company.private.pk}"
    for name, of_project, of_system in (
        ("anonymous", 401, 401),
        ("stranger", 404, 403),
        ("robot_of_private", 403, 403),
        ("limited_guest", 403, 403),
        ("guest", 200, 403),
        ("admin", 200, 403),
        ("administrator", 200, 200),
    ):
        got = call.get(name, own).status, call.get(name, "/robots").status
        assert (name, got) == (name, (of_project, of_system))
    assert call.get("guest", "/robots?q=Level%3Dproject,ProjectID%3D999999").status == 404


def test_a_bad_query_is_refused(call: Caller) -> None:
    for query in (
        "q=Level%3Dgalaxy",
        "q=Level%3D~sys",
        "q=Level%3Dproject",
        "q=Level%3Dproject,ProjectID%3Dprivate",
        "q=Level%3Dproject,ProjectID%3D-1",
        "q=Level%3Dproject,ProjectID%3D[1~2]",
        f"q=Level%3Dproject,ProjectID%3D{2**70}",
        "q=secret%3Dx",
        "q=user__password%3Dx",
        "sort=Level",
        "q=Level",
    ):
        answer = call.get("administrator", f"/robots?{query}")
        assert (query, answer.status) == (query, 400)
        assert answer.error.startswith(("q", "sort"))


def test_a_list_costs_the_same_whatever_its_length(call: Caller, company: Company) -> None:
    path = f"/robots?page_size=100&q=Level%3Dproject,ProjectID%3D{company.private.pk}"

    def cost() -> int:
        call.get("admin", path)
        with CaptureQueriesContext(connection) as queries:
            assert call.get("admin", path).status == 200
        return len(queries)

    before = cost()
    for number in range(20):
        robot(company.private, f"more{number}", "repository:pull")
    assert cost() == before <= 9


# Changing one.


def test_what_is_put_replaces_what_it_carries(call: Caller, company: Company) -> None:
    made = of_private(call)
    shown = by_id(call, "admin", "GET", made.pk).body
    body = shown | {
        "permissions": [permission("private", "tag:list")],
        "description": "less",
        "duration": 7,
        "disable": True,
    }
    answer = by_id(call, "admin", "PUT", made.pk, body)
    assert (answer.status, answer.body) == (200, "")
    after = by_id(call, "admin", "GET", made.pk).body
    assert (after["description"], after["duration"], after["disable"]) == ("less", 7, True)
    assert after["permissions"][0]["access"] == [{"resource": "tag", "action": "list", "effect": "allow"}]
    made.refresh_from_db()
    assert after["expires_at"] == int((made.created_at + timedelta(days=7)).timestamp())
    del body["duration"]
    assert by_id(call, "admin", "PUT", made.pk, body | {"disable": False, "name": "ci"}).status == 200
    after = by_id(call, "admin", "GET", made.pk).body
    assert (after["duration"], after["disable"]) == (7, False)


def test_name_level_and_project_stay(call: Caller, company: Company) -> None:
    made = of_private(call)
    shown = by_id(call, "administrator", "GET", made.pk).body
    for change, field in (
        ({"name": "other"}, "name"),
        ({"name": "robot$public+ci"}, "name"),
        ({"level": "system"}, "level"),
        ({"permissions": [permission("public")]}, "permissions"),
        ({"permissions": [permission("*")]}, "permissions"),
        ({"permissions": []}, "permissions"),
    ):
        answer = by_id(call, "administrator", "PUT", made.pk, shown | change)
        assert (change, answer.status) == (change, 400)
        assert field in answer.error
    assert by_id(call, "administrator", "GET", made.pk).body == shown


def test_a_secret_is_rotated_and_shown_once(call: Caller, company: Company) -> None:
    """S-08"""
    made = of_private(call)
    first = by_id(call, "admin", "PATCH", made.pk, {"secret": ""}).body["secret"]
    second = by_id(call, "admin", "PATCH", made.pk, {}).body["secret"]
    assert first != second
    call.signed_in_as("old", made.user.login, first)
    call.signed_in_as("new", made.user.login, second)
    assert call.get("old", "/projects").status == 401
    assert call.get("new", "/projects").status == 200
    for path in (f"/robots/{made.pk}", f"/robots?q=Level%3Dproject,ProjectID%3D{company.private.pk}"):
        shown = str(call.get("admin", path).body)
        assert second not in shown
        assert "secret" not in shown
    rows = str([*User.objects.values(), *AccessToken.objects.values(), *Event.objects.values()])
    assert first not in rows
    assert second not in rows


def test_a_secret_can_be_chosen(call: Caller, company: Company) -> None:
    made = of_private(call)
    before = by_id(call, "admin", "PATCH", made.pk, {}).body["secret"]
    answer = by_id(call, "admin", "PATCH", made.pk, {"secret": CHOSEN})
    assert (answer.status, answer.body) == (200, {})
    call.signed_in_as("old", made.user.login, before)
    call.signed_in_as("new", made.user.login, CHOSEN)
    assert call.get("old", "/projects").status == 401
    assert call.get("new", "/projects").status == 200
    rows = str([*User.objects.values(), *AccessToken.objects.values(), *Event.objects.values()])
    assert CHOSEN not in rows
    other = Robot.objects.get(project=company.private, name="off")
    assert by_id(call, "admin", "PATCH", other.pk, {"secret": CHOSEN}).status == 200
    AccessToken.objects.filter(user=made.user).update(expires_at=datetime.now(UTC))
    assert call.get("new", "/projects").status == 401


def test_a_chosen_secret_ends_with_the_next(call: Caller, company: Company) -> None:
    made = of_private(call)
    by_id(call, "admin", "PATCH", made.pk, {"secret": CHOSEN})
    by_id(call, "admin", "PATCH", made.pk, {})
    call.signed_in_as("old", made.user.login, CHOSEN)
    assert call.get("old", "/projects").status == 401


def test_a_chosen_secret_can_not_be_guessed_for_long(call: Caller, company: Company) -> None:
    made = of_private(call)
    by_id(call, "admin", "PATCH", made.pk, {"secret": CHOSEN})
    statuses = []
    for number in range(7):
        call.signed_in_as("guest of chance", made.user.login, f"Guess-number-{number}")
        statuses.append(call.get("guest of chance", "/projects").status)
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_a_bad_secret_is_refused(call: Caller, company: Company) -> None:
    made = of_private(call)
    for secret in ("short1A", "nouppercase1", "NOLOWERCASE1", "NoDigitsHere", "A1a" * 50, "Nul-1\x00aaaaa", 7, []):
        answer = by_id(call, "admin", "PATCH", made.pk, {"secret": secret})
        assert (secret, answer.status) == (secret, 400)


def test_a_deleted_robot_is_gone(call: Caller, company: Company) -> None:
    made = of_private(call)
    call.get("robot_of_private", "/projects")
    answer = by_id(call, "admin", "DELETE", made.pk)
    assert (answer.status, answer.body) == (200, "")
    assert by_id(call, "admin", "GET", made.pk).status == 404
    assert call.get("robot_of_private", "/projects").status == 401
    assert Event.objects.get(operation="delete", resource_type="robot").resource == "robot$private+ci"


def test_robots_of_elsewhere_are_not_found(call: Caller, company: Company) -> None:
    """S-12 (CVE-2022-31667): who sees robots where one belongs is told that it may not, others that there is none."""
    foreign = Robot.objects.get(project=company.public)
    system = Robot.objects.get(project=None, name="all")
    own = of_private(call)
    for name, number, status in (
        ("admin", foreign.pk, 404),
        ("admin", system.pk, 404),
        ("admin", 999999, 404),
        ("admin", 2**70, 404),
        ("stranger", own.pk, 404),
        ("robot_of_public", own.pk, 404),
        ("guest", own.pk, 403),
        ("maintainer", own.pk, 403),
        ("robot_of_private", own.pk, 404),
        ("anonymous", own.pk, 401),
        ("anonymous", 999999, 401),
    ):
        for method, body in (("PUT", wanted()), ("PATCH", {}), ("DELETE", None)):
            answer = by_id(call, name, method, number, body)
            assert (name, number, method, answer.status) == (name, number, method, status)
    assert by_id(call, "guest", "GET", own.pk).status == 200
    for name in ("admin", "guest"):
        hidden, missing = by_id(call, name, "GET", foreign.pk), by_id(call, name, "GET", 999999)
        assert (hidden.status, hidden.body) == (404, missing.body)
    assert {foreign.pk, system.pk, own.pk} <= set(Robot.objects.values_list("pk", flat=True))


def test_the_old_paths_of_projects_are_gone(call: Caller) -> None:
    assert call.get("administrator", "/projects/private/robots").status == 404


# What robots can be given.


def test_the_catalogue_is_for_administrators(call: Caller) -> None:
    for name, status in (
        ("anonymous", 401),
        ("stranger", 403),
        ("maintainer", 403),
        ("robot_of_private", 403),
        ("system_robot_for_all", 403),
        ("admin", 200),
        ("admin_by_group", 200),
        ("administrator", 200),
    ):
        assert (name, call.get(name, "/permissions").status) == (name, status)
    assert "system" not in call.get("admin", "/permissions").body
    told = call.get("administrator", "/permissions").body
    for key, actions in (("project", ROBOT_PROJECT_ACTIONS), ("system", SYSTEM_ACTIONS)):
        assert {f"{pair['resource']}:{pair['action']}" for pair in told[key]} == actions
        assert len(told[key]) == len(actions)
