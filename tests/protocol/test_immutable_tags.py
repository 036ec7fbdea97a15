"""S-162, C-57, C-74: what an immutable tag refuses over HTTP, by /v2 and by the REST API."""

from collections.abc import Callable

import pytest

from tests.factories import World
from tests.images import Image, sha256
from tests.ociclient import Client
from tests.registry.api.paths import path_of
from tests.rest.api import Api
from tests.rest.scene import rule_body
from tests.wire import Answer


@pytest.fixture(scope="module")
def api(world: World) -> Api:
    return Api(world.url, world.owner)


@pytest.fixture(scope="module")
def project(world: World, api: Api) -> str:
    """In it release-* is immutable."""
    name = world.project()
    api.create(f"/projects/{name}/immutabletagrules", rule_body("release-*"))
    return name


@pytest.fixture(scope="module")
def player(world: World) -> Client:
    return world.player()


@pytest.fixture(scope="module")
def released(world: World, project: str, player: Client) -> Image:
    """The image release-1, which is latest too."""
    image = player.push_image(world.repository(project), "release-1")
    assert player.push_manifest(image.repository, "latest", image.content).status == 201
    return image


@pytest.fixture
def other(player: Client, released: Image) -> Image:
    """Another image of the repository, without a tag."""
    return player.push_image(released.repository, None)


def refused(answer: Answer, message: str) -> None:
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"]), answer
    assert message in answer.json()["errors"][0]["message"]


def kept(player: Client, released: Image) -> None:
    """Everything of the image is where it was."""
    assert player.head_manifest(released.repository, "release-1").headers["Docker-Content-Digest"] == released.digest
    assert len(player.pull(released.repository, "release-1")) == 3


# /v2


def test_a_push_of_another_image_is_refused(player: Client, released: Image, other: Image) -> None:
    path = released.repository.partition("/")[2]
    refused(
        player.push_manifest(released.repository, "release-1", other.content),
        f"Failed to process request due to '{path}:release-1' configured as immutable.",
    )
    kept(player, released)


def test_a_push_of_the_same_image_is_no_move(player: Client, released: Image) -> None:
    assert player.push_manifest(released.repository, "release-1", released.content).status == 201
    assert player.push_manifest(released.repository, "release-2", released.content).status == 201
    kept(player, released)


def test_of_the_tags_of_a_push_none_is_made(player: Client, released: Image, other: Image) -> None:
    """C-57"""
    answer = player.push_manifest(released.repository, other.digest, other.content, tags=["aaa", "release-1", "zzz"])
    refused(answer, ":release-1' configured as immutable.")
    assert {"aaa", "zzz"}.isdisjoint(player.tags(released.repository))
    kept(player, released)


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_delete_is_refused(player: Client, released: Image, by: str) -> None:
    """C-74"""
    reference = "release-1" if by == "tag" else released.digest
    refused(player.delete(released.repository, reference), "configured as immutable, cannot be deleted")
    kept(player, released)


def test_a_pushed_image_that_was_refused_leaves_no_manifest(player: Client, world: World, released: Image) -> None:
    elsewhere = player.push_image(world.repository(), None)
    for blob in (elsewhere.config, *elsewhere.layers):
        assert player.mount(released.repository, sha256(blob), elsewhere.repository).status == 201
    refused(player.push_manifest(released.repository, "release-1", elsewhere.content), "immutable")
    assert player.head_manifest(released.repository, elsewhere.digest).status == 404


# REST

Ask = Callable[[Api, Image, Image], Answer]


def _artifact(image: Image, reference: str, below: str = "") -> str:
    return path_of(image.repository, f"/artifacts/{reference}{below}")


WAYS: dict[str, tuple[Ask, str]] = {
    "tag": (
        lambda api, at, other: api("DELETE", _artifact(at, at.digest, "/tags/release-1")),
        "the tag release-1 configured as immutable, cannot be deleted",
    ),
    "artifact by another tag": (
        lambda api, at, other: api("DELETE", _artifact(at, "latest")),
        "configured as immutable, cannot be deleted",
    ),
    "artifact by digest": (
        lambda api, at, other: api("DELETE", _artifact(at, at.digest)),
        "configured as immutable, cannot be deleted",
    ),
    "repository": (
        lambda api, at, other: api("DELETE", path_of(at.repository)),
        "configured as immutable, cannot be deleted",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_api_refuses_to_delete(api: Api, player: Client, released: Image, other: Image, way: str) -> None:
    ask, message = WAYS[way]
    refused(ask(api, released, other), message)
    kept(player, released)


def test_the_api_refuses_to_delete_the_project(api: Api, player: Client, released: Image) -> None:
    answer = api("DELETE", f"/projects/{released.repository.partition('/')[0]}")
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    kept(player, released)


def test_a_copy_onto_it_is_refused(api: Api, world: World, player: Client, released: Image) -> None:
    source = player.push_image(world.repository(), "release-1")
    answer = api(
        "POST",
        path_of(released.repository, "/artifacts"),
        query={"from": f"{source.repository}@{source.digest}"},
    )
    refused(answer, "the tag release-1 configured as immutable, cannot be updated")
    assert player.head_manifest(released.repository, source.digest).status == 404
    kept(player, released)


def test_other_tags_of_the_artifact_go_and_come(api: Api, player: Client, released: Image) -> None:
    assert player.push_manifest(released.repository, "passing", released.content).status == 201
    api.done("DELETE", _artifact(released, released.digest, "/tags/passing"))
    kept(player, released)


def test_lists_say_which_tags_are_immutable(api: Api, released: Image) -> None:
    tags = api.get(_artifact(released, released.digest, "/tags"), with_immutable_status="true", page_size=100)
    told = {tag["name"]: tag["immutable"] for tag in tags}
    assert (told["release-1"], told["latest"]) == (True, False)
    (artifact,) = [
        found
        for found in api.get(path_of(released.repository, "/artifacts"), with_immutable_status="true", page_size=100)
        if found["digest"] == released.digest
    ]
    assert {tag["name"]: tag["immutable"] for tag in artifact["tags"]} == told


def test_a_robot_and_the_administrator_are_refused_alike(world: World, project: str, released: Image) -> None:
    robot = world.client(world.robot(project, {project: ("repository:push", "repository:pull", "artifact:delete")}))
    other = world.player().push_image(released.repository, None)
    for client in (robot, world.admin()):
        refused(client.push_manifest(released.repository, "release-1", other.content), "immutable")
    refused(world.admin().delete(released.repository, released.digest), "immutable")
    kept(world.player(), released)


def test_a_rule_that_goes_sets_the_tags_free(api: Api, world: World, player: Client) -> None:
    name = world.project()
    rule = api.create(f"/projects/{name}/immutabletagrules", rule_body("**"))
    first = player.push_image(world.repository(name), "v1")
    second = player.push_image(first.repository, None)
    refused(player.push_manifest(first.repository, "v1", second.content), "immutable")
    api.done("PUT", rule, {"disabled": True})
    assert player.push_manifest(first.repository, "v1", second.content).status == 201
    api.done("PUT", rule, {"disabled": False})
    refused(player.delete(first.repository, "v1"), "immutable")
    api.done("DELETE", rule)
    assert player.delete(first.repository, "v1").status == 202
