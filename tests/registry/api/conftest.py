"""The fixtures of the tests of repositories, tags and what is in them, over HTTP."""

import pytest

from tests.factories import World
from tests.ociclient import Client
from tests.rest.api import Api


@pytest.fixture(scope="session")
def player(world: World) -> Client:
    """The owner of `world.home` as somebody who pushes and pulls."""
    return world.player()


@pytest.fixture(scope="session")
def owner(world: World) -> Api:
    """The owner of `world.home`, and of what `world.project()` makes, at the REST API."""
    return Api(world.url, world.owner)


@pytest.fixture(scope="session")
def stranger(world: World) -> Api:
    """Somebody who is a member nowhere."""
    return Api(world.url, world.user())


@pytest.fixture(scope="session")
def nobody(world: World) -> Api:
    return Api(world.url)


@pytest.fixture(scope="session")
def admin(world: World) -> Api:
    """The system's administrator."""
    return Api(world.url, world.admin_account)
