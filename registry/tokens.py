"""Issue and verify the registry's bearer tokens.

A token is opaque to clients: our own signed JSON (django.core.signing, HMAC-SHA256), since issuer and verifier are
one product; no JWT, so none of that family's flaws. It carries who asked, what was asked and what was granted for
each repository, and the `access_version` of the account and of each project. When any of these moves on
(a member removed, a project made private, a password changed), the token dies at its next use.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from django.core import signing

from harborlite.actors import ANONYMOUS, Actor
from harborlite.errors import BadRequest, Unauthorized
from system import config

SALT = "harborlite.registry.token"
MAX_LENGTH = 16_000  # characters: with its name, the header must fit what the web server takes (16 KiB)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says of one repository: `asked` and, of that, `granted` actions (pull, push, delete)."""

    name: str
    project_id: int | None
    project_version: int
    granted: frozenset[str]
    asked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token; `expires_at` in seconds since the epoch."""

    actor: Actor
    expires_at: int
    grants: dict[str, Grant] = field(default_factory=dict)


def lifetime() -> int:
    """Seconds a token is valid that is issued now."""
    return int(config.get("token_expiration")) * 60


def issue(actor: Actor, grants: list[Grant], *, seconds: int | None = None) -> str:
    """The text of a token for `actor`, valid for `seconds` or lifetime(). BadRequest when no header holds it."""
    payload = {
        "u": [actor.user_id, actor.username, actor.kind, actor.is_admin, actor.version],
        "e": int(time.time()) + (lifetime() if seconds is None else seconds),
        "g": [[g.name, g.project_id, g.project_version, sorted(g.granted), sorted(g.asked)] for g in grants],
    }
    text = signing.dumps(payload, salt=SALT)
    if len(text) > MAX_LENGTH:
        raise BadRequest("too many scopes for one token; ask for fewer at a time")
    return text


def verify(text: str) -> Token:
    """The token that `text` is; Unauthorized when it is not ours, altered or expired. Versions are not checked."""
    if len(text) > MAX_LENGTH:
        raise Unauthorized("the token is not valid")
    try:
        payload: dict[str, Any] = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError):
        raise Unauthorized("the token is not valid") from None
    if payload["e"] <= time.time():
        raise Unauthorized("the token has expired")
    user_id, username, kind, is_admin, version = payload["u"]
    actor = ANONYMOUS if user_id is None else Actor(user_id, username, kind, is_admin, version)
    grants = {
        name: Grant(name, project_id, project_version, frozenset(granted), frozenset(asked))
        for name, project_id, project_version, granted, asked in payload["g"]
    }
    return Token(actor, payload["e"], grants)
