"""Which server a URL names, and which servers belong together. Pure."""

import re
from urllib.parse import urlsplit

from remotes.errors import RemoteInvalid

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def origin_of(url: str) -> Origin:
    """Scheme, host and port: what credentials belong to. RemoteInvalid for what is no http or https URL of a host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RemoteInvalid("the other registry names an address that is none") from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or re.search(r"[\s\\\0-\x1f]", url)
    ):
        raise RemoteInvalid("the other registry names an address that is none of http or https")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def is_trusted(realm: Origin, home: Origin, trusted: frozenset[str]) -> bool:
    """Whether the token service at `realm` may have the password of the registry at `home`.

    It may when it is on the same host, above it (gitlab.com of registry.gitlab.com) or below it, or one of the hosts
    `trusted`; and never without TLS when the registry has it. A neighbour under the same domain may be anybody's:
    of example.azurecr.io, evil.azurecr.io is one.
    """
    if home[0] == "https" and realm[0] != "https":
        return False
    ours, theirs = home[1].lower(), realm[1].lower()
    if theirs == ours or theirs in trusted:
        return True
    if ours.replace(".", "").isdecimal() or ":" in ours:
        return False  # an address has no domain
    return theirs.endswith("." + ours) or ("." in theirs and ours.endswith("." + theirs))
