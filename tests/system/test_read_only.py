"""A server that is read only: pulls go on, nothing changes, and it can be made writable again."""

from collections.abc import Iterator

import pytest

from tests.factories import World
from tests.images import Image
from tests.rest.api import Api
from tests.wire import raw

REFUSED = {
    "errors": [{"code": "DENIED", "message": "The system is in read only mode. Any modification is prohibited."}]
}


@pytest.fixture(scope="module")
def image(world: World) -> Image:
    return world.player().push_image(world.repository(), "v1")


@pytest.fixture(scope="module")
def admin(world: World) -> Api:
    return Api(world.url, world.admin_account)


@pytest.fixture
def read_only(image: Image, admin: Api) -> Iterator[None]:
    admin.done("PUT", "/configurations", {"read_only": True})
    yield
    admin.done("PUT", "/configurations", {"read_only": False})


def test_what_changes_something_is_refused(world: World, admin: Api, image: Image, read_only: None) -> None:
    owner = Api(world.url, world.owner)
    for api, method, path in (
        (admin, "POST", "/projects"),
        (owner, "PUT", f"/projects/{world.home}"),
        (owner, "DELETE", f"/projects/{world.home}/repositories/{image.repository.partition('/')[2]}"),
        (Api(world.url), "POST", "/users"),
        (Api(world.url), "PATCH", "/no/such/operation"),
    ):
        answer = api(method, path, {"project_name": "demo"})
        assert (answer.status, answer.json()) == (403, REFUSED), f"{method} {path}"


def test_reading_goes_on(world: World, admin: Api, image: Image, read_only: None) -> None:
    assert admin.get("/systeminfo")["read_only"] is True
    assert admin("HEAD", "/auditlog-exts").status == 200
    assert admin("OPTIONS", "/configurations").status == 204
    assert Api(world.url).get("/systeminfo")["auth_mode"] == "db_auth"


def test_pulls_go_on_and_pushes_and_deletes_do_not(world: World, image: Image, read_only: None) -> None:
    player = world.player()  # who has to fetch a token first
    assert player.pull(image.repository, "v1")
    name = image.repository
    for method, path in (
        ("POST", f"/v2/{name}/blobs/uploads/"),
        ("PUT", f"/v2/{name}/manifests/v2"),
        ("DELETE", f"/v2/{name}/manifests/{image.digest}"),
    ):
        answer = player.request(method, path)
        assert (answer.status, answer.json()) == (403, REFUSED), f"{method} {path}"


def test_a_refused_body_is_not_read(world: World, image: Image, read_only: None) -> None:
    """The connection ends: what follows on it is no request."""
    answer = raw(world.url, "PUT", f"/v2/{image.repository}/manifests/v2", body=b"{}")
    assert (answer.status, answer.headers["Connection"]) == (403, "close")


def test_tokens_are_still_issued_by_form(world: World, image: Image, read_only: None) -> None:
    form = f"grant_type=password&username={world.owner.login}&password={world.owner.secret}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert raw(world.url, "POST", "/service/token", headers, form).status == 200


def test_signing_in_is_still_possible(world: World, read_only: None) -> None:
    """Whatever /c/login says to this, it is not that nothing may change."""
    form = f"principal={world.owner.login}&password={world.owner.secret}".encode()
    answer = raw(world.url, "POST", "/c/login", {"Content-Type": "application/x-www-form-urlencoded"}, form)
    assert answer.body != b"" or answer.status == 200
    assert b"read only" not in answer.body


def test_it_can_be_made_writable_again(world: World, admin: Api, image: Image, read_only: None) -> None:
    admin.done("PUT", "/configurations", {"read_only": False})
    assert world.player().push_image(image.repository, "v3")


def test_every_process_knows_at_once(world: World, admin: Api, image: Image) -> None:
    """Each request is a connection of its own, and may meet any process."""
    for is_read_only in (True, False, True, False):
        admin.done("PUT", "/configurations", {"read_only": is_read_only})
        for _ in range(8):
            answer = raw(world.url, "POST", f"/v2/{image.repository}/blobs/uploads/")
            assert answer.status == (403 if is_read_only else 401)
