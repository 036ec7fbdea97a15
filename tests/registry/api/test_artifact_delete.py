"""Deleting artifacts over REST: what goes with one, what stays, what is refused."""

import pytest

from tests.factories import World
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path, path_of
from tests.rest.api import Api


@pytest.fixture
def repository(world: World) -> str:
    return world.repository()


def held(player: Client, repository: str, *images: Image) -> list[bool]:
    """Of each, whether the repository still holds it."""
    return [player.head_manifest(repository, image.digest).status == 200 for image in images]


def test_an_artifact_goes_with_all_its_tags(owner: Api, player: Client, repository: str, world: World) -> None:
    image = goods.push_image(player, repository, "v1")
    assert player.push_manifest(repository, "v2", image.content).status == 201
    owner.done("DELETE", artifact_path(image, reference="v1"))
    assert owner("GET", artifact_path(image, reference="v2")).status == 404
    assert held(player, repository, image) == [False]
    assert owner.get(list_path(repository)) == []
    assert owner.get(path_of(repository))["artifact_count"] == 0
    assert owner("DELETE", artifact_path(image)).status == 404
    logs = owner.get(f"/projects/{world.home}/logs", q=f"operation=delete,resource={repository}:v1")
    assert [(log["resource_type"], log["username"]) for log in logs] == [("artifact", world.owner.login)]


def test_an_index_takes_its_children_along(owner: Api, player: Client, repository: str) -> None:
    index, image, attestation = goods.push_multi_arch(player, repository, "v1")
    owner.done("DELETE", artifact_path(index))
    assert held(player, repository, index, image, attestation) == [False, False, False]


def test_children_that_something_else_names_stay(owner: Api, player: Client, repository: str) -> None:
    tagged, shared, own = (player.push_image(repository, tag) for tag in ("arm64", None, None))
    index = player.push_index(repository, "v1", [tagged, shared, own])
    other = player.push_index(repository, "v2", [shared])
    owner.done("DELETE", artifact_path(index))
    assert held(player, repository, index, tagged, shared, own, other) == [False, True, True, False, True]
    assert [found["digest"] for found in owner.get(list_path(repository))] == [other.digest, tagged.digest]


def test_an_index_inside_an_index_goes_too(owner: Api, player: Client, repository: str) -> None:
    leaf = player.push_image(repository)
    inner = player.push_index(repository, None, [leaf])
    outer = player.push_index(repository, "v1", [inner, leaf])
    owner.done("DELETE", artifact_path(outer))
    assert held(player, repository, outer, inner, leaf) == [False, False, False]


def test_a_child_cannot_go(owner: Api, player: Client, repository: str) -> None:
    index, image, _ = goods.push_multi_arch(player, repository, "v1")
    owner.create(artifact_path(image, "/tags"), {"name": "arm64"})
    for reference in (image.digest, "arm64"):
        answer = owner("DELETE", artifact_path(image, reference=reference))
        assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
        assert index.digest in answer.json()["errors"][0]["message"]
    assert held(player, repository, image) == [True]


def test_accessories_go_with_their_subject(owner: Api, player: Client, repository: str) -> None:
    image, other = goods.push_image(player, repository, "v1"), goods.push_image(player, repository, "v2")
    sbom = player.attach(image, "application/spdx+json")
    signature = player.attach(sbom, goods.NOTATION)
    legacy = goods.sign_by_tag(player, image)
    kept = player.attach(other, goods.NOTATION)
    owner.done("DELETE", artifact_path(image))
    assert held(player, repository, image, sbom, signature, legacy, kept) == [False, False, False, False, True]
    referrers = player.request("GET", f"/v2/{repository}/referrers/{image.digest}").json()
    assert referrers["manifests"] == [], "none of them refers to what is gone"
    assert player.tags(repository) == ["v2"]


def test_accessories_of_children_go_too(owner: Api, player: Client, repository: str) -> None:
    index, image, _ = goods.push_multi_arch(player, repository, "v1")
    signature = player.attach(image, goods.NOTATION)
    owner.done("DELETE", artifact_path(index))
    assert held(player, repository, index, image, signature) == [False, False, False]


def test_an_accessory_goes_alone(owner: Api, player: Client, repository: str) -> None:
    image = goods.push_image(player, repository, "v1")
    signature = player.attach(image, goods.NOTATION)
    owner.done("DELETE", artifact_path(signature))
    assert held(player, repository, image, signature) == [True, False]
    assert owner.get(artifact_path(image, "/accessories")) == []


def test_the_protocol_deletes_the_manifest_alone(owner: Api, player: Client, repository: str) -> None:
    """A client of /v2 names single manifests: its referrers API goes on listing what refers to the one that went."""
    image = goods.push_image(player, repository, "v1")
    signature = player.attach(image, goods.NOTATION)
    assert player.delete(repository, image.digest).status == 202
    assert held(player, repository, image, signature) == [False, True]
    referrers = player.request("GET", f"/v2/{repository}/referrers/{image.digest}").json()
    assert [found["digest"] for found in referrers["manifests"]] == [signature.digest]


def test_an_immutable_tag_keeps_its_artifact_and_all_that_hangs_on_it(world: World, owner: Api, player: Client) -> None:
    repository = world.repository(world.project())
    image = goods.push_image(player, repository, "v1")
    signature = goods.sign_by_tag(player, image)
    rule = {
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "*.sig"}],
        "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
    }
    owner.create(f"/projects/{repository.partition('/')[0]}/immutabletagrules", rule)
    answer = owner("DELETE", artifact_path(image))
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    assert held(player, repository, image, signature) == [True, True]
    assert [tag["name"] for tag in owner.get(artifact_path(image))["tags"]] == ["v1"]


def test_a_manifest_of_a_big_index_is_one_of_many(owner: Api, player: Client, repository: str) -> None:
    children = [player.push_image(repository) for _ in range(30)]
    index = player.push_index(repository, "v1", children)
    assert len(owner.get(artifact_path(index))["references"]) == 30
    owner.done("DELETE", artifact_path(index))
    assert not any(held(player, repository, index, *children))


def test_nothing_is_left_wrong(world: World, owner: Api, player: Client, repository: str) -> None:
    """After all this the product's own check finds nothing."""
    goods.push_image(player, repository, "v1")
    assert world.clerk("violations") == []
