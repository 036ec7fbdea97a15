"""What is read from manifests that are taken."""

import json
from typing import Any

import pytest

from registry.oci import manifest, media_types
from registry.oci.digest import Digest

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


def descriptor(content: bytes = b"content", media_type: str = LAYER, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def image(**fields: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(b"{}", OCI_CONFIG),
        "layers": [descriptor()],
        **fields,
    }


def index(**fields: Any) -> dict[str, Any]:
    children = [descriptor(b"child", media_types.OCI_MANIFEST)]
    return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children, **fields}


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def parse(document: dict[str, Any], content_type: str | None = None) -> manifest.ParsedManifest:
    header = document.get("mediaType", "") if content_type is None else content_type
    return manifest.parse(json.dumps(document).encode(), header)


def test_image_is_read_whole() -> None:
    content = json.dumps(
        image(artifactType="application/x", subject=descriptor(b"subject"), annotations={"a": "b"}), indent=3
    ).encode()
    read = manifest.parse(content, media_types.OCI_MANIFEST)
    assert read == manifest.ParsedManifest(
        media_type=media_types.OCI_MANIFEST,
        size=len(content),
        artifact_type="application/x",
        config=manifest.Descriptor(OCI_CONFIG, Digest.of(b"{}"), 2),
        layers=(manifest.Descriptor(LAYER, Digest.of(b"content"), 7),),
        subject=manifest.Descriptor(LAYER, Digest.of(b"subject"), 7),
        annotations={"a": "b"},
    )
    assert not read.is_index
    assert hash(read) == hash(manifest.parse(content, ""))


def test_index_is_read_whole() -> None:
    child = descriptor(
        b"child",
        media_types.OCI_MANIFEST,
        artifactType="application/y",
        annotations={"c": "d"},
        platform={"architecture": "arm64", "os": "linux", "variant": "v8", "os.features": ["x"], "other": 1},
    )
    read = parse(index(manifests=[child], subject=descriptor(b"subject")))
    assert read.is_index
    assert read.subject == manifest.Descriptor(LAYER, Digest.of(b"subject"), 7)
    assert read.children == (
        manifest.Descriptor(
            media_types.OCI_MANIFEST,
            Digest.of(b"child"),
            5,
            "application/y",
            {"c": "d"},
            {"architecture": "arm64", "os": "linux", "variant": "v8", "os.features": ["x"]},
        ),
    )
    assert (read.config, read.layers) == (None, ())


@pytest.mark.parametrize("media_type", sorted(media_types.IMAGES))
def test_each_type_of_image_is_taken(media_type: str) -> None:
    assert parse(image(mediaType=media_type)).media_type == media_type


@pytest.mark.parametrize("media_type", sorted(media_types.INDEXES))
def test_each_type_of_index_is_taken(media_type: str) -> None:
    assert parse(index(mediaType=media_type)).media_type == media_type


ARTIFACT_TYPES = [
    (image(artifactType="application/x"), "application/x"),
    (image(), OCI_CONFIG),
    (image(artifactType=""), OCI_CONFIG),
    (image(artifactType=None, config=descriptor(b"{}", EMPTY)), EMPTY),
    (index(artifactType="application/x"), "application/x"),
    (index(), None),
]


@pytest.mark.parametrize(("document", "artifact_type"), ARTIFACT_TYPES)
def test_c65_artifact_type_falls_back_to_the_config_type(document: dict[str, Any], artifact_type: str | None) -> None:
    assert parse(document).artifact_type == artifact_type


TAKEN = {
    "c51 unknown fields": image(other={"deep": [1, 1.5, None]}, config=descriptor(b"{}", OCI_CONFIG, more=1)),
    "c53 subject on an index": index(subject=descriptor(b"subject")),
    "c54 no layers": image(layers=[]),
    "c54 no children": index(manifests=[]),
    "c54 Go's nil layers": image(layers=None),
    "c54 Go's nil children": index(manifests=None),
    "c54 nested index": index(manifests=[descriptor(b"index", media_types.OCI_INDEX)]),
    "c54 one digest for config and layer": image(config=descriptor(b"{}", EMPTY), layers=[descriptor(b"{}", EMPTY)]),
    "c54 empty blob": image(layers=[descriptor(b"")]),
    "c55 no mediaType in the body": without(image(), "mediaType"),
    "absent by null": image(subject=None, annotations=None, manifests=None, artifactType=None),
    "data": image(config=descriptor(b"{}", EMPTY, data="e30=")),
    "urls": image(layers=[descriptor(urls=["https://example.com/layer"])]),
    "sha512": image(layers=[{**descriptor(), "digest": str(Digest.of(b"", "sha512"))}]),
    "size of 63 bits": image(layers=[descriptor() | {"size": 2**63 - 1}]),
    "Docker's unknown platform": index(manifests=[descriptor(platform={"architecture": "unknown", "os": "unknown"})]),
    "annotation named as a field": image(annotations={"Config": "x", "Layers": "y"}),
    "brackets in an annotation": image(annotations={"a": "[" * 1000}),
    "type with a parameter": image(layers=[descriptor(media_type="text/plain; charset=utf-8")]),
    "10,000 layers": image(layers=[descriptor()] * 10_000),
}


@pytest.mark.parametrize("document", TAKEN.values(), ids=TAKEN.keys())
def test_unusual_manifest_is_taken(document: dict[str, Any]) -> None:
    content_type = media_types.OCI_INDEX if "config" not in document else media_types.OCI_MANIFEST
    assert parse(document, content_type).media_type == content_type


@pytest.mark.parametrize(
    "header",
    [
        media_types.OCI_MANIFEST,
        f"{media_types.OCI_MANIFEST}; charset=utf-8",
        f" {media_types.OCI_MANIFEST.upper()} ; a=b",
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/octet-stream",
    ],
)
def test_c55_header_is_read_without_parameters_or_left_to_the_body(header: str) -> None:
    assert parse(image(), header).media_type == media_types.OCI_MANIFEST


@pytest.mark.parametrize("header", sorted(media_types.UNTOLD))
def test_type_told_nowhere_is_inferred(header: str) -> None:
    assert parse(without(image(), "mediaType"), header).media_type == media_types.OCI_MANIFEST
    assert parse(without(index(), "mediaType"), header).media_type == media_types.OCI_INDEX


def test_c56_manifest_of_4_mib_is_taken() -> None:
    content = json.dumps(image(annotations={f"a{n}": "x" * 10_000 for n in range(390)})).encode()
    content += b" " * (manifest.MAX_SIZE - len(content))
    read = manifest.parse(content, media_types.OCI_MANIFEST)
    assert read.size == 4 * 1024 * 1024
    assert len(read.annotations) == 390


UNSTORABLE = ["\0", "a\0b", "\ud800", "x\udfff", "\udc00\ud800"]


@pytest.mark.parametrize("text", UNSTORABLE, ids=ascii)
def test_s136_text_that_postgresql_cannot_hold_is_left_out(text: str) -> None:
    document = index(
        annotations={"a": text, text: "b", "kept": "\u202e\U0001f600"},
        manifests=[
            descriptor(annotations={"a": text, "kept": ""}, platform={"os": text, "variant": "v8", "features": [text]})
        ],
    )
    read = parse(document)
    assert read.annotations == {"kept": "\u202e\U0001f600"}
    assert read.children[0].annotations == {"kept": ""}
    assert read.children[0].platform == {"variant": "v8", "features": []}


@pytest.mark.parametrize("media_type", sorted(media_types.NONDISTRIBUTABLE))
def test_c52_nondistributable_layer_is_foreign_with_and_without_urls(media_type: str) -> None:
    layers = [descriptor(media_type=media_type), descriptor(b"b", media_type, urls=["https://example.com/"])]
    assert all(layer.is_foreign for layer in parse(image(layers=layers)).layers)


def test_ordinary_layer_with_urls_is_not_foreign() -> None:
    assert not parse(image(layers=[descriptor(urls=["https://example.com/"])])).layers[0].is_foreign


def kinds(read: manifest.ParsedManifest) -> list[tuple[str, str]]:
    names = {Digest.of(name.encode()): name for name in ("{}", "a", "b", "c")}
    return [(kind, names[found.digest]) for kind, found in read.references()]


def test_references_are_config_and_layers_in_order() -> None:
    layers = [descriptor(b"b"), descriptor(b"a"), descriptor(b"c")]
    assert kinds(parse(image(layers=layers))) == [("config", "{}"), ("layer", "b"), ("layer", "a"), ("layer", "c")]


def test_references_of_an_index_are_its_children_and_not_its_subject() -> None:
    read = parse(index(manifests=[descriptor(b"a"), descriptor(b"b")], subject=descriptor(b"c")))
    assert kinds(read) == [("child", "a"), ("child", "b")]


def test_c54_shared_digest_comes_once_of_a_kind() -> None:
    layers = [descriptor(b"a"), descriptor(b"{}"), descriptor(b"b"), descriptor(b"a"), descriptor(b"a", EMPTY)]
    read = parse(image(layers=layers))
    assert kinds(read) == [("config", "{}"), ("layer", "a"), ("layer", "{}"), ("layer", "b")]


@pytest.mark.parametrize("foreign_first", [True, False])
def test_layer_named_as_foreign_and_as_ordinary_must_be_there(*, foreign_first: bool) -> None:
    foreign = descriptor(media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    layers = [foreign, descriptor()] if foreign_first else [descriptor(), foreign]
    references = [found for kind, found in parse(image(layers=layers)).references() if kind == "layer"]
    assert [found.is_foreign for found in references] == [False]
