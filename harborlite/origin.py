"""Who does what is being done now, and from where: set by faces, read by whatever keeps a record of changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from harborlite.actors import OPERATOR, Actor


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from. Outside of any request it is the operator on the server itself."""

    actor: Actor = OPERATOR
    address: str = ""
    """The client's IP address, behind trusted proxies the one they name; empty when there is no client."""
    request_id: str = ""


_current: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - the value can't be changed


def current() -> Origin:
    """The origin of what this thread is doing."""
    return _current.get()


def set_actor(actor: Actor) -> None:
    """It is known now who sent the request that `request` began."""
    _current.set(replace(_current.get(), actor=actor))


@contextmanager
def began(origin: Origin) -> Iterator[None]:
    """What happens inside comes from `origin`."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
