"""Two tenants of one server."""

from dataclasses import dataclass

from tests.images import Image
from tests.ociclient import Client


@dataclass(frozen=True)
class Tenants:
    """A is maintainer of project a only; b is private and B's, and holds `secret`."""

    a: Client
    b: Client
    here: str
    """A repository of a, with an image in it."""
    secret: Image
