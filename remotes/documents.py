"""JSON from other registries: nothing in it is as it should be until it was looked at. Pure."""

import json
from typing import Any

from remotes.errors import RemoteInvalid
from remotes.grammar import is_digest


def parsed(content: bytes) -> object:
    """RemoteInvalid when it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RemoteInvalid("the other registry sends no JSON where it is due") from None


def document_of(content: bytes) -> dict[str, Any]:
    """RemoteInvalid when it is no object."""
    document = parsed(content)
    if not isinstance(document, dict):
        raise RemoteInvalid("the other registry sends no JSON object where one is due")
    return document


def items_of(value: object) -> list[dict[str, Any]]:
    """The objects in a list. RemoteInvalid when it is no list."""
    if not isinstance(value, list):
        raise RemoteInvalid("the other registry sends no list where one is due")
    return [item for item in value if isinstance(item, dict)]


def text_of(item: dict[str, Any], key: str) -> str:
    """RemoteInvalid when there is no such text."""
    value = item.get(key)
    if not isinstance(value, str):
        raise RemoteInvalid(f"the other registry sends no {key} where one is due")
    return value


def texts_of(page: dict[str, Any], key: str) -> list[str]:
    """The texts in a list, which may be null: docker-registry's way of saying that there are none."""
    values = page.get(key) or []
    if not isinstance(values, list):
        raise RemoteInvalid(f"the other registry sends no list of {key}")
    return [value for value in values if isinstance(value, str)]


def descriptors_of(index: dict[str, Any]) -> list[dict[str, Any]]:
    """An index's entries that name something."""
    return [entry for entry in items_of(index.get("manifests") or []) if is_digest(str(entry.get("digest")))]
