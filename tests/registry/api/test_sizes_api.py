"""Sizes in the REST API: of a project and of a repository, and what they don't tell of projects one can't see."""

import pytest

from tests.factories import World
from tests.images import unique
from tests.rest.api import Api, twice

LAYER = 5000


@pytest.fixture(scope="module")
def layer(world: World) -> bytes:
    return unique(LAYER)


@pytest.fixture(scope="module")
def project(world: World, layer: bytes) -> str:
    """Two repositories with an image each; one blob is in both."""
    name, player = world.project(), world.player()
    for path in ("one", "two/deep"):
        player.push_image(f"{name}/{path}", "v1")
        player.push_blob(f"{name}/{path}", layer)
    return name


def test_sizes_of_a_project_are_what_its_quota_counts(world: World, project: str) -> None:
    owner, admin = Api(world.url, world.owner), Api(world.url, world.admin_account)
    told = owner.get(f"/projects/{project}/sizes")
    (quota,) = admin.all("/quotas", q=f"name={project}")
    assert set(told) == {"logical", "unique", "shared"}
    assert told["unique"] + told["shared"] == quota["used"]["storage"]
    assert told["logical"] > 0


def test_sizes_of_a_repository(world: World, project: str) -> None:
    owner = Api(world.url, world.owner)
    for path in ("one", "two/deep"):
        told = owner.get(f"/projects/{project}/repositories/{twice(path)}/sizes")
        assert told["shared"] == LAYER
        assert 0 < told["unique"] < told["logical"]


def test_what_others_hold_is_told_to_who_may_pull_it(world: World, project: str, layer: bytes) -> None:
    """Else a member could find out, by pushing it, whether a project that hides from them has it."""
    hidden, stranger = world.user(), world.user()
    secret = world.project(owner=hidden)
    world.client(hidden).push_blob(world.repository(secret), layer)
    mine = world.project(owner=stranger)
    world.client(stranger).push_blob(world.repository(mine), layer)
    seen = {
        who: Api(world.url, account).get(f"/projects/{mine}/sizes")
        for who, account in (("member", stranger), ("admin", world.admin_account))
    }
    assert (seen["member"]["unique"], seen["member"]["shared"]) == (LAYER, 0)
    assert (seen["admin"]["unique"], seen["admin"]["shared"]) == (0, LAYER)


def test_who_may_see_sizes(world: World, project: str) -> None:
    guest, stranger = world.user(), world.user()
    shown = world.project(is_public=True, members={guest: "limited guest"})
    world.player().push_image(f"{shown}/app", "v1")
    paths = {
        name: (f"/projects/{name}/sizes", f"/projects/{name}/repositories/{path}/sizes")
        for name, path in ((shown, "app"), (project, "one"))
    }
    statuses = {
        (who, name): tuple(Api(world.url, account)("GET", path).status for path in paths[name])
        for who, account in (("guest", guest), ("stranger", stranger), ("nobody", None))
        for name in (shown, project)
    }
    assert statuses == {
        ("guest", shown): (200, 200),
        ("guest", project): (404, 404),
        ("stranger", shown): (403, 200),
        ("stranger", project): (404, 404),
        ("nobody", shown): (401, 200),
        ("nobody", project): (401, 401),
    }
    owner = Api(world.url, world.owner)
    assert owner("GET", f"/projects/{project}/repositories/none/sizes").status == 404
