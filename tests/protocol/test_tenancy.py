"""What one tenant can learn of and do to another (S-24, S-30..S-48)."""

import json

import pytest

from tests.factories import PUSH, World
from tests.images import (
    EMPTY,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_LAYER,
    Image,
    descriptor,
    image_manifest,
    index_manifest,
    sha256,
    unique,
)
from tests.protocol.calls import check
from tests.protocol.tenants import Tenants
from tests.wire import bearer, raw

# Upload sessions.


@pytest.mark.parametrize("where", ["under my repository", "where it is", "where it is, with my token"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_upload_session_of_another_tenant(tenants: Tenants, method: str, where: str) -> None:
    """S-24 (CVE-2026-32589)"""
    content = unique()
    location = tenants.b.session_of(tenants.secret.repository)
    params = [("digest", sha256(content))]
    if where == "under my repository":
        path = location.replace(tenants.secret.repository, tenants.here)
        answer = tenants.a.request(method, path, body=content, params=params)
        assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    elif where == "where it is":
        answer = tenants.a.request(method, location, body=content, params=params)
        assert (answer.status, answer.codes) == (403, ["DENIED"])
    else:
        token = tenants.a.token_text(f"repository:{tenants.here}:pull,push")
        answer = tenants.a.send(method, location, headers=bearer(token), body=content, params=params)
        assert answer.status == 401
    check(method, answer)
    assert tenants.b.request("GET", location).headers["Range"] == "0-0"
    assert tenants.b.finish(location, sha256(content), content).status == 201


# The catalog.

SPELLINGS = [
    "/v2/_catalog", "/v2/_catalog/", "//v2/_catalog", "/v2//_catalog", "/v2/%5fcatalog", "/v2/_catalog?n=1",
    "/v2/_catalog?n=10000&last=", "/V2/_catalog", "/v2/./_catalog", "/v2/x/../_catalog", "/v2/_catalog%0a",
    "/v2/_catalog;",
]  # fmt: skip


@pytest.mark.parametrize("path", SPELLINGS)
def test_catalog_shows_nothing_to_nobody(tenants: Tenants, path: str) -> None:
    """S-30 (CVE-2020-29662)"""
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        answer = raw(tenants.a.url, method, path)
        assert answer.status in (204, 301, 400, 401, 404, 405), answer
        assert b"repositories" not in answer.body


def test_catalog_of_an_anonymous_token_has_public_projects_only(world: World, tenants: Tenants) -> None:
    """S-30"""
    public = world.repository(world.project(is_public=True))
    world.player().push_image(public, "v1")
    token = world.client().token_text("registry:catalog:*")
    answer = raw(world.url, "GET", "/v2/_catalog?n=10000", bearer(token))
    assert answer.status == 200
    assert public in answer.json()["repositories"]
    assert tenants.secret.repository not in answer.json()["repositories"]


def test_catalog_does_not_name_other_tenants(world: World, tenants: Tenants) -> None:
    """S-31, S-32"""
    robot = world.client(world.robot(tenants.here.partition("/")[0]))
    for client in (tenants.a, robot):
        for n in (None, 1, 2):
            names = client.catalog(n)
            assert tenants.here in names
            assert tenants.secret.repository not in names
    assert tenants.secret.repository in tenants.b.catalog()
    assert tenants.secret.repository in world.admin().catalog()


def test_links_of_the_catalog_do_not_show_hidden_names(world: World, tenants: Tenants) -> None:
    """S-32: a page that ends before hidden rows has no Link, and no Link names one."""
    for page in tenants.a.pages("/v2/_catalog", n="1"):
        assert tenants.secret.repository.partition("/")[0] not in str(page.headers)
        assert len(page.json()["repositories"]) == 1


def test_public_project_made_private_is_hidden_at_once(world: World) -> None:
    """S-33"""
    project = world.project(is_public=True)
    owner, nobody = world.player(), world.client()
    image = owner.push_image(world.repository(project), "v1")
    layer = sha256(image.layers[0])
    for _ in range(4):
        assert nobody.pull(image.repository, "v1")[image.digest] == image.content
        assert raw(world.url, "GET", f"/v2/{image.repository}/manifests/v1").status == 200
    world.clerk("project_update", name=project, is_public=False)
    for _ in range(8):
        for path in ("manifests/v1", f"manifests/{image.digest}", f"blobs/{layer}", "tags/list"):
            assert raw(world.url, "GET", f"/v2/{image.repository}/{path}").status == 401
            assert nobody.request("GET", f"/v2/{image.repository}/{path}").status == 401
    assert owner.pull(image.repository, "v1")[image.digest] == image.content
    world.clerk("project_update", name=project, is_public=True)
    assert nobody.pull(image.repository, "v1")[image.digest] == image.content


# Blobs by a digest that is known.


@pytest.mark.parametrize("kind", ["blobs", "manifests"])
def test_known_digest_is_not_readable(tenants: Tenants, kind: str) -> None:
    """S-40 (CVE-2024-39897): asking for it first does not link it."""
    digest = sha256(tenants.secret.layers[0]) if kind == "blobs" else tenants.secret.digest
    for method in ("HEAD", "GET", "HEAD", "GET"):
        assert tenants.a.request(method, f"/v2/{tenants.here}/{kind}/{digest}").status == 404
    assert tenants.a.request("GET", f"/v2/{tenants.secret.repository}/{kind}/{digest}").status == 403


@pytest.mark.parametrize("named", [True, False], ids=["S-41 with its source", "S-42 without a source"])
def test_known_digest_is_not_mountable(tenants: Tenants, named: bool) -> None:
    """S-41, S-42"""
    digest = sha256(tenants.secret.layers[0])
    answer = tenants.a.mount(tenants.here, digest, tenants.secret.repository if named else None)
    check("POST", answer)
    assert answer.status == 202
    assert tenants.a.head_blob(tenants.here, digest).status == 404
    assert tenants.a.delete(tenants.here, digest, "blobs").status == 404


def test_mount_by_a_robot_of_another_project(world: World, tenants: Tenants) -> None:
    """S-41"""
    robot = world.client(world.robot(tenants.here.partition("/")[0], PUSH))
    digest = sha256(tenants.secret.layers[0])
    assert robot.mount(tenants.here, digest, tenants.secret.repository).status == 202
    assert robot.mount(tenants.here, digest).status == 202
    assert robot.head_blob(tenants.here, digest).status == 404


def test_robot_that_sees_a_project_but_may_not_pull_there(world: World, tenants: Tenants) -> None:
    """C-42, S-31: a right of another kind is no right to pull."""
    here, there = (repository.partition("/")[0] for repository in (tenants.here, tenants.secret.repository))
    robot = world.client(world.robot(None, {here: PUSH, there: ("label:read", "repository:list")}))
    digest = sha256(tenants.secret.layers[0])
    assert robot.mount(tenants.here, digest, tenants.secret.repository).status == 202
    assert robot.mount(tenants.here, digest).status == 202
    assert robot.head_blob(tenants.here, digest).status == 404
    assert robot.get_manifest(tenants.secret.repository, "v1").status == 403
    assert tenants.here in robot.catalog()
    assert tenants.secret.repository not in robot.catalog()


def test_mount_from_a_public_project(world: World, tenants: Tenants) -> None:
    """C-42: what everybody may pull, everybody may mount."""
    source = world.repository(world.project(is_public=True))
    digest = world.player().push_blob(source, unique())
    assert tenants.a.mount(tenants.here, digest, source).status == 201
    assert tenants.a.mount(tenants.here, digest).status == 201


def test_mount_takes_the_right_to_pull_the_source(world: World, tenants: Tenants) -> None:
    """C-42: also a project one is a member of."""
    account = world.user()
    project = world.project(members={account: "limited guest"})
    target = world.project(owner=account)
    source = world.repository(project)
    digest = world.player().push_blob(source, unique())
    client = world.client(account)
    assert client.mount(world.repository(target), digest, source).status == 201
    world.clerk("member_remove", project=project, username=account.login)
    assert client.mount(world.repository(target), digest, source).status == 202


@pytest.mark.parametrize("of", ["config", "layer", "child"])
def test_known_digest_in_a_manifest(tenants: Tenants, of: str) -> None:
    """S-43"""
    tenants.a.push_blob(tenants.here, EMPTY)
    blob = descriptor(tenants.secret.layers[0], OCI_LAYER)
    document = {
        "config": image_manifest({**blob, "mediaType": OCI_CONFIG}, []),
        "layer": image_manifest(descriptor(EMPTY, OCI_CONFIG), [blob]),
        "child": index_manifest([tenants.secret.descriptor]),
    }[of]
    answer = tenants.a.push_manifest(tenants.here, "stolen", document)
    check("PUT", answer)
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert tenants.a.head_blob(tenants.here, str(blob["digest"])).status == 404


@pytest.mark.parametrize("how", ["POST", "PUT"])
def test_known_digest_without_its_bytes(tenants: Tenants, how: str) -> None:
    """S-44"""
    digest = sha256(tenants.secret.layers[0])
    if how == "PUT":
        answer = tenants.a.finish(tenants.a.session_of(tenants.here), digest)
    else:
        answer = tenants.a.request("POST", f"/v2/{tenants.here}/blobs/uploads/", params=[("digest", digest)])
    check(how, answer)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert tenants.a.head_blob(tenants.here, digest).status == 404


def test_foreign_layer_does_not_link_a_known_digest(tenants: Tenants) -> None:
    """S-43 by the door of layers that need not be pushed."""
    tenants.a.push_blob(tenants.here, EMPTY)
    foreign = descriptor(
        tenants.secret.layers[0],
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        urls=["https://example.com"],
    )
    document = image_manifest(descriptor(EMPTY, OCI_CONFIG), [foreign])
    assert tenants.a.push_manifest(tenants.here, "foreign", document).status == 201
    assert tenants.a.get_blob(tenants.here, str(foreign["digest"])).status == 404


def test_same_bytes_pushed_by_both_tenants(tenants: Tenants) -> None:
    """Who has the bytes may push them: the answer is that of a first push."""
    content = tenants.secret.layers[0]
    digest = tenants.a.push_blob(tenants.here, content)
    assert tenants.a.get_blob(tenants.here, digest).body == content
    assert tenants.a.delete(tenants.here, digest, "blobs").status == 202
    assert tenants.b.get_blob(tenants.secret.repository, digest).body == content


def test_deleted_blob_does_not_come_back_by_another_tenants_read(tenants: Tenants) -> None:
    """S-46 (CVE-2026-35172)"""
    content = unique()
    digest = tenants.a.push_blob(tenants.here, content)
    tenants.b.push_blob(tenants.secret.repository, content)
    assert tenants.a.head_blob(tenants.here, digest).status == 200
    assert tenants.a.delete(tenants.here, digest, "blobs").status == 202
    for _ in range(4):
        assert tenants.b.get_blob(tenants.secret.repository, digest).body == content
        assert tenants.a.get_blob(tenants.here, digest).status == 404
        assert tenants.a.head_blob(tenants.here, digest).status == 404


def test_referrers_of_another_tenants_digest(tenants: Tenants) -> None:
    """S-47"""
    tenants.b.attach(tenants.secret, "application/vnd.example.sbom")
    assert tenants.a.referrers(tenants.here, tenants.secret.digest) == []


def test_referrer_from_outside_does_not_appear(world: World, tenants: Tenants) -> None:
    """Nobody can attach to what is not theirs."""
    mine = world.repository(tenants.here.partition("/")[0])
    fake = tenants.a.attach(
        Image(mine, tenants.secret.digest, OCI_IMAGE, tenants.secret.content), "application/vnd.example.fake"
    )
    listed = tenants.b.referrers(tenants.secret.repository, tenants.secret.digest)
    assert fake.digest not in json.dumps(listed)


def test_token_for_another_project_grants_nothing(tenants: Tenants) -> None:
    """S-50"""
    token = tenants.a.token_text(f"repository:{tenants.secret.repository}:pull,push,delete")
    for method, path in (
        ("GET", "manifests/v1"),
        ("DELETE", "manifests/v1"),
        ("GET", "tags/list"),
        ("POST", "blobs/uploads/"),
        ("GET", f"blobs/{sha256(tenants.secret.layers[0])}"),
        ("GET", f"referrers/{tenants.secret.digest}"),
    ):
        answer = raw(tenants.a.url, method, f"/v2/{tenants.secret.repository}/{path}", bearer(token))
        check(method, answer)
        assert (answer.status, answer.codes) == (403, ["DENIED"])
