"""What was granted ends at once when its ground is gone (S-07, S-43, S-71)."""

import pytest

from tests.factories import World, fresh
from tests.images import Image, descriptor, sha256, unique
from tests.protocol.calls import check, pull
from tests.wire import bearer, raw

REVOCATIONS = {
    "password": ("user_set_password", {"password": "Other-horse-22"}),
    "disabled": ("user_disable", {}),
    "deleted": ("user_delete", {}),
}


@pytest.mark.parametrize("row", REVOCATIONS)
def test_change_of_the_account_ends_its_tokens(world: World, row: str) -> None:
    """S-07"""
    account = world.user()
    project = world.project(members={account: "developer"})
    image = world.player().push_image(world.repository(project), "v1")
    token = world.client(account).token_text(f"repository:{image.repository}:pull")
    assert pull(world, image.repository, token).status == 200
    what, values = REVOCATIONS[row]
    world.clerk(what, username=account.login, **values)
    for _ in range(6):  # whatever process answers
        answer = pull(world, image.repository, token)
        check("GET", answer)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert world.client(account).token().status == 401
    catalog = raw(world.url, "GET", "/v2/_catalog", bearer(token))
    assert catalog.status == 401


def test_lost_membership_ends_tokens(world: World) -> None:
    account = world.user()
    project = world.project(members={account: "maintainer"})
    image = world.player().push_image(world.repository(project), "v1")
    token = world.client(account).token_text(f"repository:{image.repository}:pull,push,delete")
    assert pull(world, image.repository, token).status == 200
    world.clerk("member_remove", project=project, username=account.login)
    for method, path in (("GET", "manifests/v1"), ("POST", "blobs/uploads/"), ("DELETE", "manifests/v1")):
        answer = raw(world.url, method, f"/v2/{image.repository}/{path}", bearer(token))
        assert answer.status == 401
    assert (
        pull(world, image.repository, world.client(account).token_text(f"repository:{image.repository}:pull")).status
        == 403
    )


def test_lower_role_ends_tokens(world: World) -> None:
    account = world.user()
    project = world.project(members={account: "maintainer"})
    image = world.player().push_image(world.repository(project), "v1")
    client = world.client(account)
    assert client.start(image.repository).status == 202
    world.clerk("member_set_role", project=project, username=account.login, role=3)
    assert client.start(image.repository).status == 403
    client.pull(image.repository, "v1")


def test_expired_and_disabled_robots_are_refused(world: World) -> None:
    image = world.player().push_image(world.repository(), "v1")
    for what, values in (("robot_expire", {}), ("robot_set_enabled", {"is_enabled": False}), ("robot_delete", {})):
        robot = world.robot(world.home)
        client = world.client(robot)
        token = client.token_text(f"repository:{image.repository}:pull")
        assert pull(world, image.repository, token).status == 200
        world.clerk(what, login=robot.login, **values)
        assert pull(world, image.repository, token).status == 401
        assert client.token().status == 401


def test_project_made_again_under_its_name_does_not_know_the_old_tokens(world: World) -> None:
    """S-71"""
    account, stranger = world.user(), world.user()
    name = world.project(owner=account)
    robot = world.robot(name)
    client = world.client(account)
    token = client.token_text(f"repository:{name}/a:pull,push")
    robot_token = world.client(robot).token_text(f"repository:{name}/a:pull,push")
    world.clerk("project_delete", name=name)
    world.clerk("project_create", name=name, is_public=False, owner=stranger.login)
    world.client(stranger).push_image(f"{name}/a", "v1")
    for old in (token, robot_token):
        assert pull(world, f"{name}/a", old).status == 401
    assert world.client(robot).token().status == 401
    assert client.get_manifest(f"{name}/a", "v1").status == 403


def test_token_of_a_project_that_came_later(world: World) -> None:
    """A token asked for before there was a project grants nothing in it."""
    account = world.user()
    name = fresh("project")
    client = world.client(account)
    token = client.token_text(f"repository:{name}/a:pull,push")
    world.clerk("project_create", name=name, is_public=False, owner=account.login)
    answer = raw(world.url, "POST", f"/v2/{name}/a/blobs/uploads/", bearer(token))
    assert answer.status in (401, 403)
    assert client.push_blob(f"{name}/a", unique())


def test_blob_descriptor_is_no_permission(world: World, image: Image) -> None:
    """S-43 by a token: what is named in a manifest is not thereby readable."""
    stranger = world.user()
    project = world.project(owner=stranger)
    client = world.client(stranger)
    document = {
        "schemaVersion": 2,
        "mediaType": image.media_type,
        "config": descriptor(image.config, "application/x"),
        "layers": [],
    }
    answer = client.push_manifest(world.repository(project), "v1", document)
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert sha256(image.config) in answer.body.decode()
