"""The fixtures of the crash tests: a server of their own, for nothing else survives what is done to it."""

from collections.abc import Iterator

import pytest

from tests.crash.scene import Scene
from tests.product import Serve

IDLE = 5  # seconds until the server cuts who is silent in the middle of a request


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    """The server of all tests here that need no other one."""
    with Serve({"HARBORLITE_IDLE_SECONDS": str(IDLE)}) as server:
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.fixture
def repository(scene: Scene) -> str:
    """The name of a repository that does not exist yet."""
    return scene.world.repository()
