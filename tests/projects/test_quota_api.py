"""Quotas in the REST API: who sees and sets them, in which order they are listed, which limits are none."""

from typing import Any

import pytest

from tests.factories import Account, World, fresh
from tests.images import unique
from tests.rest.api import Api


@pytest.fixture(scope="module")
def admin(world: World) -> Api:
    return Api(world.url, world.admin_account)


@pytest.fixture(scope="module")
def project(world: World) -> str:
    return world.project()


def quota_of(admin: Api, project: str) -> Any:
    (found,) = admin.all("/quotas", q=f"name={project}")
    return found


def test_a_quota_says_whose_it_is_and_how_much(admin: Api, world: World) -> None:
    size, project = 1234, world.project()
    world.player().push_blob(world.repository(project), unique(size))
    quota = quota_of(admin, project)
    assert quota["hard"] == {"storage": -1}
    assert quota["used"] == {"storage": size}
    assert set(quota) == {"id", "ref", "hard", "used", "creation_time", "update_time"}
    assert quota["ref"] == {"id": quota["ref"]["id"], "name": project, "owner_name": world.owner.login}
    assert admin.get(f"/quotas/{quota['id']}") == quota


@pytest.mark.parametrize("limit", [1, 10 << 20, 2**63 - 1, -1])
def test_setting_the_limit(admin: Api, project: str, limit: int) -> None:
    path = f"/quotas/{quota_of(admin, project)['id']}"
    admin.done("PUT", path, {"hard": {"storage": limit}})
    assert admin.get(path)["hard"] == {"storage": limit}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"hard": {}},
        {"hard": None},
        {"hard": 5},
        {"hard": {"storage": 0}},
        {"hard": {"storage": -2}},
        {"hard": {"storage": 2**63}},
        {"hard": {"storage": 10**30}},
        {"hard": {"storage": 1.5}},
        {"hard": {"storage": "5"}},
        {"hard": {"storage": True}},
        {"hard": {"storage": None}},
        {"hard": {"count": 5}},
        {"hard": {"storage": 5, "count": 5}},
    ],
)
def test_what_is_no_limit_is_a_bad_request_that_names_it(admin: Api, project: str, body: object) -> None:
    path = f"/quotas/{quota_of(admin, project)['id']}"
    before = admin.get(path)
    answer = admin("PUT", path, body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"]), answer
    assert "hard" in answer.json()["errors"][0]["message"]
    assert admin.get(path) == before


def test_no_quota_of_that_id(admin: Api) -> None:
    for number in (0, 10**9, 10**30):
        assert admin("GET", f"/quotas/{number}").status == 404
        assert admin("PUT", f"/quotas/{number}", {"hard": {"storage": 5}}).status == 404


def test_quotas_of_one_project(admin: Api, project: str) -> None:
    quota = quota_of(admin, project)
    asked = {"reference": "project", "reference_id": quota["ref"]["id"]}
    assert admin.get("/quotas", **asked) == [quota]
    assert admin.get("/quotas", reference_id=10**9) == []
    assert admin.get("/quotas", **{**asked, "reference": "user"}) == []
    answer = admin("GET", "/quotas?reference_id=x")
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "reference_id" in answer.json()["errors"][0]["message"]


def test_terraform_s_spelling_and_its_last_page(admin: Api) -> None:
    first = admin("GET", "/quotas/?page=1&page_size=1")
    assert first.status == 200
    total = int(first.headers["X-Total-Count"])
    assert len(first.json()) == 1
    assert "<" in first.headers["Link"] or total == 1
    last = admin("GET", f"/quotas/?page={total + 1}&page_size=1")
    assert (last.status, last.json()) == (200, [])
    assert len(admin.all("/quotas/", page_size=1)) == total


@pytest.mark.parametrize("key", ["hard", "used"])
def test_lists_by_limit_and_by_use(admin: Api, world: World, key: str) -> None:
    """No limit is the highest, as in Harbor."""
    expected = []
    for limit, size in ((1 << 20, 300), (-1, 100), (1 << 30, 200)):
        name = world.project()
        world.player().push_blob(world.repository(name), unique(size))
        admin.done("PUT", f"/quotas/{quota_of(admin, name)['id']}", {"hard": {"storage": limit}})
        expected.append(({"hard": limit if limit != -1 else 1 << 70, "used": size}[key], name))
    for sign in ("", "-"):
        listed = [row["ref"]["name"] for row in admin.all("/quotas", sort=f"{sign}{key}.storage", page_size=100)]
        ours = [name for name in listed if name in {name for _, name in expected}]
        assert ours == [name for _, name in sorted(expected, reverse=bool(sign))]


def test_a_sort_that_is_none_is_named(admin: Api) -> None:
    answer = admin("GET", "/quotas?sort=hard.count")
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "sort" in answer.json()["errors"][0]["message"]


def test_only_who_sees_to_the_instance_sees_them(admin: Api, world: World, project: str) -> None:
    quota = quota_of(admin, project)
    requests = [
        ("GET", "/quotas", None),
        ("GET", "/quotas/", None),
        ("GET", f"/quotas/{quota['id']}", None),
        ("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": 5}}),
        ("GET", "/quotas/999999999", None),
    ]
    owner, nobody = Api(world.url, world.owner), Api(world.url)
    robot = Api(world.url, world.robot(project))
    for method, path, body in requests:
        assert nobody(method, path, body).status == 401
        for caller in (owner, robot):
            answer = caller(method, path, body)
            assert (answer.status, answer.codes) == (403, ["FORBIDDEN"]), (method, path, answer)
    assert quota_of(admin, project) == quota


def test_a_robot_of_the_system_may_see_to_them(admin: Api, world: World, project: str) -> None:
    access = [{"resource": "quota", "action": action} for action in ("list", "read", "update")]
    made = admin(
        "POST",
        "/robots",
        {
            "name": fresh("keeper"),
            "level": "system",
            "duration": -1,
            "permissions": [{"kind": "system", "namespace": "/", "access": access}],
        },
    )
    assert made.status == 201, made
    keeper = Api(world.url, Account(made.json()["name"], made.json()["secret"]))
    quota = quota_of(keeper, project)
    keeper.done("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": 77777}})
    assert keeper.get(f"/quotas/{quota['id']}")["hard"] == {"storage": 77777}
