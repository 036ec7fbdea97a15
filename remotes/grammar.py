"""Names, tags and digests as the registry protocol has them, for what comes from and goes to other registries. Pure.

Others name more freely than we let our users; what is refused here could change the meaning of a path.
"""

import hashlib
import re

from remotes.errors import RemoteInvalid

_COMPONENT = r"[a-z0-9]++(?:(?:\.|__|_|-++)[a-z0-9]++)*+"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}+")
_DIGESTS = {"sha256": re.compile("[0-9a-f]{64}"), "sha512": re.compile("[0-9a-f]{128}")}


def is_repository(text: str) -> bool:
    return len(text) <= 255 and _NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether it is one that can be checked here."""
    algorithm, _, encoded = text.partition(":")
    return algorithm in _DIGESTS and _DIGESTS[algorithm].fullmatch(encoded) is not None


def check_repository(text: str) -> str:
    if not is_repository(text):
        raise RemoteInvalid(f"{text[:80]!a} is no repository's name")
    return text


def check_digest(text: str) -> str:
    if not is_digest(text):
        raise RemoteInvalid(f"{text[:80]!a} is no digest of sha256 or sha512")
    return text


def check_reference(text: str) -> str:
    """`text`, a tag or a digest."""
    if not is_tag(text) and not is_digest(text):
        raise RemoteInvalid(f"{text[:80]!a} is no tag and no digest")
    return text


class Hashing:
    """Bytes that should be those of `digest`."""

    def __init__(self, digest: str) -> None:
        algorithm, _, self._encoded = check_digest(digest).partition(":")
        self._hash = hashlib.new(algorithm)

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    @property
    def is_right(self) -> bool:
        return self._hash.hexdigest() == self._encoded


def is_of(digest: str, content: bytes) -> bool:
    """Whether `content` has that digest."""
    hashing = Hashing(digest)
    hashing.update(content)
    return hashing.is_right
