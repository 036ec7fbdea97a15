"""What an artifact is in Harbor's words, and what its config blob says of it. Pure.

    ParsedManifest --kind_of--> Kind            IMAGE, CHART, CNAB, WASM ...; decides which additions there are
    config blob ---attributes_of--> extra_attrs     of images five fields, of other kinds the whole document

A config is whatever somebody pushed: one that can't be read, or not stored as JSON, says nothing, and never stops
anything. Work and result are bounded.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.oci import media_types
from registry.oci.manifest import MAX_TYPE, MAX_VALUES, ParsedManifest

MAX_CONFIG = 4 * 1024 * 1024
"""Bytes of a config that is looked at."""
MAX_ATTRIBUTES = 64 * 1024
"""Characters of JSON kept of it with the artifact: lists show up to a hundred."""
MAX_DEPTH = 32
MAX_DIGITS = 100

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
WASM_CONFIG = "application/vnd.wasm.config.v1+json"
CNAB_MANIFEST = "application/vnd.cnab.manifest.v1"
HARBOR_SBOM = "application/vnd.goharbor.harbor.sbom.v1"
CNCF_MODEL = "application/vnd.cncf.model.manifest.v1+json"

ACCESSORY = "subject.accessory"
_ACCESSORIES = {
    "application/vnd.cncf.notary.signature": "signature.notation",
    "application/vnd.dev.cosign.artifact.sig.v1+json": "signature.cosign",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "signature.cosign",
    HARBOR_SBOM: "sbom.harbor",
}
_COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
_NYDUS_MARK = "containerd.io/snapshot/nydus-bootstrap"

BUILD_HISTORY = "build_history"
DEPENDENCIES = "dependencies"
VALUES = "values.yaml"
README = "readme.md"
_WITH_HISTORY = frozenset({OCI_CONFIG, DOCKER_CONFIG, WASM_CONFIG})

UNKNOWN = "UNKNOWN"
_TYPES = {
    OCI_CONFIG: "IMAGE",
    DOCKER_CONFIG: "IMAGE",
    media_types.OCI_INDEX: "IMAGE",
    media_types.DOCKER_LIST: "IMAGE",
    HELM_CONFIG: "CHART",
    CNAB_MANIFEST: "CNAB",
    WASM_CONFIG: "WASM",
    HARBOR_SBOM: "SBOM",
    CNCF_MODEL: "CNAI",
}
_NAMED_TYPE = re.compile(r"application/vnd\.[^.]*\.(.*)\.config\.[^.]*\+json")
"""Harbor names other artifacts by their config: application/vnd.acme.model.config.v1+json is a MODEL."""
_WASM_MARKS = {"module.wasm.image/variant": "compat", "run.oci.handler": "wasm"}
_AUTHOR_LABELS = ("org.opencontainers.image.authors", "maintainer")
_HISTORY = {"created": str, "created_by": str, "author": str, "comment": str, "empty_layer": bool}
_DEPENDENCY = {"name": str, "version": str, "repository": str, "condition": str, "tags": list, "alias": str}


@dataclass(frozen=True, slots=True)
class Kind:
    """Harbor's `type` and `media_type` of an artifact."""

    type: str
    media_type: str


def kind_of(parsed: ParsedManifest) -> Kind:
    """What the manifest is: by its artifactType, by its config's media type, by annotations (wasm, CNAB)."""
    if parsed.config is None:
        told = parsed.annotations.get("org.opencontainers.artifactType", "")
        is_type = 0 < len(told) <= MAX_TYPE and told.isascii() and told.isprintable()
        media_type = told if is_type else parsed.media_type
    else:
        media_type = parsed.config.media_type
        if any(parsed.annotations.get(name) == value for name, value in _WASM_MARKS.items()):
            return Kind(_TYPES[WASM_CONFIG], WASM_CONFIG)
    known = _TYPES.get(parsed.artifact_type or media_type)
    if known is None and (named := _NAMED_TYPE.fullmatch(media_type)):
        known = named[1].upper()
    return Kind(known or UNKNOWN, media_type)


def accessory_type_of(parsed: ParsedManifest) -> str:
    """What the manifest is to its subject, if it has one or gets one by a legacy cosign tag (Harbor's words)."""
    if known := _ACCESSORIES.get(parsed.artifact_type or ""):
        return known
    if any(layer.media_type == _COSIGN_LAYER for layer in parsed.layers):
        return "signature.cosign"
    is_image = parsed.artifact_type in (OCI_CONFIG, DOCKER_CONFIG)
    is_nydus = is_image and any(_NYDUS_MARK in layer.annotations for layer in parsed.layers[-1:])
    return "accelerator.nydus" if is_nydus else ACCESSORY


def additions_of(kind: Kind) -> tuple[str, ...]:
    """What can be shown beside such an artifact (Harbor's additions)."""
    if kind.type == "CHART":
        return VALUES, README, DEPENDENCIES
    return (BUILD_HISTORY,) if kind.media_type in _WITH_HISTORY else ()


def is_read(kind: Kind) -> bool:
    """Whether the config of such an artifact is worth reading."""
    return kind.type not in (UNKNOWN, _TYPES[HARBOR_SBOM], _TYPES[CNAB_MANIFEST])


def attributes_of(kind: Kind, parsed: ParsedManifest, config: bytes) -> dict[str, Any]:
    """Harbor's extra_attrs. Empty when the config says nothing; never raises."""
    document = read(config)
    if kind.type == _TYPES[WASM_CONFIG]:
        attributes = _of_wasm(parsed, document)
    elif document is None:
        attributes = {}
    else:
        attributes = _of_image(document) if kind.type == "IMAGE" else document
    return _fitting(attributes)


def read(content: bytes) -> dict[str, Any] | None:
    """The JSON object that `content` is, without what PostgreSQL could not store; None when it is none."""
    if len(content) > MAX_CONFIG or sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        return None
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError):
        return None
    return _storable(document, 0) if isinstance(document, dict) else None


def history_of(config: bytes) -> list[dict[str, Any]]:
    """The build history of an image's config, oldest step first."""
    return _entries((read(config) or {}).get("history"), _HISTORY)


def dependencies_of(config: bytes) -> list[dict[str, Any]]:
    """The charts that a chart needs: Helm writes them into the config, from Chart.yaml and requirements.yaml alike."""
    return _entries((read(config) or {}).get("dependencies"), _DEPENDENCY)


def _entries(found: object, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        return []
    return [
        {name: entry[name] for name, kind in fields.items() if isinstance(entry.get(name), kind)}
        for entry in found
        if isinstance(entry, dict)
    ]


def _of_image(document: Mapping[str, Any]) -> dict[str, Any]:
    config = document.get("config")
    config = config if isinstance(config, dict) else {}
    labels = config.get("Labels")
    authors = [document.get("author"), *map((labels if isinstance(labels, dict) else {}).get, _AUTHOR_LABELS)]
    return {
        "architecture": _text(document.get("architecture")),
        "author": next(filter(None, map(_text, authors)), ""),
        "config": config,
        "created": _text(document.get("created")) or None,
        "os": _text(document.get("os")),
    }


def _of_wasm(parsed: ParsedManifest, document: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of an image that carries the module beside its config, or of a module alone (wasm-to-oci)."""
    if parsed.config and parsed.config.media_type != WASM_CONFIG:
        return {"manifest.config.mediaType": parsed.config.media_type, **_of_image(document or {})}
    attributes: dict[str, Any] = {"manifest.config.mediaType": WASM_CONFIG}
    for layer in parsed.layers[:1]:
        attributes["manifest.layers.mediaType"] = layer.media_type
        attributes["org.opencontainers.image.title"] = layer.annotations.get("org.opencontainers.image.title", "")
    return attributes


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fitting(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """As many of the attributes as have room, short ones first."""
    kept, left = set(), MAX_ATTRIBUTES
    for size, name in sorted((len(json.dumps({name: value})), name) for name, value in attributes.items()):
        left -= size
        if left < 0:
            break
        kept.add(name)
    return {name: value for name, value in attributes.items() if name in kept}


def _storable(value: Any, depth: int) -> Any:
    """`value` without texts that a JSON column can't hold, and without what is nested too deeply."""
    if isinstance(value, dict):
        return {
            name: _storable(inner, depth + 1)
            for name, inner in value.items()
            if _is_storable(name) and _is_kept(inner, depth)
        }
    if isinstance(value, list):
        return [_storable(inner, depth + 1) for inner in value if _is_kept(inner, depth)]
    return value


def _is_kept(value: Any, depth: int) -> bool:
    return _is_storable(value) if isinstance(value, str) else depth < MAX_DEPTH or not isinstance(value, dict | list)


def _is_storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _refuse(name: str) -> None:
    raise ValueError(name)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError
    return int(text)
