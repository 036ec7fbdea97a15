"""Who asks: a value that crosses every seam instead of a user's row. Pure."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["anonymous", "user", "robot"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody whose credentials were checked. `version` is the account's access_version at that moment."""

    user_id: int | None
    username: str
    kind: Kind
    is_admin: bool
    version: int


ANONYMOUS = Actor(user_id=None, username="", kind="anonymous", is_admin=False, version=0)

OPERATOR = Actor(user_id=None, username="operator", kind="user", is_admin=True, version=0)
"""Whoever runs our commands on the server itself: may do everything, is no account. Never made from a request."""
