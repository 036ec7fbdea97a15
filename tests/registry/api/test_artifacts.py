"""One artifact over REST: what is told of it, by tag and by digest."""

import pytest

from tests.factories import World, fresh
from tests.images import DOCKER_IMAGE, OCI_CONFIG, OCI_IMAGE, OCI_INDEX, dump, unique
from tests.ociclient import Client
from tests.product import wait_for
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path, path_of
from tests.rest.api import Api, twice

NEVER = "0001-01-01T00:00:00.000Z"


@pytest.fixture
def repository(world: World) -> str:
    """One that does not exist yet, with a slash in its name."""
    return f"{world.home}/a/{fresh('repo')}"


def test_an_image_is_shown_as_harbor_shows_it(world: World, owner: Api, player: Client, repository: str) -> None:
    image = goods.push_image(player, repository, "v1", annotations={"team": "blue"})
    shown = owner.get(artifact_path(image, reference="v1"))
    parts = len(image.content) + len(image.config) + sum(map(len, image.layers))
    (tag,) = shown.pop("tags")
    assert (tag["name"], tag["artifact_id"], tag["immutable"]) == ("v1", shown["id"], False)
    at = f"/api/v2.0/projects/{world.home}/repositories/{twice(repository.split('/', 1)[1])}/artifacts/{image.digest}"
    assert shown == {
        "id": shown["id"],
        "type": "IMAGE",
        "media_type": OCI_CONFIG,
        "manifest_media_type": OCI_IMAGE,
        "artifact_type": OCI_CONFIG,
        "project_id": owner.get(f"/projects/{world.home}")["project_id"],
        "repository_id": owner.get(path_of(repository))["id"],
        "repository_name": repository,
        "digest": image.digest,
        "size": parts,
        "push_time": shown["push_time"],
        "pull_time": NEVER,
        "extra_attrs": {
            "architecture": "arm64",
            "author": "ada@example.com",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"maintainer": "ada@example.com"}},
            "created": "2024-05-01T10:00:01Z",
            "os": "linux",
        },
        "annotations": {"team": "blue"},
        "references": [],
        "addition_links": {"build_history": {"href": f"{at}/additions/build_history", "absolute": False}},
    }
    assert owner.get(artifact_path(image)) == owner.get(artifact_path(image, reference="v1")), "by tag or by digest"


def test_an_index_tells_its_children(owner: Api, player: Client, repository: str) -> None:
    index, image, attestation = goods.push_multi_arch(player, repository, "v1")
    shown = owner.get(artifact_path(index))
    child = owner.get(artifact_path(image))
    assert (shown["type"], shown["media_type"], shown["manifest_media_type"]) == ("IMAGE", OCI_INDEX, OCI_INDEX)
    assert shown["size"] == len(index.content) + child["size"] + owner.get(artifact_path(attestation))["size"]
    assert shown["addition_links"] == {}
    first, second = shown["references"]
    assert first == {
        "parent_id": shown["id"],
        "child_id": child["id"],
        "child_digest": image.digest,
        "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
    }
    assert second["child_digest"] == attestation.digest
    assert second["annotations"]["vnd.docker.reference.digest"] == image.digest
    assert child["tags"] == []


def test_a_child_is_listed_only_with_its_index_unless_it_has_a_tag(owner: Api, player: Client, repository: str) -> None:
    index, image, attestation = goods.push_multi_arch(player, repository, "v1")
    listed = owner.get(list_path(repository))
    assert [artifact["digest"] for artifact in listed] == [index.digest]
    assert {reference["child_digest"] for reference in listed[0]["references"]} == {image.digest, attestation.digest}
    assert len(owner.get(list_path(repository), q="base=*")) == 3
    owner.create(artifact_path(image, "/tags"), {"name": "arm64"})
    assert {artifact["digest"] for artifact in owner.get(list_path(repository))} == {index.digest, image.digest}
    assert owner.get(path_of(repository))["artifact_count"] == 2
    owner.done("DELETE", artifact_path(image, "/tags/arm64"))
    assert [artifact["digest"] for artifact in owner.get(list_path(repository))] == [index.digest]
    assert owner.get(path_of(repository))["artifact_count"] == 1


def test_children_are_listed_again_when_their_index_is_gone(owner: Api, player: Client, repository: str) -> None:
    index, image, attestation = goods.push_multi_arch(player, repository, "v1")
    assert player.delete(repository, index.digest).status == 202
    assert {artifact["digest"] for artifact in owner.get(list_path(repository))} == {image.digest, attestation.digest}
    assert owner.get(path_of(repository))["artifact_count"] == 2


@pytest.mark.parametrize(
    ("config_type", "further", "expected"),
    [
        (goods.HELM_CONFIG, {}, "CHART"),
        ("application/vnd.docker.container.image.v1+json", {}, "IMAGE"),
        ("application/vnd.wasm.config.v1+json", {}, "WASM"),
        (OCI_CONFIG, {"annotations": {"run.oci.handler": "wasm"}}, "WASM"),
        ("application/vnd.goharbor.harbor.sbom.v1", {}, "SBOM"),
        ("application/vnd.acme.model.config.v1+json", {}, "MODEL"),
        ("application/vnd.oci.empty.v1+json", {"artifactType": "application/vnd.example"}, "UNKNOWN"),
        ("text/plain", {}, "UNKNOWN"),
    ],
)
def test_the_type_of_an_artifact_follows_from_its_media_types(
    owner: Api, player: Client, repository: str, config_type: str, further: dict[str, object], expected: str
) -> None:
    layers = {unique(): "application/octet-stream"}
    image = goods.push(player, repository, "v1", config=b"{}", config_type=config_type, layers=layers, **further)
    assert owner.get(artifact_path(image))["type"] == expected
    assert [found["digest"] for found in owner.get(list_path(repository), q=f"type={expected}")] == [image.digest]


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"architecture": 1, "config": [], "created": {}}',
        b'{"architecture": "\\u0000", "os": "\\ud800", "config": {"Labels": {"a": "\\u0000"}}}',
        b'{"config": {"Memory": 1e999}}',
        b'{"config": ' + b"[" * 100_000,
        b'{"n": ' + b"1" * 5000 + b"}",
        b"\xff\xfe{\x00",
    ],
    ids=range(10),
)
def test_no_config_is_too_bad_to_be_pushed(owner: Api, player: Client, repository: str, config: bytes) -> None:
    image = goods.push(player, repository, "v1", config=config, layers={unique(): "layer"})
    shown = owner.get(artifact_path(image))
    assert shown["type"] == "IMAGE"
    assert set(shown["extra_attrs"]) <= {"architecture", "author", "config", "created", "os"}


def test_a_docker_image_is_an_image(owner: Api, player: Client, repository: str) -> None:
    config, layer = dump(goods.image_config(author="Grace")), unique()
    image = goods.push(
        player,
        repository,
        "v1",
        config=config,
        config_type="application/vnd.docker.container.image.v1+json",
        layers={layer: "application/vnd.docker.image.rootfs.diff.tar.gzip"},
        mediaType=DOCKER_IMAGE,
    )
    shown = owner.get(artifact_path(image))
    assert (shown["manifest_media_type"], shown["type"]) == (DOCKER_IMAGE, "IMAGE")
    assert shown["extra_attrs"]["author"] == "Grace"


def test_what_is_not_there_is_not_found(
    owner: Api, stranger: Api, nobody: Api, player: Client, repository: str
) -> None:
    image = goods.push_image(player, repository, "v1")
    for reference in ("v2", f"sha256:{'0' * 64}"):
        answer = owner("GET", artifact_path(image, reference=reference))
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert owner("GET", path_of(f"{repository}x", "/artifacts")).status == 404
    for reference in ("sha256:short", ".dot", "a%2520b"):
        assert owner("GET", artifact_path(image, reference=reference)).status == 400
    for path in (artifact_path(image), list_path(repository), artifact_path(image, "/accessories")):
        assert stranger("GET", path).status == 404
        assert nobody("GET", path).status == 401


def test_pulls_are_dated_and_counted(owner: Api, player: Client, repository: str) -> None:
    image = goods.push_image(player, repository, "v1")
    player.pull(repository, "v1")
    player.pull(repository, image.digest)
    wait_for("the pulls are counted", lambda: owner.get(path_of(repository))["pull_count"] == 2)
    wait_for("they are dated", lambda: owner.get(artifact_path(image))["tags"][0]["pull_time"] != NEVER)
    assert owner.get(artifact_path(image))["pull_time"] > owner.get(artifact_path(image))["push_time"]
