"""Pushes of manifests (C-02, C-03, C-50..C-58, C-67)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.factories import World
from tests.images import (
    DOCKER_IMAGE,
    DOCKER_INDEX,
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
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
from tests.protocol.documents import CONFIG, document_of

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
NOWHERE = sha256(b"nobody has pushed this")
MAX = 4 * 1024 * 1024


# What is taken.


def test_push_by_tag_pulls_by_tag_and_by_digest(player: Client, repository: str, layer: bytes) -> None:
    """C-50"""
    content = dump(document_of(layer))
    answer = player.push_manifest(repository, "v1", content)
    check("PUT", answer)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == sha256(content)
    assert answer.headers["Location"] == f"/v2/{repository}/manifests/{sha256(content)}"
    assert "OCI-Subject" not in answer.headers
    assert player.request("GET", answer.headers["Location"]).body == content
    assert player.pull(repository, "v1").keys() == {sha256(content), sha256(CONFIG), sha256(layer)}


@pytest.mark.parametrize("digest_of", [sha256, sha512])
def test_push_by_digest(player: Client, repository: str, layer: bytes, digest_of: Callable[[bytes], str]) -> None:
    """C-50, C-16"""
    content = dump(document_of(layer))
    answer = player.push_manifest(repository, digest_of(content), content)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest_of(content)
    assert player.get_manifest(repository, digest_of(content)).body == content
    assert player.tags(repository) == []


@pytest.mark.parametrize("digest_of", [sha256, sha512])
def test_push_by_another_digest_is_refused(
    player: Client, repository: str, layer: bytes, digest_of: Callable[[bytes], str]
) -> None:
    """C-50"""
    wrong = digest_of(b"something else")
    answer = player.push_manifest(repository, wrong, document_of(layer))
    check("PUT", answer)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert player.head_manifest(repository, wrong).status == 404


MALFORMED_DIGESTS = [
    "sha256:baddigeststring",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "sha512:" + "a" * 64,
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha256:",
    ":" + "a" * 64,
]


@pytest.mark.parametrize("digest", MALFORMED_DIGESTS, ids=lambda text: text[:24])
def test_push_by_a_malformed_digest_is_refused(player: Client, repository: str, layer: bytes, digest: str) -> None:
    """C-03"""
    answer = player.push_manifest(repository, digest, document_of(layer))
    check("PUT", answer)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("tag", ["a" * 128, "_", "0", "v1.0-rc_1", "A.B-C", "latest"])
def test_tags_of_the_grammar_are_taken(player: Client, repository: str, layer: bytes, tag: str) -> None:
    """C-02"""
    assert player.push_manifest(repository, tag, document_of(layer)).status == 201
    assert player.tags(repository) == [tag]


@pytest.mark.parametrize("tag", ["a" * 129, ".a", "-a", "a+b", "a%20b", "ä", "a%0a", "a%00", "a@b", "a;b"])
def test_tags_outside_the_grammar_are_refused(player: Client, repository: str, layer: bytes, tag: str) -> None:
    """C-02"""
    answer = player.push_manifest(repository, tag, document_of(layer))
    check("PUT", answer)
    assert answer.status == 400
    assert player.tags(repository) == []


def _odd_bytes(layer: bytes) -> bytes:
    """Spaces, an unknown field, an escaped character, numbers in odd forms and trailing space: none may change."""
    text = json.dumps(document_of(layer), indent=3)
    return (
        text[:-1]
        + ',"org.example.unknown": {"a": [1.0, 1e2, null]}, "annotations": {"e": "\\u00e9\\u0000\\ud800"} }\n\n '
    ).encode()


def test_bytes_are_kept_as_they_are(player: Client, repository: str, layer: bytes) -> None:
    """C-51, S-136"""
    content = _odd_bytes(layer)
    assert player.push_manifest(repository, "odd", content).status == 201
    answer = player.get_manifest(repository, "odd")
    assert answer.body == content
    assert answer.headers["Docker-Content-Digest"] == sha256(content)


TAKEN: dict[str, Callable[[bytes], Mapping[str, object]]] = {
    "C-54 no layers": lambda layer: image_manifest(descriptor(CONFIG, OCI_CONFIG), []),
    "C-54 an empty config": lambda layer: image_manifest(descriptor(EMPTY, OCI_EMPTY), []),
    "C-54 an empty index": lambda layer: index_manifest([]),
    "C-54 the same layer twice": lambda layer: image_manifest(
        descriptor(CONFIG, OCI_CONFIG), [descriptor(layer, OCI_LAYER)] * 2
    ),
    "an artifact with one empty layer": lambda layer: image_manifest(
        descriptor(EMPTY, OCI_EMPTY), [descriptor(EMPTY, OCI_EMPTY)], artifactType="application/vnd.example"
    ),
    "a descriptor with data": lambda layer: image_manifest(
        descriptor(EMPTY, OCI_EMPTY, data="e30="), [descriptor(EMPTY, OCI_EMPTY, data="e30=")]
    ),
    "C-52 a foreign layer nobody pushed": lambda layer: image_manifest(
        descriptor(CONFIG, OCI_CONFIG), [descriptor(unique(), FOREIGN, urls=["https://example.com/layer"])]
    ),
    "C-52 a missing subject": lambda layer: document_of(layer, subject=descriptor(unique(), OCI_IMAGE)),
    "C-52 an index with a missing subject": lambda layer: index_manifest([], subject=descriptor(unique(), OCI_IMAGE)),
    "C-55 no mediaType in the body": lambda layer: {
        key: value for key, value in document_of(layer).items() if key != "mediaType"
    },
    "unknown fields": lambda layer: document_of(layer, unknown={"deep": [[[]]]}),
    "annotations": lambda layer: document_of(layer, annotations={f"key.{n}": "x" * 100 for n in range(100)}),
    "a zstd layer": lambda layer: image_manifest(
        descriptor(CONFIG, OCI_CONFIG), [descriptor(layer, "application/vnd.oci.image.layer.v1.tar+zstd")]
    ),
    "a Docker image with an uncompressed layer": lambda layer: {
        **image_manifest(
            descriptor(CONFIG, "application/vnd.docker.container.image.v1+json"),
            [descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar")],
        ),
        "mediaType": DOCKER_IMAGE,
    },
    "an empty Docker list": lambda layer: {**index_manifest([]), "mediaType": DOCKER_INDEX},
    "a buildkit cache": lambda layer: image_manifest(
        descriptor(CONFIG, "application/vnd.buildkit.cacheconfig.v0"), [descriptor(layer, OCI_LAYER)]
    ),
}


@pytest.mark.parametrize("row", TAKEN)
def test_is_taken(player: Client, repository: str, layer: bytes, row: str) -> None:
    document = TAKEN[row](layer)
    media_type = str(document.get("mediaType", OCI_IMAGE))
    answer = player.push_manifest(repository, "v1", dump(document), media_type)
    check("PUT", answer)
    assert answer.status == 201, answer
    got = player.get_manifest(repository, "v1")
    assert got.headers["Content-Type"] == media_type
    assert got.body == dump(document)
    player.pull(repository, "v1")


CONTENT_TYPES = [
    OCI_IMAGE + "; charset=utf-8",
    OCI_IMAGE + ";a=b;c=d",
    OCI_IMAGE.upper(),
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_parameters_of_the_content_type_do_not_count(
    player: Client, repository: str, layer: bytes, content_type: str
) -> None:
    """C-55, C-10"""
    assert player.push_manifest(repository, "v1", document_of(layer), content_type).status == 201
    assert player.get_manifest(repository, "v1").headers["Content-Type"] == OCI_IMAGE


def test_nested_index(player: Client, repository: str) -> None:
    """C-54"""
    images = [player.push_image(repository, None) for _ in range(2)]
    inner = player.push_index(repository, None, images)
    outer = player.push_index(repository, "outer", [inner, images[0]])
    got = player.pull(repository, "outer")
    assert {outer.digest, inner.digest, images[0].digest, images[1].digest} <= got.keys()


def test_shared_digests_are_walked_once(player: Client, repository: str) -> None:
    """C-54: twenty levels of an index that lists the one below twice have 2^20 paths (zot #4318)."""
    below = player.push_image(repository, None)
    for level in range(20):
        below = player.push_index(repository, None, [below, below], annotations={"level": str(level)})
    assert player.push_index(repository, "top", [below, below]).digest


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [3_900_000, MAX])
def test_manifest_of_up_to_four_mebibytes(
    player: Client, repository: str, layer: bytes, size: int, chunked: bool
) -> None:
    """C-56"""
    content = _padded(layer, size)
    answer = player.push_manifest(repository, "big", content, chunked=chunked)
    assert answer.status == 201, answer
    assert player.get_manifest(repository, "big").body == content


def _padded(layer: bytes, size: int) -> bytes:
    content = dump(document_of(layer, annotations={"padding": ""}))
    return content.replace(b'"padding":""', b'"padding":"' + b"x" * (size - len(content)) + b'"')


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_larger_manifest_is_refused(player: Client, repository: str, layer: bytes, chunked: bool) -> None:
    """C-56, S-130"""
    answer = player.push_manifest(repository, "big", _padded(layer, MAX + 1), chunked=chunked)
    check("PUT", answer)
    assert (answer.status, answer.codes) == (413, ["MANIFEST_INVALID"])
    assert player.tags(repository) == []


# References.


@pytest.mark.parametrize("of", ["config", "layer", "child"])
def test_missing_reference_is_named(player: Client, repository: str, layer: bytes, of: str) -> None:
    """C-52"""
    gone = {"mediaType": OCI_CONFIG, "digest": NOWHERE, "size": 22}
    document = {
        "config": image_manifest(gone, [descriptor(layer, OCI_LAYER)]),
        "layer": image_manifest(descriptor(CONFIG, OCI_CONFIG), [descriptor(layer, OCI_LAYER), gone]),
        "child": index_manifest([{**gone, "mediaType": OCI_IMAGE}]),
    }[of]
    answer = player.push_manifest(repository, "v1", document)
    check("PUT", answer)
    assert answer.status in (400, 404)
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert NOWHERE in answer.body.decode()
    assert player.tags(repository) == []


def test_blob_of_another_repository_is_missing(player: Client, world: World) -> None:
    """C-52: also inside one project a digest must be in the repository itself."""
    here, elsewhere = world.repository(), world.repository()
    layer = unique()
    player.push_blob(elsewhere, layer)
    player.push_blob(here, CONFIG)
    assert player.push_manifest(here, "v1", document_of(layer)).codes == ["MANIFEST_BLOB_UNKNOWN"]


@pytest.mark.parametrize("of", ["image", "index"])
def test_subject_is_acknowledged(player: Client, repository: str, layer: bytes, of: str) -> None:
    """C-53"""
    subject = descriptor(unique(), OCI_IMAGE)
    document = document_of(layer, subject=subject) if of == "image" else index_manifest([], subject=subject)
    answer = player.push_manifest(repository, "v1", document)
    assert answer.status == 201
    assert answer.headers["OCI-Subject"] == subject["digest"]
    again = player.push_manifest(repository, "v1", document)
    assert again.headers["OCI-Subject"] == subject["digest"]


# What is refused.


def _descriptor_with(layer: bytes, **changed: object) -> dict[str, object]:
    """An image whose one layer has a bad field."""
    return image_manifest(descriptor(CONFIG, OCI_CONFIG), [{**descriptor(layer, OCI_LAYER), **changed}])


def _text_with(layer: bytes, of: str, text: str) -> bytes:
    """An image whose field `of` holds JSON text that Python would not write."""
    return dump(document_of(layer, **{of: "@"})).replace(b'"@"', text.encode())


REFUSED: dict[str, Callable[[bytes], Any]] = {
    "no JSON": lambda layer: b"{",
    "an empty body": lambda layer: b"",
    "a list": lambda layer: b"[]",
    "null": lambda layer: b"null",
    "schemaVersion 1": lambda layer: {**document_of(layer), "schemaVersion": 1},
    "schemaVersion true": lambda layer: {**document_of(layer), "schemaVersion": True},
    "no config": lambda layer: {"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": []},
    "no layers": lambda layer: {k: v for k, v in document_of(layer).items() if k != "layers"},
    "C-55 S-144 another mediaType": lambda layer: {**document_of(layer), "mediaType": DOCKER_IMAGE},
    "C-55 S-143 layers and manifests": lambda layer: document_of(layer, manifests=[]),
    "C-55 S-143 a second reading": lambda layer: document_of(layer, Manifests=[descriptor(layer, OCI_IMAGE)]),
    "S-145 an index claimed as an image": lambda layer: {**index_manifest([]), "mediaType": OCI_IMAGE},
    "S-145 an index with a config": lambda layer: index_manifest([], config=descriptor(CONFIG, OCI_CONFIG)),
    "S-135 a negative size": lambda layer: _descriptor_with(layer, size=-1),
    "S-135 a float size": lambda layer: _descriptor_with(layer, size=100.0),
    "S-135 a boolean size": lambda layer: _descriptor_with(layer, size=True),
    "S-135 a text size": lambda layer: _descriptor_with(layer, size="100"),
    "S-135 a size of 2^63": lambda layer: _descriptor_with(layer, size=2**63),
    "S-135 no size": lambda layer: _descriptor_with(layer, size=None),
    "S-135 another size than the blob has": lambda layer: _descriptor_with(layer, size=len(layer) + 1),
    "C-03 a malformed digest": lambda layer: _descriptor_with(layer, digest="sha256:bad"),
    "C-03 an uppercase digest": lambda layer: _descriptor_with(layer, digest=sha256(layer).upper()),
    "a number for a digest": lambda layer: _descriptor_with(layer, digest=5),
    "S-133 depth 200,000": lambda layer: _text_with(layer, "deep", "[" * 200_000 + "]" * 200_000),
    "S-133 depth 50,000 of objects": lambda layer: _text_with(layer, "deep", '{"a":' * 50_000 + "1" + "}" * 50_000),
    "S-133 a number of 5,000 digits": lambda layer: _text_with(layer, "number", "9" * 5000),
    "S-133 NaN": lambda layer: _text_with(layer, "number", "NaN"),
    "S-133 infinity": lambda layer: _text_with(layer, "number", "-Infinity"),
    "S-133 1e999": lambda layer: _text_with(layer, "number", "1e999"),
    "S-133 UTF-16": lambda layer: json.dumps(document_of(layer)).encode("utf-16"),
    "S-133 UTF-32 without a mark": lambda layer: json.dumps(document_of(layer)).encode("utf-32-le"),
    "S-133 a byte order mark": lambda layer: b"\xef\xbb\xbf" + dump(document_of(layer)),
    "S-133 no UTF-8": lambda layer: dump(document_of(layer, annotations={"a": "@"})).replace(b"@", b"\xff"),
    "S-133 a field twice": lambda layer: dump(document_of(layer))[:-1] + b',"layers":[]}',
    "S-134 100,000 layers": lambda layer: (
        b'{"schemaVersion":2,"mediaType":"%s","config":{},"layers":[%s]}'
        % (OCI_IMAGE.encode(), b",".join([b"{}"] * 100_000))
    ),
    "S-134 100,000 children": lambda layer: (
        b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' % (OCI_IMAGE.encode(), b",".join([b"{}"] * 100_000))
    ),
    "annotations that are no texts": lambda layer: document_of(layer, annotations={"a": 1}),
    "annotations that are a list": lambda layer: document_of(layer, annotations=[]),
    "a malformed subject": lambda layer: document_of(layer, subject={"digest": "sha256:bad"}),
    "a subject that is a text": lambda layer: document_of(layer, subject="sha256:bad"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_is_refused(player: Client, repository: str, layer: bytes, row: str) -> None:
    document = REFUSED[row](layer)
    content = document if isinstance(document, bytes) else dump(document)
    answer = player.push_manifest(repository, "v1", content, OCI_IMAGE)
    check("PUT", answer)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"]), answer
    assert player.tags(repository) == []


@pytest.mark.parametrize("content_type", ["text/html", "application/vnd.example+json", OCI_INDEX, "*/*", "x"])
def test_other_content_types_are_refused(player: Client, repository: str, layer: bytes, content_type: str) -> None:
    """C-55"""
    answer = player.push_manifest(repository, "v1", document_of(layer), content_type)
    check("PUT", answer)
    assert answer.status in (400, 415)
    assert player.tags(repository) == []


def test_docker_schema_1_is_refused(player: Client, repository: str) -> None:
    content = dump({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []})
    media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    answer = player.push_manifest(repository, "v1", content, media_type)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
