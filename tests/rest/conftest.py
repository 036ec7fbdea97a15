"""The fixtures of the REST API's tests."""

import pytest

from tests.factories import World
from tests.rest.api import Api
from tests.rest.scene import Scene


@pytest.fixture(scope="session")
def scene(world: World) -> Scene:
    """A private project with one of everything; no test changes it."""
    return Scene(world)


@pytest.fixture(scope="session")
def admin(world: World) -> Api:
    """The system's administrator."""
    return Api(world.url, world.admin_account)


@pytest.fixture(scope="session")
def nobody(world: World) -> Api:
    return Api(world.url)
