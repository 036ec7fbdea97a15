"""Referrers (C-64..C-68)."""

import pytest

from tests.factories import World
from tests.images import (
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    Image,
    descriptor,
    dump,
    image_manifest,
    index_manifest,
    sha256,
    sha512,
    unique,
)
from tests.ociclient import Client
from tests.protocol.calls import check

SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature"
EMPTY_INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


@pytest.fixture
def image(player: Client, repository: str) -> Image:
    return player.push_image(repository, "v1")


def test_nothing_refers_to_it(player: Client, image: Image) -> None:
    """C-64"""
    answer = player.request("GET", f"/v2/{image.repository}/referrers/{image.digest}")
    check("GET", answer)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == OCI_INDEX
    assert answer.json() == EMPTY_INDEX


@pytest.mark.parametrize("digest", [sha256(b"nobody has pushed this"), sha512(b"nobody has pushed this")])
def test_unknown_digest_is_an_empty_index(player: Client, image: Image, digest: str) -> None:
    """C-64"""
    answer = player.request("GET", f"/v2/{image.repository}/referrers/{digest}")
    assert (answer.status, answer.headers["Content-Type"], answer.json()) == (200, OCI_INDEX, EMPTY_INDEX)


def test_unknown_repository_is_an_empty_index(player: Client, world: World) -> None:
    """C-64: never 404."""
    answer = player.request("GET", f"/v2/{world.repository()}/referrers/{sha256(b'')}")
    assert (answer.status, answer.headers["Content-Type"], answer.json()) == (200, OCI_INDEX, EMPTY_INDEX)


def test_malformed_digest_is_refused(player: Client, image: Image) -> None:
    """C-64"""
    answer = player.request("GET", f"/v2/{image.repository}/referrers/sha256:bad")
    check("GET", answer)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_descriptor_of_a_referrer(player: Client, image: Image) -> None:
    """C-65"""
    notes = {"org.example.created": "2026-11-24", "org.example.ü": 'ö " \\ \n'}
    sbom = player.attach(image, SBOM, annotations=notes)
    assert player.referrers(image.repository, image.digest) == [
        {
            "mediaType": OCI_IMAGE,
            "digest": sbom.digest,
            "size": len(sbom.content),
            "artifactType": SBOM,
            "annotations": notes,
        }
    ]


def test_without_an_artifact_type_the_config_says_it(player: Client, image: Image) -> None:
    """C-65"""
    config = unique()
    player.push_blob(image.repository, config)
    document = image_manifest(descriptor(config, "application/vnd.example.config"), [], subject=image.descriptor)
    assert player.push_manifest(image.repository, "sig", document).status == 201
    (found,) = player.referrers(image.repository, image.digest)
    assert found["artifactType"] == "application/vnd.example.config"
    assert "annotations" not in found or found["annotations"] == {}


def test_index_without_an_artifact_type_has_none(player: Client, image: Image) -> None:
    """C-65: the field is left out."""
    player.push_index(image.repository, None, [], subject=image.descriptor)
    (found,) = player.referrers(image.repository, image.digest)
    assert "artifactType" not in found
    assert found["mediaType"] == OCI_INDEX


def test_index_with_an_artifact_type(player: Client, image: Image) -> None:
    player.push_index(image.repository, None, [], subject=image.descriptor, artifactType=SBOM)
    (found,) = player.referrers(image.repository, image.digest)
    assert found["artifactType"] == SBOM


def test_referrers_by_artifact_type(player: Client, image: Image) -> None:
    """C-66"""
    sbom, signature = player.attach(image, SBOM), player.attach(image, SIGNATURE)
    path = f"/v2/{image.repository}/referrers/{image.digest}"
    for wanted, digests in ((SBOM, [sbom.digest]), (SIGNATURE, [signature.digest]), ("application/none", [])):
        answer = player.request("GET", path, params=[("artifactType", wanted)])
        check("GET", answer)
        assert [entry["digest"] for entry in answer.json()["manifests"]] == digests
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    everything = player.request("GET", path)
    assert {entry["digest"] for entry in everything.json()["manifests"]} == {sbom.digest, signature.digest}
    assert "OCI-Filters-Applied" not in everything.headers


def test_filter_that_no_type_can_be(player: Client, image: Image) -> None:
    for value in ("%00", "%ff", "x" * 4000, "'--", "%25"):
        answer = player.request("GET", f"/v2/{image.repository}/referrers/{image.digest}?artifactType={value}")
        check("GET", answer)
        assert answer.status in (200, 400)


@pytest.mark.parametrize("after", ["x", "-1", "1e3", "9" * 30, "%00", "1;2"])
def test_bad_page_is_refused(player: Client, image: Image, after: str) -> None:
    answer = player.request("GET", f"/v2/{image.repository}/referrers/{image.digest}?after={after}")
    check("GET", answer)
    assert answer.status == 400


def test_many_referrers_come_in_pages_a_client_can_read(player: Client, image: Image) -> None:
    """C-66, S-138: each page is under 4 MiB, and each referrer comes once."""
    player.push_blob(image.repository, EMPTY)
    pushed = []
    for number in range(12):
        document = image_manifest(
            descriptor(EMPTY, OCI_EMPTY),
            [],
            artifactType=SBOM,
            subject=image.descriptor,
            annotations={"number": str(number), "padding": "x" * 500_000},
        )
        assert player.push_manifest(image.repository, sha256(dump(document)), document).status == 201
        pushed.append(sha256(dump(document)))
    for params in ({}, {"artifactType": SBOM}):
        pages = list(player.pages(f"/v2/{image.repository}/referrers/{image.digest}", **params))
        assert len(pages) > 1
        assert all(len(page.body) < 4 * 1024 * 1024 for page in pages)
        assert all(page.headers.get("OCI-Filters-Applied") == ("artifactType" if params else None) for page in pages)
        found = [entry["digest"] for page in pages for entry in page.json()["manifests"]]
        assert sorted(found) == sorted(pushed)


def test_subject_may_come_after_its_referrers(player: Client, world: World, repository: str) -> None:
    """C-52"""
    content = dump(image_manifest(descriptor(EMPTY, OCI_EMPTY), [], annotations={"later": "yes"}))
    subject = Image(repository, sha256(content), OCI_IMAGE, content)
    sbom = player.attach(subject, SBOM)
    assert [entry["digest"] for entry in player.referrers(repository, subject.digest)] == [sbom.digest]
    assert player.push_manifest(repository, "v1", content).status == 201
    assert [entry["digest"] for entry in player.referrers(repository, subject.digest)] == [sbom.digest]


def test_subject_by_sha512(player: Client, image: Image) -> None:
    digest = sha512(image.content)
    assert player.push_manifest(image.repository, digest, image.content).status == 201
    subject = {**image.descriptor, "digest": digest}
    document = image_manifest(descriptor(EMPTY, OCI_EMPTY), [], artifactType=SBOM, subject=subject)
    player.push_blob(image.repository, EMPTY)
    answer = player.push_manifest(image.repository, "sbom", document)
    assert answer.headers["OCI-Subject"] == digest
    assert [entry["artifactType"] for entry in player.referrers(image.repository, digest)] == [SBOM]
    assert player.referrers(image.repository, image.digest) == []


def test_referrers_stay_in_their_repository(player: Client, world: World, image: Image) -> None:
    """S-47 inside a project"""
    elsewhere = world.repository()
    player.attach(Image(elsewhere, image.digest, OCI_IMAGE, image.content), SBOM)
    assert player.referrers(image.repository, image.digest) == []


# The scheme of old clients (spec "Referrers Tag Schema").


@pytest.mark.parametrize("digest_of", [sha256, sha512])
def test_fallback_tag_is_a_tag_like_others(player: Client, image: Image, digest_of: object) -> None:
    """C-67: pushed and pulled, and what it lists is in the list by its own subject."""
    player.push_blob(image.repository, EMPTY)
    signature = image_manifest(descriptor(EMPTY, OCI_EMPTY), [], artifactType=SIGNATURE, subject=image.descriptor)
    content = dump(signature)
    assert player.push_manifest(image.repository, sha256(content), content).status == 201
    algorithm, _, encoded = (sha256 if digest_of is sha256 else sha512)(image.content).partition(":")
    tag = f"{algorithm[:32]}-{encoded[:64]}"
    listed = {**descriptor(content, OCI_IMAGE), "artifactType": SIGNATURE}
    assert player.push_manifest(image.repository, tag, index_manifest([listed])).status == 201
    assert player.get_manifest(image.repository, tag).json()["manifests"] == [listed]
    assert [entry["digest"] for entry in player.referrers(image.repository, image.digest)] == [sha256(content)]


@pytest.mark.parametrize("suffix", ["sig", "att", "sbom"])
def test_cosign_tags(player: Client, image: Image, suffix: str) -> None:
    tag = image.digest.replace(":", "-") + "." + suffix
    player.push_blob(image.repository, EMPTY)
    document = image_manifest(descriptor(EMPTY, OCI_CONFIG), [])
    assert player.push_manifest(image.repository, tag, document).status == 201
    assert player.get_manifest(image.repository, tag).json() == document


# Deletion.


def test_referrers_outlive_their_subject(player: Client, image: Image) -> None:
    """C-68: kept, and can be deleted when the subject is gone (zot #4289)."""
    sbom = player.attach(image, SBOM, tag="sbom")
    assert player.delete(image.repository, image.digest).status == 202
    assert [entry["digest"] for entry in player.referrers(image.repository, image.digest)] == [sbom.digest]
    assert player.get_manifest(image.repository, sbom.digest).status == 200
    assert player.delete(image.repository, sbom.digest).status == 202
    assert player.referrers(image.repository, image.digest) == []


def test_deleted_referrer_leaves_the_list(player: Client, image: Image) -> None:
    sbom, signature = player.attach(image, SBOM), player.attach(image, SIGNATURE)
    assert player.delete(image.repository, sbom.digest).status == 202
    assert [entry["digest"] for entry in player.referrers(image.repository, image.digest)] == [signature.digest]


def test_referrer_of_a_referrer(player: Client, image: Image) -> None:
    sbom = player.attach(image, SBOM)
    signature = player.attach(sbom, SIGNATURE)
    assert [entry["digest"] for entry in player.referrers(image.repository, sbom.digest)] == [signature.digest]
    assert [entry["digest"] for entry in player.referrers(image.repository, image.digest)] == [sbom.digest]
