"""What is no manifest, or could be two: each is refused with a typed error, and with bounded work."""

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harborlite.errors import ManifestInvalid, ManifestTooLarge
from registry.oci import manifest, media_types
from registry.oci.digest import Digest

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DESCRIPTOR = {"mediaType": LAYER, "digest": str(Digest.of(b"content")), "size": 7}
CHILD = {**DESCRIPTOR, "mediaType": media_types.OCI_MANIFEST}
IMAGE = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
INDEX = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [CHILD]}
PLAIN = json.dumps(IMAGE)


def refusal(content: bytes, content_type: str = "") -> str:
    with pytest.raises(ManifestInvalid) as caught:
        manifest.parse(content, content_type)
    assert (caught.value.status, caught.value.code) == (400, "MANIFEST_INVALID")
    assert caught.value.message.isascii()
    return caught.value.message


def with_field(text: str) -> bytes:
    return (PLAIN[:-1] + f', "x": {text}}}').encode()


NOT_JSON = {
    "nothing": (b"", "not JSON"),
    "words": (b"hello", "not JSON"),
    "cut short": (PLAIN[:-1].encode(), "not JSON"),
    "something behind": (PLAIN.encode() + b"{}", "not JSON"),
    "s133 BOM": (PLAIN.encode("utf-8-sig"), "not JSON"),
    "s133 UTF-16": (PLAIN.encode("utf-16"), "UTF-8"),
    "s133 UTF-16 without mark": (PLAIN.encode("utf-16-le"), "not JSON"),
    "s133 UTF-32": (PLAIN.encode("utf-32-be"), "not JSON"),
    "Latin-1": (PLAIN.replace("{", '{"\u00e9": 1,', 1).encode("latin-1"), "UTF-8"),
    "surrogate in UTF-8": (with_field('"?"').replace(b"?", b"\xed\xa0\x80"), "UTF-8"),
    "NUL behind": (PLAIN.encode() + b"\0", "not JSON"),
    "raw control character": (with_field('"\n"'), "not JSON"),
    "s133 NaN": (with_field("NaN"), "NaN"),
    "s133 Infinity": (with_field("-Infinity"), "Infinity"),
    "s133 1e999": (with_field("1e999"), "out of range"),
    "s133 5,000 digits": (with_field("9" * 5000), "out of range"),
    "s133 5,000 digits of size": (PLAIN.replace("7", "7" * 5000).encode(), "out of range"),
    "s133 depth of lists": (with_field("[" * 100_000 + "]" * 100_000), "nested too deeply"),
    "s133 depth of objects": (with_field('{"a":' * 90_000 + "1" + "}" * 90_000), "nested too deeply"),
    "s133 depth of 200,000": (with_field("[" * 200_000 + "]" * 200_000), "more than"),
    "s133 duplicate field": (with_field('1, "layers": []'), "twice"),
    "s133 duplicate field by escape": (with_field(r'1, "\u006cayers": []'), "twice"),
    "s133 duplicate field in a descriptor": (PLAIN.replace('"size"', '"digest": "", "size"').encode(), "twice"),
    "a list": (b"[]", "JSON object"),
    "a string": (b'"x"', "JSON object"),
    "null": (b"null", "JSON object"),
    "a number": (b"2", "JSON object"),
}


@pytest.mark.parametrize(("content", "message"), NOT_JSON.values(), ids=NOT_JSON.keys())
def test_bytes_that_are_no_strict_json_object_are_refused(content: bytes, message: str) -> None:
    assert message in refusal(content)
    assert message in refusal(content, media_types.OCI_MANIFEST)


# name: (document, Content-Type, part of the message)
IMAGE_TYPE, INDEX_TYPE = media_types.OCI_MANIFEST, media_types.OCI_INDEX
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "c55 header says another type": (IMAGE, media_types.DOCKER_MANIFEST, "mediaType is"),
    "s144 body says another type": (IMAGE | {"mediaType": INDEX_TYPE}, IMAGE_TYPE, "mediaType is"),
    "s143 image with children": (IMAGE | {"manifests": [CHILD]}, IMAGE_TYPE, "must not have manifests"),
    "s143 image with no children": (IMAGE | {"manifests": []}, IMAGE_TYPE, "must not have manifests"),
    "s143 index with layers": (INDEX | {"layers": []}, INDEX_TYPE, "must not have layers"),
    "s143 index with a config": (INDEX | {"config": DESCRIPTOR}, INDEX_TYPE, "must not have config"),
    "s143 both, type untold": (
        {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [], "manifests": [CHILD]},
        "",
        "must not have manifests",
    ),
    "s143 image with layers of schema 1": (IMAGE | {"fsLayers": []}, IMAGE_TYPE, "must not have fsLayers"),
    "s143 image with Manifests for Go": (IMAGE | {"Manifests": [CHILD]}, IMAGE_TYPE, "manifests in other capitals"),
    "s143 image with LAYERS for Go": (IMAGE | {"LAYERS": []}, IMAGE_TYPE, "layers in other capitals"),
    "s143 image with a long s for Go": (IMAGE | {"manife\u017fts": []}, IMAGE_TYPE, "manifests in other capitals"),
    "s143 descriptor with Digest for Go": (
        IMAGE | {"layers": [DESCRIPTOR | {"Digest": str(Digest.of(b""))}]},
        IMAGE_TYPE,
        "layers[0] has a field that is digest",
    ),
    "s145 index claimed as image": (
        {"schemaVersion": 2, "manifests": [CHILD]},
        IMAGE_TYPE,
        "must not have manifests",
    ),
    "s145 image claimed as index": (
        {"schemaVersion": 2, "config": DESCRIPTOR, "layers": []},
        INDEX_TYPE,
        "must not have config",
    ),
    "unknown type": (IMAGE | {"mediaType": "application/x"}, "application/x", "unsupported media type"),
    "unknown type in the body only": (IMAGE | {"mediaType": "application/x"}, "", "unsupported media type"),
    "header that is no manifest's": (IMAGE, "text/html", "unsupported media type"),
    "type nowhere": ({"schemaVersion": 2}, "", "tell what it is"),
    "config alone": ({"schemaVersion": 2, "config": DESCRIPTOR}, "", "tell what it is"),
    "mediaType is a number": (IMAGE | {"mediaType": 1}, IMAGE_TYPE, "mediaType must be"),
    "schema 1 by header": ({"schemaVersion": 1}, media_types.DOCKER_SCHEMA1_SIGNED, "schema 1"),
    "schema 1 by body": ({"schemaVersion": 1, "mediaType": media_types.DOCKER_SCHEMA1}, "", "schema 1"),
    "schema 1 by its layers": ({"schemaVersion": 1, "fsLayers": []}, "application/json", "schema 1"),
    "OCI artifact manifest": ({"mediaType": media_types.OCI_ARTIFACT}, media_types.OCI_ARTIFACT, "artifactType"),
    "no schemaVersion": ({"config": DESCRIPTOR, "layers": []}, IMAGE_TYPE, "schemaVersion"),
    "schemaVersion 1": (IMAGE | {"schemaVersion": 1}, IMAGE_TYPE, "schemaVersion"),
    "schemaVersion 3": (IMAGE | {"schemaVersion": 3}, IMAGE_TYPE, "schemaVersion"),
    "schemaVersion '2'": (IMAGE | {"schemaVersion": "2"}, IMAGE_TYPE, "schemaVersion"),
    "schemaVersion 2.0": (IMAGE | {"schemaVersion": 2.0}, IMAGE_TYPE, "schemaVersion"),
    "schemaVersion true": (IMAGE | {"schemaVersion": True}, IMAGE_TYPE, "schemaVersion"),
    "no config": ({"schemaVersion": 2, "layers": []}, IMAGE_TYPE, "config must be a JSON object"),
    "config null": (IMAGE | {"config": None}, IMAGE_TYPE, "config must be a JSON object"),
    "config {}": (IMAGE | {"config": {}}, IMAGE_TYPE, "config.mediaType is missing"),
    "config that need not be pushed": (
        IMAGE | {"config": DESCRIPTOR | {"mediaType": min(media_types.NONDISTRIBUTABLE)}},
        IMAGE_TYPE,
        "config.mediaType is that of a layer",
    ),
    "no layers": ({"schemaVersion": 2, "config": DESCRIPTOR}, IMAGE_TYPE, "layers is missing"),
    "layers an object": (IMAGE | {"layers": {}}, IMAGE_TYPE, "layers must be a list"),
    "layer a string": (IMAGE | {"layers": [DESCRIPTOR, "x"]}, IMAGE_TYPE, "layers[1] must be a JSON object"),
    "no children": ({"schemaVersion": 2}, INDEX_TYPE, "manifests is missing"),
    "child null": (INDEX | {"manifests": [None]}, INDEX_TYPE, "manifests[0] must be a JSON object"),
    "subject a string": (IMAGE | {"subject": DESCRIPTOR["digest"]}, IMAGE_TYPE, "subject must be a JSON object"),
    "subject {}": (INDEX | {"subject": {}}, INDEX_TYPE, "subject.mediaType is missing"),
    "artifactType a list": (IMAGE | {"artifactType": []}, IMAGE_TYPE, "artifactType must be"),
    "artifactType of 256 characters": (IMAGE | {"artifactType": "x" * 256}, IMAGE_TYPE, "artifactType must be"),
    "artifactType with NUL": (IMAGE | {"artifactType": "x\0"}, IMAGE_TYPE, "artifactType must be"),
    "artifactType with a line break": (IMAGE | {"artifactType": "x\r\ny"}, IMAGE_TYPE, "artifactType must be"),
    "artifactType half a character": (IMAGE | {"artifactType": "\ud800"}, IMAGE_TYPE, "artifactType must be"),
    "annotations a list": (IMAGE | {"annotations": []}, IMAGE_TYPE, "annotations must be"),
    "annotation a number": (IMAGE | {"annotations": {"a": 1}}, IMAGE_TYPE, "annotations must be"),
    "annotation null": (IMAGE | {"annotations": {"a": None}}, IMAGE_TYPE, "annotations must be"),
    "s134 10,001 layers": (IMAGE | {"layers": [DESCRIPTOR] * 10_001}, IMAGE_TYPE, "layers has more than"),
    "s134 10,001 children": (INDEX | {"manifests": [CHILD] * 10_001}, INDEX_TYPE, "manifests has more than"),
    "s135 one digest of two sizes": (
        IMAGE | {"layers": [DESCRIPTOR, DESCRIPTOR | {"size": 8}]},
        IMAGE_TYPE,
        "two different values of size",
    ),
}


@pytest.mark.parametrize(("document", "content_type", "message"), WRONG.values(), ids=WRONG.keys())
def test_manifest_that_is_wrong_or_ambiguous_is_refused(
    document: dict[str, Any], content_type: str, message: str
) -> None:
    assert message in refusal(json.dumps(document).encode(), content_type)


WRONG_DESCRIPTORS = {
    "s135 size negative": ({"size": -1}, "size must be"),
    "s135 size fraction": ({"size": 7.5}, "size must be"),
    "s135 size float": ({"size": 7.0}, "size must be"),
    "s135 size bool": ({"size": True}, "size must be"),
    "s135 size 2^63": ({"size": 2**63}, "size must be"),
    "s135 size of 90 digits": ({"size": 10**90}, "size must be"),
    "s135 size string": ({"size": "7"}, "size must be"),
    "s135 size null": ({"size": None}, "size must be"),
    "digest null": ({"digest": None}, "digest must be"),
    "digest a number": ({"digest": 1}, "digest must be"),
    "digest malformed": ({"digest": "sha256:baddigeststring"}, "digest must be"),
    "digest of an unknown algorithm": ({"digest": f"blake3:{'a' * 64}"}, "digest must be"),
    "digest with newline": ({"digest": f"{DESCRIPTOR['digest']}\n"}, "digest must be"),
    "mediaType null": ({"mediaType": None}, "mediaType is missing"),
    "mediaType empty": ({"mediaType": ""}, "mediaType is missing"),
    "mediaType a number": ({"mediaType": 1}, "mediaType must be"),
    "mediaType with accent": ({"mediaType": "caf\u00e9"}, "mediaType must be"),
    "artifactType a number": ({"artifactType": 1}, "artifactType must be"),
    "annotation a list": ({"annotations": {"a": []}}, "annotations must be"),
    "platform a string": ({"platform": "linux/amd64"}, "platform must be"),
    "platform os a number": ({"platform": {"os": 1}}, "platform.os must be"),
    "platform features a string": ({"platform": {"features": "x"}}, "platform.features must be"),
    "platform features of numbers": ({"platform": {"os.features": [1]}}, "platform.os.features must be"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG_DESCRIPTORS.values(), ids=WRONG_DESCRIPTORS.keys())
def test_wrong_descriptor_is_refused_and_named_wherever_it_stands(fields: dict[str, Any], message: str) -> None:
    wrong = DESCRIPTOR | fields
    places = {
        "config": IMAGE | {"config": wrong},
        "layers[1]": IMAGE | {"layers": [CHILD, wrong]},
        "subject": IMAGE | {"subject": wrong},
        "manifests[0]": INDEX | {"manifests": [wrong]},
    }
    for place, document in places.items():
        assert f"{place}.{message}" in refusal(json.dumps(document).encode(), "")


@pytest.mark.parametrize("name", ["mediaType", "digest", "size"])
def test_descriptor_without_a_required_field_is_refused(name: str) -> None:
    wrong = {key: value for key, value in DESCRIPTOR.items() if key != name}
    assert f"config.{name}" in refusal(json.dumps(IMAGE | {"config": wrong}).encode())


def test_s130_manifest_above_4_mib_is_too_large() -> None:
    with pytest.raises(ManifestTooLarge) as caught:
        manifest.parse(PLAIN.encode().ljust(manifest.MAX_SIZE + 1), media_types.OCI_MANIFEST)
    assert caught.value.status == 413


def test_clients_text_in_a_message_is_short_and_ascii() -> None:
    media_type = "application/\u202e\ud800" + "x" * 10_000
    assert len(refusal(PLAIN.encode(), media_type)) < 300


GREEDY = {
    "lists": "[" + ",".join(["[]"] * 1_300_000) + "]",
    "as many lists as are taken": "[" + ",".join(["[]"] * 99_000) + "]",
    "fields": "{" + ",".join(f'"{n}":{n}.5' for n in range(190_000)) + "}",
    "wide strings": "[" + ",".join(['"ab\U0001f600"'] * 190_000) + "]",
    "digits": "1" * 4_000_000,
    "depth": "[" * 190_000,
    "escapes": '"' + r"\ud800" * 650_000 + '"',
}


@pytest.mark.parametrize("text", GREEDY.values(), ids=GREEDY.keys())
def test_s134_work_is_bounded(text: str) -> None:
    content = with_field(text)
    assert len(content) <= manifest.MAX_SIZE
    start = time.process_time()
    tracemalloc.start()
    try:
        manifest.parse(content, "")
    except ManifestInvalid:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
    assert time.process_time() - start < 3  # with tracing, which is several times slower


HEADERS = st.sampled_from(sorted(media_types.MANIFESTS | media_types.UNTOLD)) | st.text(max_size=40)


def survives(content: bytes, content_type: str) -> None:
    """`parse` gives what its promises say, or ManifestInvalid."""
    try:
        read = manifest.parse(content, content_type)
    except ManifestInvalid:
        return
    assert read.size == len(content)
    assert read.media_type in media_types.MANIFESTS
    assert not (read.children if not read.is_index else (read.config or read.layers))
    references = list(read.references())
    assert len({(kind, found.digest) for kind, found in references}) == len(references)
    stored = json.dumps([read.annotations, [found.annotations for _, found in references]], ensure_ascii=False)
    assert "\0" not in stored
    stored.encode()


@given(st.binary(max_size=200), HEADERS)
@settings(max_examples=150)
def test_any_bytes_are_read_or_refused(content: bytes, content_type: str) -> None:
    survives(content, content_type)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([LAYER, DESCRIPTOR["digest"], *sorted(media_types.MANIFESTS), "", "\0", "\ud800"])
)
NAMES = st.sampled_from(
    [
        "schemaVersion",
        "Layers",
        "data",
        "urls",
        "os",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "size",
        "digest",
        "platform",
    ]
)
VALUES = st.recursive(
    LEAVES | st.just(DESCRIPTOR),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([IMAGE, INDEX, DESCRIPTOR, {}]), st.dictionaries(NAMES, VALUES, max_size=4), HEADERS)
@settings(max_examples=300)
def test_valid_manifest_with_any_fields_changed_is_read_or_refused(
    document: dict[str, Any], changes: dict[str, Any], content_type: str
) -> None:
    survives(json.dumps(document | changes).encode(), content_type)


@given(
    st.sampled_from([IMAGE, INDEX]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 8), st.binary(max_size=6)), min_size=1, max_size=4),
)
@settings(max_examples=200)
def test_valid_manifest_with_any_bytes_changed_is_read_or_refused(
    document: dict[str, Any], edits: list[tuple[int, int, bytes]]
) -> None:
    content = json.dumps(document).encode()
    for place, length, replacement in edits:
        content = content[:place] + replacement + content[place + length :]
    survives(content, "")
