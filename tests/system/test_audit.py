"""The audit trail as it is read: who sees what of it, what it can be asked, pages, CSV."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from accounts.services import token_issue, user_create
from projects.models import Project
from projects.services.projects import project_create
from system import queries
from system.events import TYPES
from system.models import Event
from tests.factories import World
from tests.rest.api import Api

OLD = {"id", "username", "resource", "resource_type", "operation", "op_time"}
EXTENDED = OLD | {"operation_description", "operation_result"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Reader:
    """Somebody who reads the trail, in this process."""

    def __init__(self, user: User) -> None:
        _, secret = token_issue(user=user, name="trail")
        credentials = b64encode(f"{user.login}:{secret}".encode()).decode()
        self.client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Basic {credentials}"})

    def __call__(self, path: str = "/auditlog-exts", **query: object) -> Any:
        accept = {"headers": {"Accept": query.pop("accept")}} if "accept" in query else {}
        return self.client.get(f"/api/v2.0{path}?{urlencode(query)}", **accept)  # type: ignore[arg-type]

    def resources(self, path: str = "/auditlog-exts", **query: object) -> list[str]:
        answer = self(path, **query)
        assert answer.status_code == 200, answer.content
        return [row["resource"] for row in answer.json()]


@pytest.fixture
def admin(db: None) -> Reader:
    reader = Reader(user_create(username="boss", password=None, is_admin=True))
    Event.objects.all().delete()
    return reader


def written(count: int = 0, **values: object) -> None:
    """One event with these values, or `count`, a minute apart, the newest last."""
    rows = [
        Event(
            **{
                "at": NOON + timedelta(minutes=number), "username": "alice", "operation": "create",
                "resource_type": "project", "resource": f"demo{number}", "description": "create", **values,
            }
        )
        for number in range(count or 1)
    ]  # fmt: skip
    Event.objects.bulk_create(rows)


# Forms.


def test_harbors_extended_form(admin: Reader) -> None:
    written(project_id=3, address="192.0.2.1", request_id="r-1", extra={"color": "red"}, is_successful=False)
    (row,) = admin().json()
    assert set(row) == EXTENDED
    assert (row["username"], row["operation"], row["resource_type"], row["resource"]) == (
        "alice", "create", "project", "demo0",
    )  # fmt: skip
    assert row["op_time"] == "2026-03-01T12:00:00.000Z"
    assert row["operation_result"] is False


def test_harbors_old_form(admin: Reader) -> None:
    written()
    (row,) = admin("/audit-logs").json()
    assert set(row) == OLD


def test_the_types_that_can_be_switched_off(admin: Reader) -> None:
    assert admin("/auditlog-exts/events").json() == [{"event_type": event_type} for event_type in TYPES]


# Questions.


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("username=alice", ["a"]),
        ("username=~LIC", ["a"]),
        ("username={alice bob}", ["b", "a"]),
        ("operation=delete", ["b"]),
        ("operation=~ELET", ["b"]),
        ("operation=~nothing", []),
        ("resource_type=tag", ["b"]),
        ("resource_type=~ta", ["b"]),
        ("resource=a", ["a"]),
        ("resource=~_", ["c_d"]),
        ("resource=~%", []),
        ("resource=~A", ["a"]),
        ("project_id=3", ["b"]),
        ("operation_result=false", ["c_d"]),
        ("op_time=[2026-03-01T13:00:00~]", ["c_d"]),
        ("op_time=[2026-03-01 11:00:00~2026-03-01 12:30:00]", ["b", "a"]),
        ("username=bob,operation=delete", ["b"]),
        ("username=bob,operation=create", []),
        (quote("username=bob"), ["b"]),
    ],
)
def test_it_can_be_asked(admin: Reader, q: str, found: list[str]) -> None:
    written(resource="a")
    written(resource="b", username="bob", operation="delete", resource_type="tag", project_id=3)
    written(resource="c_d", username="carol", at=NOON + timedelta(hours=2), is_successful=False)
    assert admin.resources(q=q) == found


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"q": "password=x"}, "password"),
        ({"q": "extra__secret=x"}, "extra__secret"),
        ({"q": "address=192.0.2.1"}, "address"),
        ({"q": "op_time=yesterday"}, "op_time"),
        ({"q": "op_time=~2026"}, "op_time"),
        ({"q": "project_id=abc"}, "project_id"),
        ({"q": "operation_result=maybe"}, "operation_result"),
        ({"q": "operation=[a~b]"}, "operation"),
        ({"q": "username"}, "q"),
        ({"q": "username=a\0b"}, "username"),
        ({"sort": "extra"}, "extra"),
        ({"sort": "pk;select"}, "sort"),
        ({"sort": "-project_id"}, "project_id"),
        ({"page": 0}, "page"),
        ({"page_size": 101}, "page_size"),
        ({"format": "xml"}, "format"),
        ({"format": "csv", "sort": "username"}, "sort"),
    ],
)
@pytest.mark.parametrize("path", ["/audit-logs", "/auditlog-exts"])
def test_a_bad_question_is_400_and_says_what_is_wrong(
    admin: Reader, path: str, query: dict[str, object], told: str
) -> None:
    answer = admin(path, **query)
    assert answer.status_code == 400
    assert told in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("", "demo2"), ("-op_time", "demo2"), ("op_time", "demo0"), ("resource", "demo0"), ("-id", "demo2")],
)
def test_it_can_be_ordered(admin: Reader, sort: str, first: str) -> None:
    written(3)
    assert admin.resources(sort=sort)[0] == first


# Pages.


def test_pages(admin: Reader) -> None:
    written(25)
    answer = admin(page=2, page_size=10, q="username=alice")
    assert [row["resource"] for row in answer.json()] == [f"demo{number}" for number in range(14, 4, -1)]
    assert answer["X-Total-Count"] == "25"
    assert answer["Link"] == (
        '</api/v2.0/auditlog-exts?q=username%3Dalice&page=1&page_size=10>; rel="prev" , '
        f'</api/v2.0/auditlog-exts?q=username%3Dalice&page=3&page_size=10&after={answer.json()[-1]["id"]}>; rel="next"'
    )
    past = admin(page=4, page_size=10)
    assert (past.json(), past["X-Total-Count"]) == ([], "25")


@pytest.mark.parametrize("sort", ["", "op_time", "-op_time", "username", "-id"])
def test_following_links_every_event_is_met_once_also_while_others_come(admin: Reader, sort: str) -> None:
    written(25, at=NOON)
    written(20)
    answer = admin(sort=sort, page_size=7)
    seen, pages = [row["id"] for row in answer.json()], 1
    while following := _next(answer):
        if sort == "":
            written(at=NOON + timedelta(days=pages), username="late")
        answer = admin.client.get(following)
        seen += [row["id"] for row in answer.json()]
        pages += 1
    assert len(seen) == len(set(seen)) == 45
    assert pages == 7


def _next(answer: Any) -> str:
    links = answer.get("Link", "").split(" , ")
    return next((link[1 : link.index(">")] for link in links if link.endswith('rel="next"')), "")


def test_an_event_that_is_gone_is_no_hindrance(admin: Reader) -> None:
    """Then the page's number tells where it begins."""
    written(25)
    assert admin.resources(page=2, page_size=10, after=2**62) == [f"demo{number}" for number in range(14, 4, -1)]
    for wrong in ("x", "0", "-1", str(2**63)):
        assert admin(after=wrong).status_code == 400


def test_a_total_beyond_counting_is_estimated_and_never_ends_the_list_early(
    admin: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's statistics are old: they know of 40 rows. Whoever follows the links sees all 95."""
    monkeypatch.setattr(queries, "EXACT", 20)
    written(40)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE system_event")
    assert int(admin(page_size=10)["X-Total-Count"]) >= 21
    written(55, username="bob")
    seen: list[int] = []
    path, totals = "/api/v2.0/auditlog-exts?page_size=10", []
    while path:
        answer = admin.client.get(path)
        seen += [row["id"] for row in answer.json()]
        totals.append(int(answer["X-Total-Count"]))
        path = _next(answer)
    assert len(seen) == len(set(seen)) == 95
    assert totals[-1] == 95
    assert all(total > 20 for total in totals)


def test_a_page_costs_as_much_as_another(admin: Reader, django_assert_num_queries: Any) -> None:
    written(300)
    admin()
    for query in ({}, {"page_size": 100}, {"page": 2, "page_size": 100}, {"q": "username=~a,operation=create"}):
        with django_assert_num_queries(4):  # who asks, ids, how many, rows
            admin(**query)


INDEXES = {
    "": "event_at",
    "project_id=3": "event_project",
    "username=alice": "event_username",
    "operation=delete": "event_operation",
    "operation=~delet": "event_operation",
    "resource_type=tag": "event_resource_type",
    "resource=rare": "event_resource",
    "resource=~rar": "event_resource_part",
    "username=~alice": "event_username_part",
    "operation_result=false": "event_failed",
    "op_time=[2026-03-01~2026-03-02]": "event_at",
}


@pytest.mark.parametrize("q", INDEXES)
def test_whatever_it_is_asked_comes_out_of_an_index(admin: Reader, q: str) -> None:
    """Of a table like one of millions: two thousand rows in which what is asked for is rare."""
    written(2000, project_id=1, operation="pull", resource_type="artifact", username="robot")
    written(3, project_id=3, operation="delete", resource_type="tag", resource="rare", is_successful=False)
    rows = queries.EVENTS.select(Event.objects.all(), q, "").values_list("pk", flat=True)
    rows = rows.order_by() if "=~" in q else rows[:10]  # ten of two thousand are found as soon without
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE system_event")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = json.loads(rows.explain(format="json"))[0]["Plan"]
    assert INDEXES[q] in _indexes(plan)


def _indexes(plan: dict[str, Any]) -> set[str]:
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    return found.union(*(_indexes(below) for below in plan.get("Plans", [])))


# CSV.


@pytest.fixture
def trail(transactional_db: None) -> Reader:
    """Where reading gives its connection back between two batches."""
    reader = Reader(user_create(username="boss", password=None, is_admin=True))
    Event.objects.all().delete()
    return reader


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


@pytest.mark.parametrize("query", [{"format": "csv"}, {"accept": "text/csv"}])
def test_all_of_it_can_be_had_as_csv(trail: Reader, query: dict[str, object]) -> None:
    written(2501, address="192.0.2.1", request_id="r-1", project_id=3)
    rows = rows_of(trail(**query))
    assert [row["resource"] for row in rows] == [f"demo{number}" for number in range(2500, -1, -1)]
    assert set(rows[0]) == EXTENDED | {"address", "project_id", "request_id"}
    assert rows[0]["address"] == "192.0.2.1"
    assert rows[0]["op_time"] == "2026-03-03T05:40:00.000Z"
    assert [row["resource"] for row in rows_of(trail(format="csv", sort="op_time"))] == [
        f"demo{number}" for number in range(2501)
    ]


def test_many_events_of_one_moment_are_each_there_once(trail: Reader) -> None:
    written(2500, at=NOON)
    for sort in ("op_time", "-op_time"):
        assert len({row["id"] for row in rows_of(trail(format="csv", sort=sort))}) == 2500


def test_csv_has_what_was_asked_for(trail: Reader) -> None:
    written(3)
    written(2, username="bob")
    assert {row["username"] for row in rows_of(trail(format="csv", q="username=bob", page_size=1))} == {"bob"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")'])
def test_no_cell_of_the_csv_is_a_formula(trail: Reader, text: str) -> None:
    written(username=text, resource=text, description=text)
    (row,) = rows_of(trail(format="csv"))
    assert (row["username"], row["resource"], row["operation_description"]) == (f"'{text}",) * 3


# Who sees what.


def _project(name: str, owner: User) -> Project:
    project = project_create(name=name, owner=owner)
    Event.objects.all().delete()
    return project


def test_a_user_sees_the_projects_whose_trail_they_may_read(admin: Reader) -> None:
    alice, bob = (user_create(username=name, password=None) for name in ("alice", "bob"))
    hers, his = _project("hers", alice), _project("his", bob)
    readers: Sequence[tuple[Reader, list[str]]] = ((Reader(alice), ["in hers"]), (Reader(bob), ["in his"]))
    Event.objects.all().delete()
    written(resource="nowhere")
    written(resource="in hers", project_id=hers.pk)
    written(resource="in his", project_id=his.pk)
    for reader, found in readers:
        for path in ("/audit-logs", "/auditlog-exts"):
            answer = reader(path)
            assert [row["resource"] for row in answer.json()] == found
            assert answer["X-Total-Count"] == "1"
            assert reader(path, q=f"project_id={hers.pk + his.pk}").json() == []
    assert admin.resources(sort="id") == ["nowhere", "in hers", "in his"]
    foreign = Event.objects.get(resource="nowhere").pk  # not even the time of it is to be found out by asking behind it
    assert readers[0][0].resources(after=foreign) == ["in hers"]
    assert admin.resources("/projects/hers/auditlog-exts") == admin.resources("/projects/hers/logs") == ["in hers"]


@pytest.mark.parametrize("path", ["/audit-logs", "/auditlog-exts"])
def test_who_may_read_no_trail_sees_nothing_and_nobody_is_to_sign_in(world: World, path: str) -> None:
    guest, stranger = world.user(), world.user()
    world.project(members={guest: "maintainer"})
    for account in (guest, stranger, world.robot(world.home)):
        answer = Api(world.url, account)("GET", path)
        assert (answer.status, answer.json(), answer.headers["X-Total-Count"]) == (200, [], "0")
    assert Api(world.url)("GET", path).status == 401


@pytest.mark.parametrize("path", ["logs", "auditlog-exts"])
def test_the_trail_of_a_project_is_its_administrators(world: World, path: str) -> None:
    people = {role: world.user() for role in ("project admin", "maintainer", "developer", "guest", "limited guest")}
    project = world.project(members={account: role for role, account in people.items()})
    statuses = {
        role: Api(world.url, account)("GET", f"/projects/{project}/{path}").status for role, account in people.items()
    }
    assert statuses == {"project admin": 200, "maintainer": 403, "developer": 403, "guest": 403, "limited guest": 403}
    stranger, nobody = Api(world.url, world.user()), Api(world.url)
    for name in (project, "no-such-project"):
        assert stranger("GET", f"/projects/{name}/{path}").status == 404
        assert nobody("GET", f"/projects/{name}/{path}").status == 401
    reads = world.robot(project, ("log:list",))
    assert Api(world.url, reads)("GET", f"/projects/{project}/{path}").status == 200
    assert Api(world.url, world.robot(project))("GET", f"/projects/{project}/{path}").status == 403


def test_types_of_events_are_for_administrators(world: World) -> None:
    assert Api(world.url)("GET", "/auditlog-exts/events").status == 401
    assert Api(world.url, world.user())("GET", "/auditlog-exts/events").status == 403


def test_csv_whose_reader_does_not_read_holds_no_place(world: World) -> None:
    """More often than a process has places for transfers."""
    admin = Api(world.url, world.admin_account)
    for _ in range(80):
        assert admin("HEAD", "/auditlog-exts?format=csv").status == 200
    assert admin("GET", "/auditlog-exts?format=csv").status == 200
