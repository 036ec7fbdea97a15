"""skopeo: copies images between forms and registries."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.factories import World
from tests.images import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX
from tests.interop.conftest import Place
from tests.interop.images import TAG, write_layout
from tests.interop.programs import Program
from tests.product import Serve

pytestmark = pytest.mark.interop

FROM_HERE = ("--src-tls-verify=false",)
TO_HERE = ("--dest-tls-verify=false",)
HERE = ("--tls-verify=false",)


@pytest.fixture
def skopeo(container_program: Callable[[str], Program], registry: Place) -> Program:
    """It is logged in as the owner."""
    program = container_program("skopeo")
    program("login", *HERE, "-u", registry.owner.login, "--password-stdin", registry.host, text=registry.owner.secret)
    return program


def test_login_with_a_wrong_password_is_refused(skopeo: Program, registry: Place, world: World) -> None:
    said = skopeo.refused("login", *HERE, "-u", world.user().login, "-p", "wrong", registry.host)
    assert "unauthorized" in said.lower() or "invalid username/password" in said.lower()


@pytest.mark.parametrize(("form", "media_type"), [("oci", OCI_IMAGE), ("v2s2", DOCKER_IMAGE)])
def test_an_image_comes_back_in_the_format_it_was_pushed_in(
    skopeo: Program, registry: Place, world: World, tmp_path: Path, form: str, media_type: str
) -> None:
    layout, path = write_layout(tmp_path / "layout"), registry.path()
    remote = f"docker://{registry.host}/{path}:v1"
    skopeo("copy", *TO_HERE, "--format", form, layout.reference, remote)
    kept = world.player().get_manifest(path, "v1")
    assert kept.headers["Content-Type"] == media_type
    assert json.loads(skopeo("inspect", "--raw", *HERE, remote)) == kept.json()
    skopeo("copy", *FROM_HERE, remote, f"dir:{tmp_path}/back")
    assert (tmp_path / "back" / "manifest.json").read_bytes() == kept.body


def test_a_multi_architecture_image_is_copied_whole(
    skopeo: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, path = write_layout(tmp_path / "layout", ("amd64", "arm64")), registry.path()
    skopeo("copy", "--all", *TO_HERE, layout.reference, f"docker://{registry.host}/{path}:all")
    assert world.player().get_manifest(path, "all").headers["Content-Type"] == OCI_INDEX
    skopeo("copy", "--all", *FROM_HERE, f"docker://{registry.host}/{path}@{layout.digest}", f"oci:{tmp_path}/back:all")
    assert {f.name for f in (tmp_path / "back/blobs/sha256").iterdir()} == {d[7:] for d in layout.blobs}


def test_inspect_tells_name_digest_tags_and_layers(skopeo: Program, registry: Place, tmp_path: Path) -> None:
    layout, repository = write_layout(tmp_path / "layout"), registry.repository()
    for tag in ("one", "two"):
        skopeo("copy", *TO_HERE, layout.reference, f"docker://{repository}:{tag}")
    seen = json.loads(skopeo("inspect", *HERE, f"docker://{repository}:one"))
    assert (seen["Name"], seen["Digest"], seen["RepoTags"]) == (repository, layout.digest, ["one", "two"])
    assert set(seen["Layers"]) < layout.blobs


def test_list_tags_pages_through_all_tags(skopeo: Program, registry: Place, world: World) -> None:
    path = registry.path()
    image = world.player().push_image(path, "first")
    world.clerk("tags_fill", repository=path, count=2500)
    listed = json.loads(skopeo("list-tags", *HERE, f"docker://{registry.host}/{path}"))
    assert listed["Repository"] == f"{registry.host}/{path}"
    assert len(set(listed["Tags"])) == 2501, image.digest


def test_a_deleted_image_is_gone_at_once(skopeo: Program, registry: Place, tmp_path: Path) -> None:
    layout, repository = write_layout(tmp_path / "layout"), registry.repository()
    skopeo("copy", *TO_HERE, layout.reference, f"docker://{repository}:v1")
    skopeo("delete", *HERE, f"docker://{repository}:v1")
    assert "manifest unknown" in skopeo.refused("inspect", *HERE, f"docker://{repository}:v1")
    skopeo("copy", *TO_HERE, layout.reference, f"docker://{repository}:v1")
    skopeo("copy", *FROM_HERE, f"docker://{repository}:v1", f"dir:{tmp_path}/again")


def test_a_copy_between_two_repositories_is_the_same_image(
    skopeo: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, source, target = write_layout(tmp_path / "layout"), registry.path(), registry.path()
    skopeo("copy", *TO_HERE, layout.reference, f"docker://{registry.host}/{source}:v1")
    skopeo(
        "copy", *FROM_HERE, *TO_HERE, f"docker://{registry.host}/{source}:v1", f"docker://{registry.host}/{target}:v2"
    )
    assert world.player().pull(source, "v1") == world.player().pull(target, "v2")


def test_sync_brings_a_repository_to_a_directory_and_back(
    skopeo: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, path = write_layout(tmp_path / "layout"), registry.path()
    name = path.rpartition("/")[2]
    for tag in ("one", "two"):
        skopeo("copy", *TO_HERE, layout.reference, f"docker://{registry.host}/{path}:{tag}")
    out = tmp_path / "out"
    skopeo("sync", *FROM_HERE, "--src", "docker", "--dest", "dir", f"{registry.host}/{path}", out)
    assert {entry.name for entry in out.iterdir()} == {f"{name}:one", f"{name}:two"}
    back = f"{registry.host}/{registry.project}/back"
    skopeo("sync", *TO_HERE, "--src", "dir", "--dest", "docker", out, back)
    assert world.player().tags(f"{registry.project}/back/{name}") == ["one", "two"]


# Who may do what, as a user meets it. skopeo begins with HEAD, so all it can tell of a refusal is the status.

FORBIDDEN = "403 (Forbidden)"


def test_a_push_to_a_project_that_does_not_exist_is_denied(skopeo: Program, registry: Place, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout")
    said = skopeo.refused("copy", *TO_HERE, layout.reference, f"docker://{registry.host}/nowhere/image:v1")
    assert FORBIDDEN in said


def test_a_push_to_a_project_of_others_is_denied(
    skopeo: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, theirs = write_layout(tmp_path / "layout"), world.project(owner=world.user())
    said = skopeo.refused("copy", *TO_HERE, layout.reference, f"docker://{registry.host}/{theirs}/image:v1")
    assert FORBIDDEN in said


def test_a_public_project_is_pulled_by_anybody_and_pushed_by_its_members(
    skopeo: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, public = write_layout(tmp_path / "layout"), world.project(is_public=True)
    remote = f"docker://{registry.host}/{public}/image:v1"
    skopeo("copy", *TO_HERE, layout.reference, remote)
    skopeo("logout", registry.host)
    skopeo("copy", *FROM_HERE, remote, f"dir:{tmp_path}/pulled")
    assert len(list((tmp_path / "pulled").glob("[0-9a-f]*"))) == 3
    said = skopeo.refused("copy", *TO_HERE, write_layout(tmp_path / "another").reference, remote)
    assert "unauthorized" in said or "authentication required" in said, said


def test_a_private_project_shows_nothing_to_anonymous(skopeo: Program, registry: Place, tmp_path: Path) -> None:
    remote = f"docker://{registry.repository()}:v1"
    skopeo("copy", *TO_HERE, write_layout(tmp_path / "layout").reference, remote)
    skopeo("logout", registry.host)
    said = skopeo.refused("copy", *FROM_HERE, remote, f"dir:{tmp_path}/pulled")
    assert "unauthorized" in said or "authentication required" in said, said


def test_a_robot_made_on_the_command_line_pushes_and_pulls(
    skopeo: Program, registry: Place, server: Serve, tmp_path: Path
) -> None:
    made = server.command("robot", "create", registry.project, "builder", "--push")
    assert made.returncode == 0, made.stderr
    login, secret = made.stdout.split()
    skopeo("logout", registry.host)
    skopeo("login", *HERE, "-u", login, "--password-stdin", registry.host, text=secret)
    layout, remote = write_layout(tmp_path / "layout"), f"docker://{registry.repository()}:{TAG}"
    skopeo("copy", *TO_HERE, layout.reference, remote)
    skopeo("copy", *FROM_HERE, remote, f"oci:{tmp_path}/back:{TAG}")
    assert {f.name for f in (tmp_path / "back/blobs/sha256").iterdir()} == {d[7:] for d in layout.blobs}
    said = skopeo.refused("delete", *HERE, remote)
    assert "denied" in said.lower() or "unauthorized" in said.lower()
