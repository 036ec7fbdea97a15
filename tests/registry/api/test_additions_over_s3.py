"""What is read out of blobs, with the blobs in S3: streams instead of files."""

import pytest

from tests.factories import World
from tests.images import unique
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path
from tests.rest.api import Api

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def world(split_world: World) -> World:
    return split_world


@pytest.fixture(scope="module")
def player(world: World) -> Client:
    return world.player()


def test_configs_and_charts_are_read(world: World, player: Client) -> None:
    owner, repository = Api(world.url, world.owner), world.repository()
    image, chart = goods.push_image(player, repository, "v1"), goods.push_chart(player, repository, "0.1.0")
    assert owner.get(artifact_path(image))["extra_attrs"]["architecture"] == "arm64"
    assert owner.get(artifact_path(image, "/additions/build_history")) == goods.HISTORY
    assert owner("GET", artifact_path(chart, "/additions/values.yaml")).body == goods.VALUES
    assert owner("GET", artifact_path(chart, "/additions/readme.md")).body.startswith(goods.README)


def test_a_long_chart_is_read_as_it_comes(world: World, player: Client) -> None:
    """What is asked for stands behind more than is read at a time."""
    owner, repository = Api(world.url, world.owner), world.repository()
    files = {f"web/files/{number}": unique(100_000) for number in range(40)} | {"web/values.yaml": goods.VALUES}
    chart = goods.push_chart(player, repository, "0.1.0", chart=goods.archive(files))
    assert owner("GET", artifact_path(chart, "/additions/values.yaml")).body == goods.VALUES
    assert owner("GET", artifact_path(chart, "/additions/readme.md")).body == b""
