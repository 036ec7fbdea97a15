"""The grammar of repository names, tags and references (OCI distribution spec, "Pulling manifests"). Pure.

    project/path/to/repository : tag                    a reference is a tag or a digest
    `- split_project -'`------- path -------'

Every expression here is matched whole and never steps back (possessive quantifiers), so time is linear.
"""

import re

from harborlite.errors import NameInvalid, TagInvalid
from registry.oci.digest import Digest

MAX_NAME = 255
MAX_TAG = 128
TAG_RULE = f"it is 1 to {MAX_TAG} letters, digits, '_', '.' and '-', and does not start with '.' or '-'"
LEGACY_SUFFIXES = frozenset({"sig", "att", "sbom"})

_COMPONENT = r"[a-z0-9]++(?:(?:\.|__|_|-++)[a-z0-9]++)*+"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*+")
_TAG = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{MAX_TAG - 1}}}+")

_FALLBACK_ALGORITHM = 32
_FALLBACK_ENCODED = 64


def check_name(text: str) -> str:
    """`text`, which is the name of a repository with its project; NameInvalid when it is none."""
    if len(text) > MAX_NAME:
        raise NameInvalid(f"invalid repository name: longer than {MAX_NAME} characters")
    if not is_name(text):
        raise NameInvalid(
            "invalid repository name: its parts, joined by '/', are lowercase letters and digits, "
            "separated inside by one '.', one or two '_' or any number of '-'"
        )
    return text


def is_name(text: str) -> bool:
    """Whether `text` is the name of a repository with its project."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def split_project(name: str) -> tuple[str, str]:
    """The project and the repository's path inside it. NameInvalid when `name` is no name or has no project."""
    project, _, path = check_name(name).partition("/")
    if not path:
        raise NameInvalid("invalid repository name: names are PROJECT/REPOSITORY, the project is missing")
    return project, path


def is_tag(text: str) -> bool:
    """Whether `text` is a tag."""
    return _TAG.fullmatch(text) is not None


def check_tag(text: str) -> str:
    """`text`, which is a tag; TagInvalid when it is none."""
    if not is_tag(text):
        raise TagInvalid(f"invalid tag: {TAG_RULE}")
    return text


def parse_reference(text: str) -> str | Digest:
    """The tag or the digest that `text` is. DigestInvalid when it has a colon and is no digest, else TagInvalid."""
    return Digest.parse(text) if ":" in text else check_tag(text)


def fallback_tag(digest: Digest) -> str:
    """The tag under which a client without the referrers API keeps the index of what refers to `digest`.

    Spec "Referrers Tag Schema": both parts are cut to what fits a tag, so a sha512 is not told by its tag.
    """
    return f"{digest.algorithm[:_FALLBACK_ALGORITHM]}-{digest.hex[:_FALLBACK_ENCODED]}"


def subject_of_fallback_tag(tag: str) -> Digest | None:
    """The digest whose `fallback_tag` is `tag`; None when there is none, or when the tag holds only part of it."""
    digest = Digest.parse_or_none(tag.replace("-", ":", 1))
    return digest if digest and fallback_tag(digest) == tag else None


def subject_of_legacy_tag(tag: str) -> Digest | None:
    """The digest that a tag of cosign before OCI 1.1 signs or describes: sha256-HEX.sig, .att or .sbom; else None."""
    name, _, suffix = tag.rpartition(".")
    if suffix not in LEGACY_SUFFIXES or not name.startswith("sha256-"):
        return None
    return Digest.parse_or_none(name.replace("-", ":", 1))
