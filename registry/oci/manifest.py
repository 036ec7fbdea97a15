"""From the bytes of a manifest to what a registry must know of it. Pure.

    bytes --_document--> JSON object --_media_type--> image | index --parse--> ParsedManifest

The bytes themselves are what is stored and served; nothing here writes them anew. Fields that are not listed here are
kept in them and ignored. What two readers could understand differently is refused (S-133, S-143 to S-146: the class
of CVE-2021-41190): duplicate and differently capitalised fields, other encodings, an image that is an index as well.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from harborlite.errors import ManifestInvalid, ManifestTooLarge
from registry.oci import media_types
from registry.oci.digest import Digest

MAX_SIZE = 4 * 1024 * 1024
MAX_DESCRIPTORS = 10_000
MAX_TYPE = 255
MAX_BLOB = 2**63 - 1
MAX_VALUES = 200_000
"""Objects, lists, entries: each takes up to 250 bytes here, so 4 MiB of `[],[],` would take a hundred."""
MAX_DIGITS = 100
"""Of a number in a field we do not know: reading a longer one takes time that grows with its square."""

Platform = dict[str, str | list[str]]

_MANIFEST_FIELDS = frozenset(
    {
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "fsLayers",
    }
)
_DESCRIPTOR_FIELDS = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)
_PLATFORM_TEXTS = ("architecture", "os", "os.version", "variant")
_PLATFORM_LISTS = ("os.features", "features")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says about content it is made of, or about its subject (OCI image spec, "Descriptors")."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = field(default=None, hash=False)
    urls: tuple[str, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """It is a layer that need not have been pushed. No config is; a child is to be there whatever this says."""
        return self.media_type in media_types.NONDISTRIBUTABLE


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """What a manifest is made of and what it says of itself.

    `annotations`, here and in descriptors, lack the entries that a JSON column can't hold (NUL, half a surrogate pair).
    """

    media_type: str
    size: int
    artifact_type: str | None
    """The manifest's own; of an image without one, its config's media type; of an index without one, None."""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        return self.media_type in media_types.INDEXES

    def references(self) -> Iterator[tuple[str, Descriptor]]:
        """What the manifest is made of, as (config | layer | child, descriptor), in its order; not its subject.

        Of several of one kind with one digest, one comes: a layer that must be there before one that need not.
        """
        if self.config:
            yield "config", self.config
        for kind, descriptors in (("layer", self.layers), ("child", self.children)):
            unique: dict[Digest, Descriptor] = {}
            for descriptor in descriptors:
                known = unique.setdefault(descriptor.digest, descriptor)
                if known.is_foreign and not descriptor.is_foreign:
                    unique[descriptor.digest] = descriptor
            for descriptor in unique.values():
                yield kind, descriptor


def parse(content: bytes, content_type: str) -> ParsedManifest:
    """The manifest that `content` is, sent with the header Content-Type: `content_type` ("" for none).

    ManifestInvalid, naming the field, when it is none that this registry takes; ManifestTooLarge above 4 MiB. Work is
    bounded by the size; nothing that `content` references is looked at.
    """
    if len(content) > MAX_SIZE:
        raise ManifestTooLarge()
    document = _document(content)
    media_type = _media_type(document, media_types.strip_parameters(content_type))
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    if media_type in media_types.INDEXES:
        _refuse(document, ("config", "layers", "fsLayers"), "an index")
        children = _descriptors(document, "manifests")
    else:
        _refuse(document, ("manifests", "fsLayers"), "an image manifest")
        config = _descriptor(document.get("config"), "config")
        if config.is_foreign:
            raise ManifestInvalid("manifest invalid: config.mediaType is that of a layer that need not be pushed")
        layers = _descriptors(document, "layers")
    _agree_on_sizes((*((config,) if config else ()), *layers, *children))
    own_type = _optional_type(document, "artifactType", "artifactType")
    return ParsedManifest(
        media_type=media_type,
        size=len(content),
        artifact_type=own_type or (config.media_type if config else None),
        config=config,
        layers=layers,
        children=children,
        subject=None if document.get("subject") is None else _descriptor(document["subject"], "subject"),
        annotations=_annotations(document, "annotations"),
    )


# JSON, read strictly.


def _document(content: bytes) -> dict[str, Any]:
    """The JSON object that `content` is: UTF-8 without a mark, no duplicate field, finite and short numbers only."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ManifestInvalid(f"manifest invalid: more than {MAX_VALUES} JSON values")
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError:
        raise ManifestInvalid("manifest invalid: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ManifestInvalid(f"manifest invalid: not JSON at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ManifestInvalid("manifest invalid: its JSON is nested too deeply") from None
    return _fields(document, "the manifest", _MANIFEST_FIELDS)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ManifestInvalid("manifest invalid: a JSON object has the same field twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ManifestInvalid(f"manifest invalid: {text} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ManifestInvalid("manifest invalid: a number is out of range")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ManifestInvalid("manifest invalid: a number is out of range")
    return int(text)


def _fields(value: object, where: str, known: frozenset[str]) -> dict[str, Any]:
    """`value`, an object without a field that Go's reader, blind to capitals, takes for a `known` one."""
    if not isinstance(value, dict):
        raise ManifestInvalid(f"manifest invalid: {where} must be a JSON object")
    folded = {name.casefold(): name for name in known}
    for name in value.keys() - known:
        if meant := folded.get(name.casefold()):
            raise ManifestInvalid(f"manifest invalid: {where} has a field that is {meant} in other capitals")
    return value


# What it is.


def _media_type(document: Mapping[str, Any], header: str) -> str:
    """The media type that header and body agree on, one that is taken here."""
    version = document.get("schemaVersion")
    body = _optional_type(document, "mediaType", "mediaType")
    told = body if header in media_types.UNTOLD else header
    media_type = told or _inferred(document)
    if media_type in media_types.REFUSED:
        raise ManifestInvalid(f"manifest invalid: {media_types.REFUSED[media_type]}")
    if not media_types.is_manifest(media_type):
        raise ManifestInvalid(f"manifest invalid: unsupported media type {_shown(media_type)}")
    if body is not None and body != media_type:
        raise ManifestInvalid(
            f"manifest invalid: mediaType is {_shown(body)} but the Content-Type header {_shown(media_type)}"
        )
    if type(version) is not int or version != 2:  # True and 2.0 are not 2 here
        raise ManifestInvalid("manifest invalid: schemaVersion must be 2")
    return media_type


def _inferred(document: Mapping[str, Any]) -> str:
    if document.get("schemaVersion") == 1 and "fsLayers" in document:
        return media_types.DOCKER_SCHEMA1
    if "config" in document and "layers" in document:
        return media_types.OCI_MANIFEST
    if "manifests" in document:
        return media_types.OCI_INDEX
    raise ManifestInvalid(
        "manifest invalid: neither a Content-Type header, mediaType, config and layers, nor manifests tell what it is"
    )


def _refuse(document: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in names:
        if document.get(name) is not None:
            raise ManifestInvalid(f"manifest invalid: {what} must not have {name}")


# Its parts. `where` is the field's path, for messages.


def _descriptors(document: Mapping[str, Any], name: str) -> tuple[Descriptor, ...]:
    """The descriptors of a required list; null is an empty one, for so Go programs write it."""
    if name not in document:
        raise ManifestInvalid(f"manifest invalid: {name} is missing")
    found = [] if document[name] is None else document[name]
    if not isinstance(found, list):
        raise ManifestInvalid(f"manifest invalid: {name} must be a list")
    if len(found) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"manifest invalid: {name} has more than {MAX_DESCRIPTORS} entries")
    return tuple(_descriptor(value, f"{name}[{number}]") for number, value in enumerate(found))


def _descriptor(value: object, where: str) -> Descriptor:
    fields = _fields(value, where, _DESCRIPTOR_FIELDS)
    media_type = _optional_type(fields, "mediaType", f"{where}.mediaType")
    if media_type is None:
        raise ManifestInvalid(f"manifest invalid: {where}.mediaType is missing")
    text, size = fields.get("digest"), fields.get("size")
    digest = Digest.parse_or_none(text) if isinstance(text, str) else None
    if digest is None:
        raise ManifestInvalid(f"manifest invalid: {where}.digest must be a sha256 or sha512 digest")
    if type(size) is not int or not 0 <= size <= MAX_BLOB:
        raise ManifestInvalid(f"manifest invalid: {where}.size must be a whole number of bytes, 0 to {MAX_BLOB}")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        artifact_type=_optional_type(fields, "artifactType", f"{where}.artifactType"),
        annotations=_annotations(fields, f"{where}.annotations"),
        platform=_platform(fields.get("platform"), f"{where}.platform"),
        urls=_urls(fields.get("urls")),
    )


def _optional_type(fields: Mapping[str, Any], name: str, where: str) -> str | None:
    """A media type; None when it is absent, null or empty."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_TYPE or not (value.isascii() and value.isprintable()):
        raise ManifestInvalid(f"manifest invalid: {where} must be a media type of at most {MAX_TYPE} characters")
    return value


def _annotations(fields: Mapping[str, Any], where: str) -> dict[str, str]:
    found = fields.get("annotations")
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ManifestInvalid(f"manifest invalid: {where} must be an object whose values are strings")
    return {key: value for key, value in found.items() if _is_storable(key) and _is_storable(value)}


def _platform(value: object, where: str) -> Platform | None:
    """The fields that the image index spec names, where they hold text that can be stored."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid(f"manifest invalid: {where} must be a JSON object")
    platform: Platform = {}
    for name in _PLATFORM_TEXTS:
        text = value.get(name)
        if text is not None and not isinstance(text, str):
            raise ManifestInvalid(f"manifest invalid: {where}.{name} must be a string")
        if text is not None and _is_storable(text):
            platform[name] = text
    for name in _PLATFORM_LISTS:
        texts = value.get(name)
        if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            raise ManifestInvalid(f"manifest invalid: {where}.{name} must be a list of strings")
        if texts is not None:
            platform[name] = [text for text in texts if _is_storable(text)]
    return platform


def _urls(value: object) -> tuple[str, ...]:
    """Where else the content is said to be. Nothing here goes there, so what is no list of texts is passed over."""
    found = value if isinstance(value, list) else []
    return tuple(url for url in found if isinstance(url, str) and _is_storable(url))


def _agree_on_sizes(descriptors: tuple[Descriptor, ...]) -> None:
    """Who checks one descriptor of a digest has checked them all."""
    sizes: dict[Digest, int] = {}
    for descriptor in descriptors:
        if sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise ManifestInvalid(f"manifest invalid: {descriptor.digest} has two different values of size")


def _is_storable(text: str) -> bool:
    """PostgreSQL's JSON holds it: no NUL, and UTF-8 can write it, so no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    """A client's text made fit for a message."""
    return ascii(text[:80])
