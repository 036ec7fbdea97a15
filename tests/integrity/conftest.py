"""Servers that integrity tests may hurt, with a keeper who reaches their bytes and rows."""

from collections.abc import Iterator

import pytest

from tests.factories import Clerk, World
from tests.product import Product, Serve, Split
from tests.seaweed import Seaweed


class Keeper(Clerk):
    """tests.integrity.keeper, running on the product's data; to be closed."""

    module = "tests.integrity.keeper"


class Place:
    """A server with accounts and a keeper. To be closed."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.world = World(product.url, product.env, product.admin_password)
        self.keeper = Keeper(product.env)

    def close(self) -> None:
        self.keeper.close()
        self.world.close()


@pytest.fixture(scope="session")
def files() -> Iterator[Place]:
    """All in one, with files."""
    with Serve() as server:
        place = Place(server)
        yield place
        place.close()


@pytest.fixture(scope="session")
def objects(seaweed: Seaweed) -> Iterator[Place]:
    """Separate programs, with S3 that does not redirect clients to itself."""
    with Split(seaweed, {"HARBORLITE_S3_REDIRECT": "false"}) as server:
        place = Place(server)
        yield place
        place.close()


@pytest.fixture(params=["files", pytest.param("objects", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of server in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found
