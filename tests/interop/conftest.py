"""Client programs for the tests of this folder, and a place in the product where they push and pull."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.factories import Account, World, fresh
from tests.interop.programs import Home, Program
from tests.product import Serve

# skopeo, podman and buildah try TLS first. A server that does not refuse it at once costs each command the 10 s
# that they wait for the handshake; this is well below that, and well above what they take on a busy machine.
PROMPTLY = 5.0  # seconds


@dataclass(frozen=True)
class Place:
    """The product as clients see it: `host` is HOST:PORT, `owner` may do everything in the private project."""

    host: str
    owner: Account
    project: str

    def repository(self) -> str:
        """A new repository with the registry's name in front, as clients take it."""
        return f"{self.host}/{self.path()}"

    def path(self) -> str:
        """A new repository as the registry's interfaces take it."""
        return f"{self.project}/{fresh('repo')}"


@pytest.fixture
def registry(server: Serve, world: World) -> Place:
    return Place(server.bind, world.owner, world.home)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def container_program(home: Home) -> Callable[[str], Program]:
    """Makes a program of the containers project, whose every command must end promptly."""
    return lambda name: home.program(name, PROMPTLY)
