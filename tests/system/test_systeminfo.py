"""What the server says of itself, and to whom."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import World
from tests.product import Serve
from tests.rest.api import Api

LITTLE = {"auth_mode", "primary_auth_mode", "self_registration", "banner_message", "oidc_provider_name"}


@pytest.fixture(scope="module")
def admin(world: World) -> Api:
    return Api(world.url, world.admin_account)


def test_nobody_is_told_a_little(world: World) -> None:
    told = Api(world.url).get("/systeminfo")
    assert set(told) == LITTLE
    assert told["auth_mode"] == "db_auth"
    assert told["self_registration"] is False


@pytest.mark.parametrize("who", ["user", "robot", "administrator"])
def test_who_is_signed_in_is_told_more(world: World, who: str) -> None:
    account = {
        "user": world.user,
        "robot": lambda: world.robot(world.home),
        "administrator": lambda: world.admin_account,
    }
    told = Api(world.url, account[who]()).get("/systeminfo")
    assert set(told) == LITTLE | {
        "current_time", "external_url", "registry_url", "harbor_version", "project_creation_restriction", "has_ca_root",
        "read_only", "notification_enable", "registry_storage_provider_name",
    }  # fmt: skip
    assert told["external_url"] == world.url
    assert told["registry_url"] == world.url.removeprefix("http://")
    assert told["harbor_version"].startswith("v2.")
    assert told["registry_storage_provider_name"] == "filesystem"
    assert abs(datetime.fromisoformat(told["current_time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_follows_the_configuration(world: World, admin: Api) -> None:
    banner = '{"closable":true,"message":"\N{SNOWMAN} tonight","type":"warning"}'
    admin.done("PUT", "/configurations", {"banner_message": banner, "project_creation_restriction": "adminonly"})
    try:
        assert Api(world.url).get("/systeminfo")["banner_message"] == banner
        assert admin.get("/systeminfo")["project_creation_restriction"] == "adminonly"
    finally:
        admin.done("PUT", "/configurations", {"banner_message": "", "project_creation_restriction": "everyone"})


def test_volumes_are_for_administrators_and_robots_that_may(server: Serve, world: World, admin: Api) -> None:
    (storage,) = admin.get("/systeminfo/volumes")["storage"]
    assert storage["total"] == shutil.disk_usage(server.data).total
    assert 0 < storage["free"] < storage["total"]
    for account, status in ((None, 401), (world.user(), 403), (world.robot(world.home), 403)):
        assert Api(world.url, account)("GET", "/systeminfo/volumes").status == status


@pytest.fixture
def certificate(server: Serve) -> Iterator[bytes]:
    file = server.data / "ca.crt"
    content = b"-----BEGIN CERTIFICATE-----\nnot really\n-----END CERTIFICATE-----\n"
    file.write_bytes(content)
    yield content
    file.unlink()


def test_the_certificate_is_given_to_everybody(world: World, certificate: bytes) -> None:
    answer = Api(world.url)("GET", "/systeminfo/getcert")
    assert (answer.status, answer.body) == (200, certificate)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_there_may_be_no_certificate(world: World) -> None:
    answer = Api(world.url)("GET", "/systeminfo/getcert")
    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "NOT_FOUND")
