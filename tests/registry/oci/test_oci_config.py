"""What an artifact is, and what its config says of it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.oci import config
from registry.oci.config import Kind
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, ParsedManifest
from registry.oci.media_types import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST

IMAGE = Kind("IMAGE", config.OCI_CONFIG)


def blob(media_type: str, **further: Any) -> Descriptor:
    return Descriptor(media_type, Digest.of(media_type.encode()), 2, **further)


def manifest(config_type: str = config.OCI_CONFIG, artifact_type: str | None = None, **further: Any) -> ParsedManifest:
    return ParsedManifest(OCI_MANIFEST, 100, artifact_type or config_type, config=blob(config_type), **further)


@pytest.mark.parametrize(
    ("parsed", "kind"),
    [
        (manifest(), IMAGE),
        (manifest(config.DOCKER_CONFIG), Kind("IMAGE", config.DOCKER_CONFIG)),
        (manifest(config.HELM_CONFIG), Kind("CHART", config.HELM_CONFIG)),
        (manifest(config.WASM_CONFIG), Kind("WASM", config.WASM_CONFIG)),
        (manifest(annotations={"module.wasm.image/variant": "compat"}), Kind("WASM", config.WASM_CONFIG)),
        (manifest(annotations={"module.wasm.image/variant": "other"}), IMAGE),
        (manifest("text/plain", config.HARBOR_SBOM), Kind("SBOM", "text/plain")),
        (manifest("text/plain", config.CNCF_MODEL), Kind("CNAI", "text/plain")),
        (manifest("application/vnd.acme.a.b.config.v2+json"), Kind("A.B", "application/vnd.acme.a.b.config.v2+json")),
        (manifest("application/vnd.acme.config.v2+json"), Kind("UNKNOWN", "application/vnd.acme.config.v2+json")),
        (manifest("application/vnd.oci.empty.v1+json"), Kind("UNKNOWN", "application/vnd.oci.empty.v1+json")),
        (ParsedManifest(OCI_INDEX, 9, None), Kind("IMAGE", OCI_INDEX)),
        (ParsedManifest(DOCKER_LIST, 9, None), Kind("IMAGE", DOCKER_LIST)),
        (ParsedManifest(OCI_INDEX, 9, "application/vnd.example"), Kind("UNKNOWN", OCI_INDEX)),
        (
            ParsedManifest(OCI_INDEX, 9, None, annotations={"org.opencontainers.artifactType": config.CNAB_MANIFEST}),
            Kind("CNAB", config.CNAB_MANIFEST),
        ),
        (
            ParsedManifest(OCI_INDEX, 9, None, annotations={"org.opencontainers.artifactType": "x" * 256}),
            Kind("IMAGE", OCI_INDEX),
        ),
    ],
)
def test_kinds(parsed: ParsedManifest, kind: Kind) -> None:
    assert config.kind_of(parsed) == kind


@pytest.mark.parametrize(
    ("parsed", "expected"),
    [
        (manifest(), "subject.accessory"),
        (manifest("application/vnd.oci.empty.v1+json", "application/vnd.cncf.notary.signature"), "signature.notation"),
        (manifest("application/vnd.dev.cosign.artifact.sig.v1+json"), "signature.cosign"),
        (manifest(layers=(blob("application/vnd.dev.cosign.simplesigning.v1+json"),)), "signature.cosign"),
        (manifest("text/plain", config.HARBOR_SBOM), "sbom.harbor"),
        (
            manifest(layers=(blob("a"), blob("b", annotations={"containerd.io/snapshot/nydus-bootstrap": "true"}))),
            "accelerator.nydus",
        ),
        (
            manifest(layers=(blob("a", annotations={"containerd.io/snapshot/nydus-bootstrap": "true"}), blob("b"))),
            "subject.accessory",
        ),
    ],
)
def test_accessory_types(parsed: ParsedManifest, expected: str) -> None:
    assert config.accessory_type_of(parsed) == expected


def attributes(document: object, kind: Kind = IMAGE, parsed: ParsedManifest | None = None) -> dict[str, Any]:
    return config.attributes_of(kind, parsed or manifest(), json.dumps(document).encode())


@pytest.mark.parametrize(
    ("document", "author"),
    [
        ({"author": "Ada"}, "Ada"),
        ({"author": "", "config": {"Labels": {"maintainer": "Bob"}}}, "Bob"),
        (
            {"config": {"Labels": {"maintainer": "Bob", "org.opencontainers.image.authors": "Cy"}}},
            "Cy",
        ),
        ({"author": 7, "config": {"Labels": ["maintainer"]}}, ""),
        ({}, ""),
    ],
)
def test_the_author_of_an_image_may_be_a_label(document: dict[str, Any], author: str) -> None:
    assert attributes(document)["author"] == author


def test_a_chart_says_all_that_its_config_says() -> None:
    document = {"name": "web", "version": "1.0.0", "dependencies": [{"name": "db"}]}
    assert attributes(document, Kind("CHART", config.HELM_CONFIG)) == document


def test_a_module_is_told_by_its_layer() -> None:
    layer = blob("application/vnd.wasm.content.layer.v1+wasm", annotations={"org.opencontainers.image.title": "a.wasm"})
    parsed = manifest(config.WASM_CONFIG, layers=(layer,))
    assert attributes({"x": 1}, Kind("WASM", config.WASM_CONFIG), parsed) == {
        "manifest.config.mediaType": config.WASM_CONFIG,
        "manifest.layers.mediaType": layer.media_type,
        "org.opencontainers.image.title": "a.wasm",
    }
    image = manifest(annotations={"run.oci.handler": "wasm"})
    assert attributes({"os": "wasip1"}, Kind("WASM", config.WASM_CONFIG), image)["os"] == "wasip1"


def test_what_has_no_room_is_left_out_and_short_things_stay() -> None:
    kept = attributes({"os": "linux", "config": {"Env": ["x" * config.MAX_ATTRIBUTES]}})
    assert kept == {"architecture": "", "author": "", "created": None, "os": "linux"}


def test_history_and_dependencies_keep_the_fields_they_have() -> None:
    step = {"created": "2024-05-01T10:00:00Z", "created_by": "RUN x", "empty_layer": True, "x": 1, "comment": 2}
    assert config.history_of(json.dumps({"history": [step, 5, {}]}).encode()) == [
        {"created": "2024-05-01T10:00:00Z", "created_by": "RUN x", "empty_layer": True},
        {},
    ]
    needed = {"name": "db", "version": "1", "tags": ["a"], "alias": 1}
    assert config.dependencies_of(json.dumps({"dependencies": [needed]}).encode()) == [
        {"name": "db", "version": "1", "tags": ["a"]}
    ]


def is_storable(value: object) -> bool:
    """PostgreSQL would take it into a JSON column."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    return "\\u0000" not in text.replace("\\\\", "") and text.encode() is not None


_KEYS = st.sampled_from(
    ["architecture", "os", "author", "created", "config", "history", "dependencies", "Labels", "\0"]
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)


@given(
    document=_JSON, kind=st.sampled_from([IMAGE, Kind("CHART", config.HELM_CONFIG), Kind("WASM", config.WASM_CONFIG)])
)
@example(document={"a": "\ud800", "\udfff": 1, "b": ["\0", {"c": "\0"}]}, kind=Kind("CHART", config.HELM_CONFIG))
def test_whatever_a_config_holds_is_read_to_something_storable(document: Any, kind: Kind) -> None:
    content = json.dumps(document).encode()
    for found in (
        config.attributes_of(kind, manifest(), content), config.history_of(content), config.dependencies_of(content),
    ):  # fmt: skip
        assert is_storable(found)
        assert len(json.dumps(found)) <= config.MAX_ATTRIBUTES + 100


@given(content=st.binary(max_size=200))
@example(content=b"[" * 100_000)
@example(content=b'{"a":' * 50_000)
@example(content=b'{"a": ' + b"9" * 5000 + b"}")
@example(content=b'{"a": NaN}')
@example(content=b'{"a": 1e400}')
@example(content=b"\xef\xbb\xbf{}")
@example(content="{}".encode("utf-16"))
@example(content=b'{"a":' + b"[" * 500 + b"]" * 500 + b"}")
@example(content=b"{" + b" " * config.MAX_CONFIG + b"}")
def test_any_bytes_are_read_without_an_error(content: bytes) -> None:
    found = config.attributes_of(Kind("CHART", config.HELM_CONFIG), manifest(), content)
    assert is_storable(found)
