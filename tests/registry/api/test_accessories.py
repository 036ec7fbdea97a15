"""Accessories over REST: what refers to an artifact, by its subject or by a cosign tag."""

import pytest

from tests.factories import World
from tests.images import OCI_CONFIG, OCI_LAYER, Image, descriptor, dump, image_manifest, sha256, unique
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path, path_of
from tests.rest.api import Api


@pytest.fixture
def image(world: World, player: Client) -> Image:
    return goods.push_image(player, world.repository(), "v1")


@pytest.mark.parametrize(
    ("artifact_type", "expected"),
    [
        (goods.NOTATION, "signature.notation"),
        (goods.COSIGN_BUNDLE, "signature.cosign"),
        ("application/vnd.goharbor.harbor.sbom.v1", "sbom.harbor"),
        ("application/spdx+json", "subject.accessory"),
    ],
)
def test_a_referrer_is_an_accessory(
    owner: Api, player: Client, image: Image, artifact_type: str, expected: str
) -> None:
    attached = player.attach(image, artifact_type)
    (shown,) = owner.get(artifact_path(image, "/accessories"))
    subject, artifact = owner.get(artifact_path(image)), owner.get(artifact_path(attached))
    assert shown == {
        "id": artifact["id"],
        "artifact_id": artifact["id"],
        "subject_artifact_id": subject["id"],
        "subject_artifact_digest": image.digest,
        "subject_artifact_repo": image.repository,
        "size": artifact["size"],
        "digest": attached.digest,
        "type": expected,
        "icon": "",
        "creation_time": artifact["push_time"],
    }
    assert owner.get(artifact_path(image), with_accessory="true")["accessories"] == [shown]
    assert [found["digest"] for found in owner.get(list_path(image.repository))] == [image.digest]
    assert owner.get(list_path(image.repository), q="base=*")[0]["digest"] == image.digest


@pytest.mark.parametrize(
    ("suffix", "expected"), [("sig", "signature.cosign"), ("att", "subject.accessory"), ("sbom", "subject.accessory")]
)
def test_a_cosign_tag_makes_an_accessory(owner: Api, player: Client, image: Image, suffix: str, expected: str) -> None:
    signature = goods.sign_by_tag(player, image, suffix)
    (shown,) = owner.get(artifact_path(image, "/accessories"))
    assert (shown["digest"], shown["type"], shown["subject_artifact_digest"]) == (
        signature.digest, expected, image.digest,
    )  # fmt: skip
    assert [found["digest"] for found in owner.get(list_path(image.repository))] == [image.digest]
    assert owner.get(path_of(image.repository))["artifact_count"] == 1


def test_an_accessory_by_its_tag_is_one_only_while_it_has_it(owner: Api, player: Client, image: Image) -> None:
    signature = goods.sign_by_tag(player, image)
    tag = f"{image.digest.replace(':', '-')}.sig"
    owner.done("DELETE", artifact_path(signature, f"/tags/{tag}"))
    assert owner.get(artifact_path(image, "/accessories")) == []
    assert {found["digest"] for found in owner.get(list_path(image.repository))} == {image.digest, signature.digest}
    assert player.push_manifest(image.repository, tag, signature.content).status == 201
    assert [found["digest"] for found in owner.get(artifact_path(image, "/accessories"))] == [signature.digest]
    # A new signature takes the tag, as cosign does it when an image is signed once more.
    again = goods.sign_by_tag(player, image)
    assert [found["digest"] for found in owner.get(artifact_path(image, "/accessories"))] == [again.digest]
    assert {found["digest"] for found in owner.get(list_path(image.repository))} == {image.digest, signature.digest}
    assert owner.get(path_of(image.repository))["artifact_count"] == 2


def test_a_referrer_may_come_before_its_subject(world: World, owner: Api, player: Client) -> None:
    elsewhere = goods.push_image(player, world.repository(), "v1")
    repository = world.repository()
    attached = player.attach(
        Image(repository, elsewhere.digest, elsewhere.media_type, elsewhere.content), goods.NOTATION
    )
    assert owner.get(list_path(repository)) == []
    assert owner.get(artifact_path(attached))["digest"] == attached.digest
    image = goods.push(
        player, repository, "v1", config=elsewhere.config, layers=dict.fromkeys(elsewhere.layers, OCI_LAYER)
    )
    assert image.digest == elsewhere.digest
    (shown,) = owner.get(artifact_path(image, "/accessories"))
    assert shown["subject_artifact_id"] == owner.get(artifact_path(image))["id"]


def test_accessories_are_paged_filtered_and_sorted(owner: Api, player: Client, image: Image) -> None:
    attached = [player.attach(image, kind) for kind in (goods.NOTATION, goods.COSIGN_BUNDLE, "application/spdx+json")]
    path = artifact_path(image, "/accessories")
    pages = list(owner.pages(path, page_size=1))
    assert [page.json()[0]["digest"] for page in pages] == [found.digest for found in reversed(attached)]
    assert {page.headers["X-Total-Count"] for page in pages} == {"3"}
    (found,) = owner.get(path, q="type=signature.notation")
    assert found["digest"] == attached[0].digest
    assert [found["digest"] for found in owner.get(path, sort="creation_time")] == [found.digest for found in attached]
    answer = owner("GET", path, query={"q": "subject=x"})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_accessories_of_accessories(owner: Api, player: Client, image: Image) -> None:
    sbom = player.attach(image, "application/spdx+json")
    signature = player.attach(sbom, goods.NOTATION)
    (shown,) = owner.get(artifact_path(sbom, "/accessories"))
    assert (shown["digest"], shown["subject_artifact_digest"]) == (signature.digest, sbom.digest)
    assert [found["digest"] for found in owner.get(artifact_path(image, "/accessories"))] == [sbom.digest]


def test_a_child_without_a_signature_shows_those_of_its_index(owner: Api, player: Client, world: World) -> None:
    index, child, _ = goods.push_multi_arch(player, world.repository(), "v1")
    signature = player.attach(index, goods.NOTATION)
    player.attach(index, "application/spdx+json")
    asked = {"with_inherited_accessory": "true"}
    (inherited,) = owner.get(artifact_path(child), **asked)["inherited_accessories"]
    assert (inherited["digest"], inherited["subject_artifact_digest"]) == (signature.digest, index.digest)
    assert owner.get(artifact_path(index), **asked)["inherited_accessories"] == []
    player.attach(child, goods.NOTATION)
    assert owner.get(artifact_path(child), **asked)["inherited_accessories"] == []


def test_a_nydus_image_is_an_accelerator(owner: Api, player: Client, image: Image) -> None:
    config, layer = dump(goods.image_config()), unique()
    for content in (config, layer):
        player.push_blob(image.repository, content)
    mark = {"containerd.io/snapshot/nydus-bootstrap": "true"}
    document = image_manifest(
        descriptor(config, OCI_CONFIG),
        [descriptor(layer, OCI_LAYER, annotations=mark)],
        subject=image.descriptor,
    )
    assert player.push_manifest(image.repository, sha256(dump(document)), document).status == 201
    assert [found["type"] for found in owner.get(artifact_path(image, "/accessories"))] == ["accelerator.nydus"]
