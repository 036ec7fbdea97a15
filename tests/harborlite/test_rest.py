"""The REST API's conventions, apart from what any one operation does."""

import json
from contextlib import closing
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from rest_framework import serializers
from rest_framework.request import Request

from harborlite import docs
from harborlite.actors import OPERATOR
from harborlite.errors import BadRequest
from harborlite.http import client_address
from harborlite.rest import fields
from harborlite.rest.listing import Field, Flag, Listing, Moment, Number, Text, page_of
from harborlite.rest.openapi import operation
from harborlite.rest.q import Condition, Order, parse_q, parse_sort
from harborlite.rest.views import RestView

Q = {
    "name=a": [Condition("name", "exact", ("a",))],
    "name=~a b": [Condition("name", "fuzzy", ("a b",))],
    "size=[1~2]": [Condition("size", "range", ("1", "2"))],
    "size=[~2]": [Condition("size", "range", ("", "2"))],
    "name={a b}": [Condition("name", "any", ("a", "b"))],
    'name=("a b" c)': [Condition("name", "all", ("a b", "c"))],
    "name=a,size=1": [Condition("name", "exact", ("a",)), Condition("size", "exact", ("1",))],
    "name=a,b,size=1": [Condition("name", "exact", ("a,b",)), Condition("size", "exact", ("1",))],
    "labels=(1,2),name=a": [Condition("labels", "all", ("1,2",)), Condition("name", "exact", ("a",))],
    "name=a=b": [Condition("name", "exact", ("a=b",))],
    'name="a,b=c"': [Condition("name", "exact", ("a,b=c",))],
    "name%3D~a%2Csize%3D1": [Condition("name", "fuzzy", ("a",)), Condition("size", "exact", ("1",))],
    ",name=a,": [Condition("name", "exact", ("a",))],
    "": [],
}


@pytest.mark.parametrize("text", Q)
def test_q_is_read_as_harbor_reads_it(text: str) -> None:
    assert parse_q(text) == Q[text]


@pytest.mark.parametrize(
    "text", ["name", "=a", "name=", "size=[1]", "size=[~]", "size=[1~2~3]", "name={a", "name={a}b"]
)
def test_q_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="q"):
        parse_q(text)


def test_sort_names_keys_and_directions() -> None:
    assert parse_sort("-a, b ,+c") == [
        Order("a", is_descending=True),
        Order("b", is_descending=False),
        Order("c", is_descending=False),
    ]


@pytest.mark.parametrize("text", ["a;b", "--a", "a b", "-", "a\0", ",".join(["a"] * 9)])
def test_sort_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="sort"):
        parse_sort(text)


# Pages.


def _page(query: str, count: int = 25) -> tuple[list[int], int, str]:
    page = page_of(RequestFactory().get(f"/api/v2.0/things/a%252Fb{query}"), range(count))
    return list(page.rows), page.total, page.link


def test_a_page_has_ten_rows_unless_asked_otherwise() -> None:
    assert _page("") == (
        list(range(10)), 25, '</api/v2.0/things/a%252Fb?page=2&page_size=10>; rel="next"',
    )  # fmt: skip


def test_links_are_relative_and_keep_what_was_asked() -> None:
    link = _page("?q=name%3D~a&page=2&page_size=5")[2]
    assert link == (
        '</api/v2.0/things/a%252Fb?q=name%3D~a&page=1&page_size=5>; rel="prev" , '
        '</api/v2.0/things/a%252Fb?q=name%3D~a&page=3&page_size=5>; rel="next"'
    )


def test_the_last_page_leads_only_back() -> None:
    rows, total, link = _page("?page=3")
    assert (len(rows), total) == (5, 25)
    assert "next" not in link


def test_a_page_past_the_end_is_empty() -> None:
    assert _page("?page=4")[:2] == ([], 25)
    assert _page("?page=999999999") == ([], 25, "")


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=-1", "?page=a", "?page_size=0", "?page_size=101", "?page=1e3", "?page=٣"]
)
def test_bad_pages_are_refused_by_name(query: str) -> None:
    with pytest.raises(BadRequest, match="page"):
        _page(query)


# A list in the database.

THINGS = Listing(
    {
        "name": Field("username", Text),
        "id": Field("pk", Number),
        "admin": Field("is_superuser", Flag, is_sortable=False),
        "creation_time": Field("created_at", Moment),
        "hidden": Field("password", Text, is_filterable=False, is_sortable=False),
    },
    default="name",
)


@pytest.fixture
def people(db: None) -> Any:
    from accounts.models import User
    from accounts.services import user_create

    for name in ("ada", "bob", "b%b", "b_b"):
        user_create(username=name, password=None) if "%" not in name else User.objects.create(
            username=name, username_key=name
        )
    return User.objects.all()


def _names(rows: Any) -> list[str]:
    return [user.username for user in rows]


def test_conditions_and_orders_reach_the_database(people: Any) -> None:
    assert _names(THINGS.select(people, "name=~B", "-name")) == ["bob", "b_b", "b%b"]
    assert _names(THINGS.select(people, "name={ada bob},admin=false", "")) == ["ada", "bob"]
    assert _names(THINGS.select(people, "creation_time=[2000-01-01 00:00:00~2001-01-01]", "")) == []
    assert len(THINGS.select(people, "creation_time=[2000-01-01T00:00:00Z~]", "")) == 4


def test_wildcards_of_like_mean_themselves(people: Any) -> None:
    assert _names(THINGS.select(people, "name=~%", "")) == ["b%b"]
    assert _names(THINGS.select(people, "name=~_", "")) == ["b_b"]


@pytest.mark.parametrize(
    ("q", "sort"),
    [
        ("hidden=~a", ""), ("password=~a", ""), ("username=a", ""), ("pk__in={1}", ""), ("_connector=OR", ""),
        ("", "hidden"), ("", "-password"), ("", "username"), ("", "admin"), ("id=a", ""), ("id=~1", ""),
        ("id=99999999999999999999", ""), ("id=٣", ""), ("admin=maybe", ""), ("creation_time=now", ""),
        ("creation_time=9999-99-99", ""), ("name=[a~b]", ""), ("name=a\0", ""), ("name=a\u202eb", ""),
    ],
)  # fmt: skip
def test_what_is_not_listed_is_refused_by_name(people: Any, q: str, sort: str) -> None:
    with pytest.raises(BadRequest, match=(q or sort).strip("-").split("=")[0]):
        list(THINGS.select(people, q, sort))


# A view.


class ThingIn(serializers.Serializer[Any]):
    name = fields.Line()
    count = fields.Id(required=False)
    flags = serializers.ListField(child=fields.Flag(), required=False)


class ThingOut(serializers.Serializer[Any]):
    name = fields.Line()
    when = fields.Moment()


class Things(RestView):
    authentication_classes = ()
    needs = {"GET": None, "POST": None, "PUT": "thing:update"}

    @operation(gives=ThingOut, many=True)
    def get(self, request: Request) -> HttpResponse:
        return self.listed([{"name": str(number), "when": None} for number in range(3)], None, ThingOut)

    @operation(takes=ThingIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        values = self.body(ThingIn)
        return self.created("/api/v2.0/things/7", f"/api/v2.0/things/{values['name']}")

    @operation(takes=ThingIn)
    def put(self, request: Request) -> HttpResponse:
        return self.done()

    delete = put


class Thing(RestView):
    authentication_classes = ()
    needs = {"GET": None}

    @operation(gives=ThingOut)
    def get(self, request: Request, thing_id: int) -> HttpResponse:
        return self.shown(ThingOut({"name": str(thing_id), "when": None}))


urlpatterns = [path("things", Things.as_view()), path("things/<id:thing_id>", Thing.as_view())]
here = pytest.mark.urls(__name__)


def _said(response: Any) -> tuple[int, str, str]:
    error = json.loads(response.content)["errors"][0]
    return response.status_code, error["code"], error["message"]


@here
def test_a_list_says_how_many_there_are(client: Any) -> None:
    response = client.get("/things?page_size=1&page=2")
    assert response.json() == [{"name": "1", "when": "0001-01-01T00:00:00.000Z"}]
    assert response["X-Total-Count"] == "3"
    assert response["Content-Type"] == "application/json"


@here
def test_created_names_the_path_by_id_or_by_name(client: Any) -> None:
    body = {"name": "a"}
    response = client.post("/things", body, content_type="application/json")
    assert (response.status_code, response["Location"], response.content) == (201, "/api/v2.0/things/7", b"")
    response = client.post(
        "/things", body, content_type="application/json", headers={"X-Resource-Name-In-Location": "true"}
    )
    assert response["Location"] == "/api/v2.0/things/a"


@here
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"name": ', "the body is no JSON"),
        ("[" * 100_000, "the body is no JSON"),
        ('{"name": NaN}', "the body is no JSON"),
        ('{"count": ' + "9" * 5000 + "}", "the body is no JSON"),
        ("[]", "expected a dictionary"),
        ("{}", "name: this field is required"),
        ('{"name": 1}', "name: not a valid string"),
        ('{"name": "a\\u0000"}', "name: control"),
        ('{"name": "\\ud800"}', "name: control"),
        ('{"name": "a\\u202eb"}', "name: control"),
        ('{"name": "a\\nb"}', "name: control"),
        ('{"name": "' + "a" * 256 + '"}', "name: ensure"),
        ('{"name": "a", "count": -1}', "count: ensure"),
        ('{"name": "a", "count": "1"}', "count: a valid integer"),
        ('{"name": "a", "count": 9223372036854775808}', "count: ensure"),
        ('{"name": "a", "flags": [true, 1]}', "flags.1: must be a valid"),
    ],
)
def test_a_bad_body_is_refused_by_the_field(client: Any, body: str, message: str) -> None:
    status, code, said = _said(client.post("/things", body, content_type="application/json"))
    assert (status, code) == (400, "BAD_REQUEST")
    assert message in said.lower() or message in said


@here
def test_other_media_types_and_large_bodies_are_refused(client: Any) -> None:
    assert _said(client.post("/things", "name=a", content_type="application/x-www-form-urlencoded"))[0] == 415
    large = json.dumps({"name": "a" * 1024 * 1024})
    assert _said(client.post("/things", large, content_type="application/json"))[:2] == (
        413,
        "REQUEST_ENTITY_TOO_LARGE",
    )


@here
def test_methods_outside_the_table_are_refused_even_when_there_is_code_for_them(client: Any) -> None:
    response = client.delete("/things")
    assert _said(response)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, POST, PUT, HEAD, OPTIONS"
    assert client.options("/things").status_code == 204


@here
def test_nobody_is_asked_to_sign_in_where_a_right_is_needed(client: Any) -> None:
    assert _said(client.put("/things", {}, content_type="application/json"))[:2] == (401, "UNAUTHORIZED")


@here
@pytest.mark.parametrize("text", ["a", "-1", "1.0", "0x1", "%D9%A3", "1%20", "9" * 40])
def test_an_id_that_is_no_number_is_refused_by_name(client: Any, text: str) -> None:
    status, code, message = _said(client.get(f"/things/{text}"))
    assert (status, code) == (400, "BAD_REQUEST")
    assert message.startswith("thing_id: ")
    assert client.get("/things/7").json()["name"] == "7"


def test_errors_are_in_utf8_json() -> None:
    response = Things.as_view()(RequestFactory().delete("/things"))
    assert response["Content-Type"] == "application/json; charset=utf-8"


# Where a request comes from.


@override_settings(TRUSTED_PROXIES=["10.0.0.1", "10.0.0.2", "172.16.0.0/12"])
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("172.31.0.9", "203.0.113.9, 198.51.100.1, 172.16.0.1", "198.51.100.1"),
        ("172.32.0.9", "198.51.100.1", "172.32.0.9"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR=peer)
    assert client_address(request.META) == address


def test_outside_of_requests_the_operator_acts() -> None:
    from harborlite import origin

    assert origin.current().actor == OPERATOR


# The description.


def test_the_description_is_whole(client: Any) -> None:
    docs._document.cache_clear()
    reset_generator_stats()
    document = json.loads(docs.openapi(RequestFactory().get("/")).content)
    assert document["openapi"].startswith("3.")
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    assert not GENERATOR_STATS, "something could not be described"
    assert all(path.startswith("/api/v2.0/") for path in document["paths"])


def test_the_page_needs_nothing_from_elsewhere(client: Any, db: None) -> None:
    page = client.get("/api/docs")
    assert "'unsafe" not in page["Content-Security-Policy"]
    assert b"//" not in page.content.replace(b"<!doctype html>", b"")
    for name in ("api-docs.js", "api-docs.css", "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"):
        assert f"/static/{name}".encode() in page.content
        with closing(client.get(f"/static/{name}")) as answer:
            assert answer.status_code == 200
