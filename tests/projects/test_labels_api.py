"""REST: labels of projects and of the whole instance."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects.models import Label
from projects.permissions import Permission
from projects.services.labels import label_create
from projects.services.robots import robot_create
from system.models import Event
from tests.projects.caller import Caller
from tests.projects.company import Company


def of_project(company: Company, **more: object) -> dict[str, object]:
    return {"name": "stable", "scope": "p", "project_id": company.private.pk, **more}


def test_a_label_of_a_project_lives(call: Caller, company: Company) -> None:
    body = of_project(company, description="can be used", color="#00FF00")
    answer = call("maintainer", "POST", "/labels", body)
    label = Label.objects.get()
    assert (answer.status, answer.body) == (201, "")
    assert answer.headers["Location"] == f"/api/v2.0/labels/{label.pk}"
    path = f"/labels/{label.pk}"
    shown = call.get("guest", path).body
    assert shown.pop("creation_time").endswith("Z")
    assert shown.pop("update_time").endswith("Z")
    assert shown == {"id": label.pk, **body}
    change = {"name": "old", "scope": "g", "project_id": company.public.pk, "id": 7}
    answer = call("maintainer", "PUT", path, change)
    assert (answer.status, answer.body) == (200, "")
    after = call.get("guest", path).body
    assert (after["name"], after["description"], after["color"]) == ("old", "", "")
    assert (after["scope"], after["project_id"]) == ("p", company.private.pk)
    answer = call("maintainer", "DELETE", path)
    assert (answer.status, answer.body) == (200, "")
    assert call.get("guest", path).status == 404
    told = Event.objects.filter(resource_type="label").order_by("pk")
    assert [(event.operation, event.resource) for event in told] == [
        ("create", "stable"),
        ("update", "old"),
        ("delete", "old"),
    ]


def test_a_name_is_taken_once_where_it_belongs(call: Caller, company: Company) -> None:
    assert call("admin", "POST", "/labels", of_project(company)).status == 201
    assert call("admin", "POST", "/labels", of_project(company)).status == 409
    assert call("administrator", "POST", "/labels", {"name": "stable", "scope": "g"}).status == 201
    answer = call("administrator", "POST", "/labels", {"name": "stable", "scope": "g", "project_id": 7})
    assert (answer.status, answer.code) == (409, "CONFLICT")
    other = call("admin", "POST", "/labels", of_project(company, name="other")).headers["Location"]
    assert call("admin", "PUT", other.removeprefix("/api/v2.0"), {"name": "stable"}).status == 409


def test_labels_are_listed_by_scope(call: Caller, company: Company) -> None:
    for name in ("b%", "a", "c"):
        label_create(project=company.private, name=name, color="red")
    label_create(project=None, name="everywhere")
    label_create(project=company.public, name="elsewhere")
    own = f"/labels?scope=p&project_id={company.private.pk}"
    for path, found in (
        (own, ["a", "b%", "c"]),
        (f"{own}&name=%25", ["b%"]),
        (f"{own}&name=A", ["a"]),
        (f"{own}&q=name%3Dc", ["c"]),
        (f"{own}&q=color%3Dred&sort=-name", ["c", "b%", "a"]),
        (f"{own}&page=2&page_size=2", ["c"]),
        ("/labels?scope=g", ["everywhere"]),
        (f"/labels?scope=p&project_id={company.public.pk}", ["elsewhere"]),
    ):
        answer = call.get("guest", path)
        assert (path, [label["name"] for label in answer.body]) == (path, found)
    assert call.get("guest", own).headers["X-Total-Count"] == "3"


def test_who_lists_which(call: Caller, company: Company) -> None:
    paths = {
        "private": f"/labels?scope=p&project_id={company.private.pk}",
        "public": f"/labels?scope=p&project_id={company.public.pk}",
        "missing": "/labels?scope=p&project_id=999999",
        "global": "/labels?scope=g",
    }
    for name, statuses in (
        ("anonymous", (401, 200, 401, 401)),
        ("stranger", (404, 200, 404, 200)),
        ("limited_guest", (403, 200, 404, 200)),
        ("guest", (200, 200, 404, 200)),
        ("robot_of_private", (403, 200, 404, 200)),
        ("robot_of_public", (404, 200, 404, 200)),
        ("administrator", (200, 200, 404, 200)),
    ):
        assert (name, tuple(call.get(name, path).status for path in paths.values())) == (name, statuses)
    for query in ("", "scope=x", "scope=p", "scope=p&project_id=x", "scope=p&project_id=-1", "scope=g&q=x%3D1"):
        assert (query, call.get("guest", f"/labels?{query}").status) == (query, 400)


def test_who_writes_which(call: Caller, company: Company) -> None:
    robot, secret = robot_create(
        creator=company.actors["administrator"],
        name="labeller",
        project=None,
        permissions=[Permission("system", "/", frozenset({"label:create"}))],
    )
    call.signed_in_as("labeller", robot.user.login, secret)
    for name, in_project, everywhere in (
        ("anonymous", 401, 401),
        ("stranger", 404, 403),
        ("developer", 403, 403),
        ("robot_of_private", 403, 403),
        ("maintainer", 201, 403),
        ("admin", 201, 403),
        ("labeller", 404, 201),
        ("administrator", 201, 201),
    ):
        got = (
            call(name, "POST", "/labels", of_project(company, name=name)).status,
            call(name, "POST", "/labels", {"name": name, "scope": "g"}).status,
        )
        assert (name, got) == (name, (in_project, everywhere))
    assert call("stranger", "POST", "/labels", of_project(company, project_id=company.public.pk)).status == 403


def test_labels_of_elsewhere_are_not_found(call: Caller, company: Company) -> None:
    """S-17"""
    own = label_create(project=company.private, name="own").pk
    everywhere = label_create(project=None, name="everywhere").pk
    public = label_create(project=company.public, name="public").pk
    for name, number, read, write in (
        ("stranger", own, 404, 404),
        ("stranger", 999999, 404, 404),
        ("stranger", 2**70, 404, 404),
        ("stranger", public, 200, 403),
        ("stranger", everywhere, 403, 403),
        ("maintainer", public, 200, 403),
        ("maintainer", everywhere, 403, 403),
        ("developer", own, 200, 403),
        ("limited_guest", own, 404, 404),
        ("robot_of_public", own, 404, 404),
        ("anonymous", own, 401, 401),
        ("anonymous", everywhere, 401, 401),
        ("anonymous", public, 200, 401),
        ("anonymous", 999999, 401, 401),
    ):
        got = (
            call.get(name, f"/labels/{number}").status,
            call(name, "PUT", f"/labels/{number}", {"name": "taken over"}).status,
            call(name, "DELETE", f"/labels/{number}").status,
        )
        assert (name, number, got) == (name, number, (read, write, write))
    hidden, missing = call.get("stranger", f"/labels/{own}"), call.get("stranger", "/labels/999999")
    assert hidden.body == missing.body
    assert set(Label.objects.values_list("name", flat=True)) == {"own", "everywhere", "public"}


def test_a_bad_label_is_refused_by_field(call: Caller, company: Company) -> None:
    for body, field in (
        ({}, "name"),
        (of_project(company, name=""), "name"),
        (of_project(company, name="a" * 129), "name"),
        (of_project(company, name="a\nb"), "name"),
        (of_project(company, name=None), "name"),
        (of_project(company, scope="x"), "scope"),
        ({"name": "a"}, "scope"),
        (of_project(company, project_id=None), "project_id"),
        (of_project(company, project_id="private"), "project_id"),
        (of_project(company, color="red; background: url(x)"), "color"),
        (of_project(company, color="#12"), "color"),
        (of_project(company, description="a\u202e"), "description"),
    ):
        answer = call("admin", "POST", "/labels", body)
        assert (body, answer.status) == (body, 400)
        assert field in answer.error
    assert not Label.objects.exists()


def test_a_list_costs_the_same_whatever_its_length(call: Caller, company: Company) -> None:
    path = f"/labels?page_size=100&scope=p&project_id={company.private.pk}"

    def cost() -> int:
        call.get("guest", path)
        with CaptureQueriesContext(connection) as queries:
            assert call.get("guest", path).status == 200
        return len(queries)

    label_create(project=company.private, name="first")
    before = cost()
    for number in range(20):
        label_create(project=company.private, name=f"more{number}")
    assert cost() == before <= 4
