"""Pulls in the audit trail: every GET of a manifest, no HEAD, also those that are answered from memory."""

import pytest

from tests.factories import World
from tests.images import Image
from tests.product import Serve, wait_for
from tests.rest.api import Api, twice
from tests.wire import bearer, raw


@pytest.fixture
def image(world: World) -> Image:
    return world.player().push_image(world.repository(), "v1")


def pulls(world: World, image: Image) -> list[dict[str, object]]:
    q = f"operation=pull,resource=~{image.repository}"
    found: list[dict[str, object]] = Api(world.url, world.admin_account).get("/auditlog-exts", q=q, page_size=100)
    return found


def test_each_pull_is_written_down_however_it_was_answered(world: World, image: Image) -> None:
    token = bearer(world.player().token_text(f"repository:{image.repository}:pull"))
    path = f"/v2/{image.repository}/manifests/v1"
    for _ in range(20):  # the first reads of each process are Django's, the others are answered from memory
        assert raw(world.url, "GET", path, token).status == 200
        assert raw(world.url, "HEAD", path, token).status == 200
    digest = raw(world.url, "GET", f"/v2/{image.repository}/manifests/{image.digest}", token)
    known = raw(world.url, "GET", path, {**token, "If-None-Match": f'"{image.digest}"'})
    assert (digest.status, known.status) == (200, 304)
    wait_for("21 pulls", lambda: len(pulls(world, image)) == 21)
    found = pulls(world, image)
    assert {row["username"] for row in found} == {world.owner.login}
    assert sorted({str(row["resource"]) for row in found}) == sorted(
        [f"{image.repository}:v1", f"{image.repository}@{image.digest}"]
    )
    assert {row["resource_type"] for row in found} == {"artifact"}


def test_a_pull_is_found_by_the_id_of_its_answer(world: World, image: Image) -> None:
    token = bearer(world.player().token_text(f"repository:{image.repository}:pull"))
    path = f"/v2/{image.repository}/manifests/v1"
    ids = {raw(world.url, "GET", path, token).headers["X-Request-Id"] for _ in range(6)}
    wait_for("6 pulls", lambda: len(pulls(world, image)) == 6)
    admin = Api(world.url, world.admin_account)
    text = admin("GET", "/auditlog-exts", query={"format": "csv", "q": f"resource=~{image.repository}"}).body.decode()
    lines = [line for line in text.splitlines() if ",pull," in line]
    assert {line.rpartition(",")[2] for line in lines} == ids
    assert all(",127.0.0.1," in line for line in lines)


def test_behind_a_proxy_pulls_come_from_whom_it_names() -> None:
    with Serve({"HARBORLITE_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        world = World(server.url, server.env, server.admin_password)
        image = world.player().push_image(world.repository(), "v1")
        headers = bearer(world.player().token_text(f"repository:{image.repository}:pull"))
        headers["X-Forwarded-For"] = "198.51.100.7"
        for _ in range(12):  # the last ones are answered from memory
            assert raw(world.url, "GET", f"/v2/{image.repository}/manifests/v1", headers).status == 200
        wait_for("12 pulls", lambda: len(pulls(world, image)) == 12)
        admin, q = Api(world.url, world.admin_account), f"operation=pull,resource=~{image.repository}"
        lines = admin("GET", "/auditlog-exts", query={"format": "csv", "q": q}).body.decode().splitlines()[1:]
        world.close()
    assert len(lines) == 12
    assert all(",198.51.100.7," in line for line in lines)


def test_nobodys_pull_of_a_public_image_is_anonymous(world: World) -> None:
    image = world.player().push_image(world.repository(world.project(is_public=True)), "v1")
    assert world.client().pull(image.repository, "v1")
    wait_for("a pull", lambda: len(pulls(world, image)) == 1)
    assert pulls(world, image)[0]["username"] == "anonymous"


def test_a_server_that_stops_writes_down_what_it_has() -> None:
    with Serve() as server:
        world = World(server.url, server.env, server.admin_password)
        image = world.player().push_image(world.repository(), "v1")
        player = world.player()
        for _ in range(5):
            player.pull(image.repository, "v1")
        server.stop()
        server.start()
        assert len(pulls(world, image)) == 5
        world.close()


def test_counting_and_dating_pulls_can_be_switched_off(world: World, image: Image) -> None:
    admin, project = Api(world.url, world.admin_account), image.repository.partition("/")[0]
    path = f"/projects/{project}/repositories/{twice(image.repository.partition('/')[2])}"

    def seen() -> tuple[int, bool]:
        is_dated = not admin.get(f"{path}/artifacts/v1")["pull_time"].startswith("0001")
        return admin.get(path).get("pull_count", 0), is_dated

    admin.done("PUT", "/configurations", {"pull_count_update_disable": True, "pull_time_update_disable": True})
    try:
        assert world.player().pull(image.repository, "v1")
        wait_for("the pull is written down", lambda: len(pulls(world, image)) == 1)
    finally:
        admin.done("PUT", "/configurations", {"pull_count_update_disable": False, "pull_time_update_disable": False})
    assert seen() == (0, False)
    assert world.player().pull(image.repository, "v1")
    wait_for("the other one is counted", lambda: seen() == (1, True))
