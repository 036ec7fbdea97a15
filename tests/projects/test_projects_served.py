"""Projects on the running server: what needs real images, and what must count at the very next request."""

import pytest

from tests.factories import Account, World, fresh
from tests.rest.api import Api

RULE = {
    "template": "immutable_template",
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
}


@pytest.fixture
def owner(world: World) -> Api:
    return Api(world.url, world.owner)


def test_an_immutable_tag_is_explained(world: World, owner: Api) -> None:
    project = world.project()
    repository = world.repository(project)
    world.player().push_image(repository, "v1")
    path = f"/projects/{project}/explain"
    asked = {"action": "repository:push", "repository": repository.partition("/")[2]}
    assert owner.get(path, **asked, tag="v1")["allowed"]
    owner.create(f"/projects/{project}/immutabletagrules", RULE)
    told = owner.get(path, **asked, tag="v1")
    assert (told["allowed"], told["rule"]) == (False, "immutable-tag")
    assert "v*" in told["reason"]
    for free in ({"tag": "v2"}, {"tag": "latest"}, {}):
        assert owner.get(path, **asked, **free)["allowed"], free


def test_a_project_with_an_image_is_counted_and_kept(world: World, owner: Api) -> None:
    project = world.project()
    image = world.player().push_image(world.repository(project), "v1")
    assert owner.get(f"/projects/{project}")["repo_count"] == 1
    summary = owner.get(f"/projects/{project}/summary")
    assert summary["repo_count"] == 1
    assert summary["quota"]["used"]["storage"] >= sum(len(layer) for layer in image.layers)
    assert owner("DELETE", f"/projects/{project}").status == 412
    assert owner.get(f"/projects/{project}/_deletable")["deletable"] is False


def test_what_is_taken_away_is_gone_at_the_next_request(world: World, owner: Api) -> None:
    member = world.user()
    project = world.project()
    they, nobody = Api(world.url, member), Api(world.url)
    path = f"/projects/{project}"
    assert they("GET", path).status == 404
    added = owner.create(f"{path}/members", {"role_id": 3, "member_user": {"username": member.login}})
    assert they("GET", path).status == 200
    assert they("DELETE", added).status == 403
    owner.done("PUT", added, {"role_id": 1})
    assert they("GET", f"{path}/_deletable").status == 200
    owner.done("DELETE", added)
    assert they("GET", path).status == 404
    owner.done("PUT", path, {"metadata": {"public": "true"}})
    assert nobody("GET", path).status == 200
    owner.done("PUT", f"{path}/metadatas/public", {"public": "false"})
    assert nobody("GET", path).status == 401


def test_a_robot_made_here_pushes_there(world: World, owner: Api) -> None:
    project = world.project()
    access = [{"resource": "repository", "action": action} for action in ("push", "pull")]
    body = {
        "name": fresh("robot"),
        "level": "project",
        "duration": 1,
        "permissions": [{"kind": "project", "namespace": project, "access": access}],
    }
    made = owner("POST", "/robots", body).json()
    robot = Account(made["name"], made["secret"])
    world.client(robot).push_image(world.repository(project), "v1")
    path = f"/robots/{made['id']}"
    owner.done("PUT", path, {**owner.get(path), "disable": True})
    assert Api(world.url, robot)("GET", "/projects").status == 401
    owner.done("PUT", path, {**owner.get(path), "disable": False})
    assert Api(world.url, robot)("GET", f"/projects/{project}/explain?action=repository:push").json()["allowed"]
    secret = "Chosen-by-somebody-1"
    answer = owner("PATCH", path, {"secret": secret})
    assert (answer.status, answer.json()) == (200, {})
    assert Api(world.url, robot)("GET", "/projects").status == 401
    world.client(Account(made["name"], secret)).push_image(world.repository(project), "v1")
    owner.done("DELETE", path)
    assert Api(world.url, Account(made["name"], secret))("GET", "/projects").status == 401
