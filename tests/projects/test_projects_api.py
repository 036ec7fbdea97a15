"""REST: /projects and what hangs on one: who sees what, exact answers, and what a list costs."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects.models import Project, Quota
from projects.permissions import Permission
from projects.queries import project_get
from projects.services.projects import project_create
from projects.services.robots import robot_create
from registry.models import Repository
from registry.services.repositories import repository_ensure
from system import config
from system.models import Configuration, Event
from tests.projects.caller import Caller
from tests.projects.company import Company, person


def names(answer: Any) -> list[str]:
    assert answer.status == 200, answer
    return [project["name"] for project in answer.body]


def set_config(key: str, value: object) -> None:
    Configuration.objects.update_or_create(key=key, defaults={"value": value})
    config.forget()


@pytest.fixture(autouse=True)
def fresh_configuration() -> Any:
    config.forget()
    yield
    config.forget()


# The list.


def test_everybody_lists_what_they_may_see(call: Caller) -> None:
    for name, seen in {
        "anonymous": ["public"],
        "stranger": ["public"],
        "administrator": ["private", "public"],
        "guest": ["private", "public"],
        "limited_guest_by_group": ["private", "public"],
        "robot_of_private": ["private", "public"],
        "robot_of_public": ["public"],
        "system_robot_for_all": ["private", "public"],
    }.items():
        assert (name, names(call.get(name, "/projects"))) == (name, seen)


def test_a_robot_that_may_list_projects_lists_all(call: Caller, company: Company) -> None:
    made, secret = robot_create(
        creator=company.actors["administrator"],
        name="lister",
        project=None,
        permissions=[Permission("system", "/", frozenset({"project:list"}))],
    )
    call.signed_in_as("lister", made.user.login, secret)
    assert names(call.get("lister", "/projects")) == ["private", "public"]
    assert call("lister", "HEAD", "/projects?project_name=private").status == 200
    assert call.get("lister", "/projects/private").status == 404


def test_a_project_is_shown_as_harbor_shows_it(call: Caller, company: Company) -> None:
    repository_ensure(project=company.private, path="app")
    answer = call.get("developer", "/projects?name=private")
    shown = answer.body[0]
    assert answer.headers["X-Total-Count"] == "1"
    assert shown["creation_time"].endswith("Z")
    assert shown["cve_allowlist"].items() >= {"project_id": company.private.pk, "items": []}.items()
    del shown["creation_time"], shown["update_time"], shown["cve_allowlist"]
    assert shown == {
        "project_id": company.private.pk,
        "name": "private",
        "owner_id": company.actors["administrator"].user_id,
        "owner_name": "boss",
        "deleted": False,
        "current_user_role_id": 2,
        "current_user_role_ids": [2],
        "repo_count": 1,
        "metadata": {"public": "false"},
    }
    for ref in ("private", company.private.pk):
        again = call.get("developer", f"/projects/{ref}").body
        assert again.items() >= shown.items()


def test_roles_are_the_callers_own_the_highest_first(call: Caller, company: Company) -> None:
    from accounts import services as accounts
    from accounts.models import Group, User

    user = User.objects.get(pk=company.actors["guest"].user_id)
    accounts.group_add_user(group=Group.objects.get(name="maintainers"), user=user)
    shown = call.get("guest", "/projects/private").body
    assert (shown["current_user_role_id"], shown["current_user_role_ids"]) == (4, [4, 3])
    shown = call.get("stranger", "/projects/public").body
    assert (shown["current_user_role_id"], shown["current_user_role_ids"]) == (0, [])


FOUND = [
    ("public=true", ["public"]),
    ("public=false", ["private"]),
    ("name=LIC", ["public"]),
    ("name=%25", []),
    ("owner=boss", ["private", "public"]),
    ("owner=nobody", []),
    ("q=name%3Dpublic", ["public"]),
    ("q=name%3D~p,public%3Dfalse", ["private"]),
    ("q=name%253D~riv", ["private"]),
    ("sort=-name", ["public", "private"]),
    ("page=2&page_size=1", ["public"]),
    ("page=9", []),
    ("with_detail=false", ["private", "public"]),
]


def test_the_list_is_filtered_and_sorted(call: Caller) -> None:
    for query, found in FOUND:
        assert (query, names(call.get("developer", f"/projects?{query}"))) == (query, found)


def test_without_details_there_are_none(call: Caller) -> None:
    shown = call.get("developer", "/projects?with_detail=false").body[0]
    assert "metadata" not in shown
    assert "cve_allowlist" not in shown
    assert shown["repo_count"] == 0


BAD_QUERIES = [
    ("public=maybe", "public"),
    ("with_detail=2", "with_detail"),
    ("q=metadata%3Dx", "q"),
    ("q=access_version%3D1", "q"),
    ("sort=owner__password", "sort"),
    ("page=0", "page"),
    ("page_size=101", "page_size"),
    ("name=a%00b", "name"),
]


def test_a_bad_query_is_refused_by_name(call: Caller) -> None:
    for query, field in BAD_QUERIES:
        answer = call.get("developer", f"/projects?{query}")
        assert (query, answer.status, answer.code) == (query, 400, "BAD_REQUEST")
        assert field in answer.error


def test_a_list_costs_the_same_whatever_its_length(call: Caller, company: Company) -> None:
    def cost(name: str) -> int:
        call.get(name, "/projects?page_size=100")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            call.get(name, "/projects?page_size=100")
        return len(queries)

    everybody = ("anonymous", "developer", "guest_by_group", "administrator", "robot_of_private")
    before = {name: cost(name) for name in everybody}
    for number in range(20):
        project = project_create(name=f"more{number}", owner=person(f"owner{number}"), is_public=True)
        repository_ensure(project=project, path="app")
    assert {name: cost(name) for name in everybody} == before
    assert max(before.values()) <= 6


# HEAD.


def test_a_name_is_probed_among_what_one_sees(call: Caller) -> None:
    for name, project, status in (
        ("developer", "private", 200),
        ("stranger", "private", 404),
        ("stranger", "missing", 404),
        ("stranger", "public", 200),
        ("administrator", "private", 200),
        ("anonymous", "public", 401),
    ):
        answer = call(name, "HEAD", f"/projects?project_name={project}")
        assert (name, project, answer.status) == (name, project, status)
    assert call("developer", "HEAD", "/projects").status == 400


# POST.


def test_who_makes_a_project_has_it(call: Caller, company: Company) -> None:
    answer = call("stranger", "POST", "/projects", {"project_name": "made", "metadata": {"public": "true"}})
    project = project_get("made")
    assert (answer.status, answer.body) == (201, "")
    assert answer.headers["Location"] == f"/api/v2.0/projects/{project.pk}"
    assert project.is_public
    assert project.owner_id == company.actors["stranger"].user_id
    event = Event.objects.get(resource_type="project", resource="made")
    assert (event.operation, event.username, event.project_id) == ("create", "stranger", project.pk)


def test_the_location_has_the_name_when_asked(call: Caller) -> None:
    answer = call("stranger", "POST", "/projects", {"project_name": "made"}, X_Resource_Name_In_Location="true")
    assert answer.headers["Location"] == "/api/v2.0/projects/made"
    assert not project_get("made").is_public


def test_terraforms_body_is_taken(call: Caller) -> None:
    body = {
        "project_name": "made",
        "cve_allowlist": {"items": [{"cve_id": "CVE-2024-1"}]},
        "storage_limit": 1073741824,
        "metadata": {
            "enable_content_trust": "false",
            "enable_content_trust_cosign": "false",
            "auto_scan": "true",
            "severity": "high",
            "reuse_sys_cve_allowlist": "false",
            "public": "false",
            "prevent_vul": "true",
            "auto_sbom_generation": "false",
            "proxy_speed_kb": "0",
            "proxy_cache_local_on_not_found": "false",
        },
    }
    assert call("administrator", "POST", "/projects", body).status == 201
    shown = call.get("administrator", "/projects/made").body
    assert shown["metadata"] == {key: value for key, value in body["metadata"].items() if key != "proxy_speed_kb"}  # type: ignore[attr-defined]
    assert shown["cve_allowlist"]["items"] == [{"cve_id": "CVE-2024-1"}]
    assert Quota.objects.get(project__name="made").hard == 1073741824


def test_the_limit_of_its_size_is_the_administrators_to_say(call: Caller) -> None:
    set_config("storage_per_project", 5000)
    for name, given, hard in (
        ("stranger", {"storage_limit": -1}, 5000),
        ("stranger", {}, 5000),
        ("administrator", {"storage_limit": 7000}, 7000),
        ("administrator", {"storage_limit": -1}, -1),
        ("administrator", {"storage_limit": 0}, 5000),
    ):
        project = f"p{len(str(given))}{name}"
        assert call(name, "POST", "/projects", {"project_name": project, **given}).status == 201
        assert (name, given, Quota.objects.get(project__name=project).hard) == (name, given, hard)


BAD_PROJECTS: list[tuple[object, str]] = [
    ({}, "project_name"),
    ({"project_name": "UPPER"}, "project_name"),
    ({"project_name": "a" * 256}, "project_name"),
    ({"project_name": 7}, "project_name"),
    ({"project_name": "a\x00"}, "project_name"),
    ({"project_name": "a", "metadata": {"public": "maybe"}}, "metadata.public"),
    ({"project_name": "a", "metadata": {"public": True}}, "metadata.public"),
    ({"project_name": "a", "metadata": {"severity": "huge"}}, "metadata.severity"),
    ({"project_name": "a", "metadata": {"retention_id": "7"}}, "metadata.retention_id"),
    ({"project_name": "a", "metadata": "x"}, "metadata"),
    ({"project_name": "a", "public": "yes"}, "public"),
    ({"project_name": "a", "storage_limit": -2}, "storage_limit"),
    ({"project_name": "a", "storage_limit": 2**63}, "storage_limit"),
    ({"project_name": "a", "registry_id": 1}, "registry_id"),
    ({"project_name": "a", "cve_allowlist": {"items": [{"cve_id": "C"}, {"cve_id": "C"}]}}, "cve_allowlist.items"),
    ({"project_name": "a", "cve_allowlist": {"items": [{"cve_id": " "}]}}, "cve_allowlist.items"),
    ({"project_name": "a", "cve_allowlist": {"items": [7]}}, "cve_allowlist.items"),
    ({"project_name": "a", "cve_allowlist": {"items": [None]}}, "cve_allowlist.items"),
    (
        {"project_name": "a", "cve_allowlist": {"items": [{"cve_id": f"C{n}"} for n in range(1001)]}},
        "cve_allowlist.items",
    ),
    ({"project_name": "a", "cve_allowlist": {"expires_at": "never"}}, "cve_allowlist.expires_at"),
    ([], "dictionary"),
]


def test_a_bad_project_is_refused_by_field(call: Caller) -> None:
    for body, field in BAD_PROJECTS:
        answer = call("administrator", "POST", "/projects", body)
        assert (body, answer.status, answer.code) == (body, 400, "BAD_REQUEST")
        assert field in answer.error
    assert Project.objects.count() == 2


def test_a_taken_name_is_a_conflict(call: Caller) -> None:
    answer = call("stranger", "POST", "/projects", {"project_name": "private"})
    assert (answer.status, answer.code) == (409, "CONFLICT")


def test_who_may_make_projects_is_configured(call: Caller, company: Company) -> None:
    system_robot, secret = robot_create(
        creator=company.actors["administrator"],
        name="maker",
        project=None,
        permissions=[Permission("system", "/", frozenset({"project:create"}))],
    )
    call.signed_in_as("maker", system_robot.user.login, secret)

    def statuses() -> dict[str, int]:
        everybody = ("anonymous", "stranger", "administrator", "robot_of_private", "system_robot_for_all", "maker")
        count = Project.objects.count()
        return {
            name: call(name, "POST", "/projects", {"project_name": f"{name}{count}".replace("_", "-")}).status
            for name in everybody
        }

    nobody = {"anonymous": 401, "robot_of_private": 403, "system_robot_for_all": 403, "administrator": 201}
    assert statuses() == {**nobody, "stranger": 201, "maker": 201}
    set_config("project_creation_restriction", "adminonly")
    assert statuses() == {**nobody, "stranger": 403, "maker": 201}


# One project.


def test_what_may_not_be_seen_answers_like_what_is_missing(call: Caller, company: Company) -> None:
    for method in ("GET", "PUT", "DELETE"):
        for name, status in (("stranger", 404), ("robot_of_public", 404), ("anonymous", 401)):
            hidden = call(name, method, f"/projects/{company.private.pk}", {} if method == "PUT" else None)
            missing = call(name, method, "/projects/999999", {} if method == "PUT" else None)
            assert (hidden.status, hidden.body) == (missing.status, missing.body) == (status, missing.body)


def test_digits_are_an_id_unless_it_is_said_that_they_are_a_name(call: Caller, company: Company) -> None:
    digits = project_create(name=str(company.private.pk), owner=company.actors["administrator"], is_public=True)
    path = f"/projects/{digits.name}"
    assert call.get("administrator", path).body["name"] == "private"
    assert call.get("administrator", path, X_Is_Resource_Name="true").body["project_id"] == digits.pk
    assert call.get("administrator", path, X_Is_Resource_Name="false").body["name"] == "private"


def test_what_is_put_is_changed_and_the_rest_stays(call: Caller, company: Company) -> None:
    path = "/projects/private"
    assert call("admin", "PUT", path, {"metadata": {"auto_scan": "true", "severity": "LOW"}}).status == 200
    answer = call("admin", "PUT", path, {"metadata": {"severity": "critical"}, "project_name": "other"})
    assert (answer.status, answer.body) == (200, "")
    body = {"cve_allowlist": {"items": [{"cve_id": "CVE-1"}], "expires_at": 1893456000}}
    assert call("admin", "PUT", path, body).status == 200
    assert call("admin", "PUT", path, {"metadata": {"auto_scan": None, "severity": ""}}).status == 200
    shown = call.get("admin", path).body
    assert shown["name"] == "private"
    assert shown["metadata"] == {"public": "false", "auto_scan": "true", "severity": "critical"}
    assert shown["cve_allowlist"]["items"] == [{"cve_id": "CVE-1"}]
    assert shown["cve_allowlist"]["expires_at"] == 1893456000
    assert call("admin", "PUT", path, {"metadata": {"public": "true"}}).status == 200
    assert project_get("private").is_public
    assert Event.objects.filter(operation="update", resource_type="project", resource="private").count() == 5


def test_the_retention_is_not_set_here(call: Caller, company: Company) -> None:
    Project.objects.filter(pk=company.private.pk).update(metadata={"retention_id": "7"})
    assert call("admin", "PUT", "/projects/private", {"metadata": {"retention_id": "7"}}).status == 200
    answer = call("admin", "PUT", "/projects/private", {"metadata": {"retention_id": "8"}})
    assert answer.status == 400
    assert "retention_id" in answer.error


def test_an_allowlist_of_another_project_is_refused(call: Caller, company: Company) -> None:
    body = {"cve_allowlist": {"project_id": company.public.pk, "items": []}}
    assert call("admin", "PUT", "/projects/private", body).status == 400


def test_a_project_is_its_administrators_to_change_and_delete(call: Caller) -> None:
    for name in ("maintainer", "developer", "guest", "robot_of_private"):
        assert call(name, "PUT", "/projects/private", {"metadata": {"public": "true"}}).status == 403
        assert call(name, "DELETE", "/projects/private").status == 403
        assert call(name, "GET", "/projects/private/_deletable").status == 403
    assert not project_get("private").is_public


def test_a_project_is_deleted_when_it_is_empty(call: Caller, company: Company) -> None:
    repository_ensure(project=company.private, path="app")
    told = call.get("admin", "/projects/private/_deletable")
    message = "the project contains repositories, can not be deleted"
    assert (told.status, told.body) == (200, {"deletable": False, "message": message})
    answer = call("admin", "DELETE", "/projects/private")
    assert (answer.status, answer.code, answer.error) == (412, "PRECONDITION", message)
    Repository.objects.all().delete()
    assert call.get("admin", "/projects/private/_deletable").body == {"deletable": True}
    answer = call("admin", "DELETE", "/projects/private")
    assert (answer.status, answer.body) == (200, "")
    assert call.get("administrator", "/projects/private").status == 404
    assert Event.objects.filter(operation="delete", resource_type="project", resource="private").count() == 1


def test_a_project_in_numbers(call: Caller, company: Company) -> None:
    repository_ensure(project=company.private, path="app")
    assert call.get("guest", "/projects/private/summary").body == {
        "repo_count": 1,
        "project_admin_count": 4,
        "maintainer_count": 2,
        "developer_count": 2,
        "guest_count": 2,
        "limited_guest_count": 2,
        "quota": {"hard": {"storage": -1}, "used": {"storage": 0}},
    }
    assert call.get("anonymous", "/projects/public/summary").body == {"repo_count": 0}
    limited = call.get("limited_guest", "/projects/private/summary").body
    assert "quota" in limited
    assert "guest_count" not in limited
