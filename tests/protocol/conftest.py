"""The fixtures of the protocol tests."""

import pytest

from tests.factories import World
from tests.images import EMPTY, Image, sha256, unique
from tests.ociclient import Client
from tests.protocol.documents import CONFIG
from tests.protocol.tenants import Tenants


@pytest.fixture(scope="session")
def player(world: World) -> Client:
    """The owner of the private project `world.home`."""
    return world.player()


@pytest.fixture
def repository(world: World) -> str:
    """The name of a repository in `world.home` that does not exist yet."""
    return world.repository()


@pytest.fixture(scope="session")
def stock(world: World) -> Image:
    """A repository with the blobs that tests push manifests of: CONFIG, EMPTY and a layer."""
    client, repository, layer = world.player(), world.repository(), unique()
    for blob in (CONFIG, EMPTY, layer):
        client.push_blob(repository, blob)
    return Image(repository, "", "", b"", CONFIG, (layer,))


@pytest.fixture
def layer(player: Client, repository: str, stock: Image) -> bytes:
    """A layer that is in `repository`, and the configs CONFIG and EMPTY beside it: mounted, which is quick."""
    for blob in (CONFIG, EMPTY, *stock.layers):
        assert player.mount(repository, sha256(blob), stock.repository).status == 201
    return stock.layers[0]


@pytest.fixture(scope="session")
def image(world: World) -> Image:
    """An image in `world.home` that every test may read and none may change."""
    return world.player().push_image(world.repository(), "v1")


@pytest.fixture(scope="session")
def token(world: World, image: Image) -> str:
    """A token that is good for everything with `image`."""
    return world.player().token_text(f"repository:{image.repository}:pull,push,delete")


@pytest.fixture(scope="session")
def tenants(world: World) -> Tenants:
    account_a, account_b = world.user(), world.user()
    project_a = world.project(owner=account_a)
    project_b = world.project(owner=account_b)
    a, b = world.client(account_a), world.client(account_b)
    here = world.repository(project_a)
    a.push_image(here, "v1")
    return Tenants(a, b, here, b.push_image(world.repository(project_b), "v1"))
