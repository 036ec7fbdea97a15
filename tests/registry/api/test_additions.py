"""Additions of artifacts over REST: build history of images; values, readme and dependencies of charts."""

import gzip
import io
import tarfile

import pytest

from tests.factories import World
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path
from tests.rest.api import Api


@pytest.fixture
def repository(world: World) -> str:
    return world.repository()


def addition_path(image: Image, name: str) -> str:
    return artifact_path(image, f"/additions/{name}")


def test_the_build_history_of_an_image(owner: Api, player: Client, repository: str) -> None:
    image = goods.push_image(player, repository, "v1")
    link = owner.get(artifact_path(image))["addition_links"]["build_history"]["href"]
    answer = owner("GET", link)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert answer.json() == goods.HISTORY
    assert owner("GET", addition_path(image, "BUILD_HISTORY")).json() == goods.HISTORY


@pytest.mark.parametrize("history", [None, [], "x", [1, {"created_by": 5, "empty_layer": "no", "x": "y"}]])
def test_a_history_is_whatever_the_config_says(owner: Api, player: Client, repository: str, history: object) -> None:
    image = goods.push_image(player, repository, "v1", config=goods.image_config(history=history))
    assert all(step == {} for step in owner.get(addition_path(image, "build_history")))


def test_the_files_and_dependencies_of_a_chart(owner: Api, player: Client, repository: str) -> None:
    chart = goods.push_chart(player, repository, "0.1.0")
    shown = owner.get(artifact_path(chart))
    assert (shown["type"], shown["extra_attrs"]["appVersion"]) == ("CHART", "1.2")
    links = {name: owner("GET", link["href"]) for name, link in shown["addition_links"].items()}
    assert {name: answer.headers["Content-Type"] for name, answer in links.items()} == {
        "values.yaml": "text/plain; charset=utf-8",
        "readme.md": "text/markdown; charset=utf-8",
        "dependencies": "application/json; charset=utf-8",
    }
    assert links["values.yaml"].body == goods.VALUES
    assert links["readme.md"].body.startswith(goods.README)
    assert links["dependencies"].json() == [
        {"name": "redis", "version": "18.x", "repository": "oci://charts.example.com", "condition": "redis.enabled"}
    ]
    assert {answer.headers["X-Content-Type-Options"] for answer in links.values()} == {"nosniff"}


def test_a_chart_may_lack_them(owner: Api, player: Client, repository: str) -> None:
    chart = goods.push_chart(player, repository, "0.1.0", chart=goods.archive({"web/Chart.yaml": b"name: web\n"}))
    for name in ("values.yaml", "readme.md"):
        answer = owner("GET", addition_path(chart, name))
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "name", ["vulnerabilities", "sbom", "files", "license", "values.yaml", "readme.md", "dependencies", "x", "%00"]
)
def test_an_image_has_no_other_additions(owner: Api, player: Client, repository: str, name: str) -> None:
    image = goods.push_image(player, repository, "v1")
    answer = owner("GET", addition_path(image, name))
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_an_index_has_none(owner: Api, player: Client, repository: str) -> None:
    index, *_ = goods.push_multi_arch(player, repository, "v1")
    assert owner("GET", addition_path(index, "build_history")).status == 400


def bomb() -> bytes:
    """A few hundred KiB that unpack to 512 MiB in front of the values."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as tar,
    ):
        member = tarfile.TarInfo("web/filler")
        member.size = 512 * 1024 * 1024
        tar.addfile(member, _Zeros())  # type: ignore[arg-type]  # all that is asked of it is read()
    return packed.getvalue()


class _Zeros:
    def read(self, size: int) -> bytes:
        return bytes(size)


@pytest.mark.parametrize(
    "make",
    [
        bomb,
        lambda: b"no archive at all",
        lambda: gzip.compress(b"no archive in there" * 100),
        lambda: goods.archive({"web/values.yaml": b"x" * 1000})[:-200],
        lambda: goods.archive({"web/values.yaml": b"x" * (2 * 1024 * 1024)}),
        lambda: goods.archive({f"web/{number}": b"" for number in range(10_001)}),
    ],
    ids=["bomb", "garbage", "gzip of garbage", "cut off", "a long file", "many files"],
)
def test_an_archive_that_cannot_be_read_within_bounds_is_refused(
    owner: Api, player: Client, repository: str, make: object
) -> None:
    chart = goods.push_chart(player, repository, "0.1.0", chart=make())  # type: ignore[operator]
    answer = owner("GET", addition_path(chart, "values.yaml"))
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_additions_are_for_who_may_read_them(
    world: World, owner: Api, stranger: Api, nobody: Api, player: Client, repository: str
) -> None:
    image = goods.push_image(player, repository, "v1")
    robot = Api(world.url, world.robot(world.home, ("artifact:read", "artifact:list")))
    assert robot("GET", artifact_path(image)).status == 200
    path = addition_path(image, "build_history")
    assert [api("GET", path).status for api in (robot, stranger, nobody)] == [403, 404, 401]
    assert owner("GET", addition_path(Image(repository, "v2", "", b""), "build_history")).status == 404
