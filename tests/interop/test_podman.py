"""podman and buildah: engines and builders of the containers project."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.factories import World
from tests.images import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX
from tests.interop.conftest import Place
from tests.interop.images import write_layout
from tests.interop.programs import Program

pytestmark = pytest.mark.interop

HERE = "--tls-verify=false"


def _working(program: Program, registry: Place) -> Program:
    """The program, logged in as the owner; where it can't run at all (no user namespaces, say), the test is skipped."""
    if trouble := program.trouble("info"):
        pytest.skip(f"{program.name} does not work here: {trouble}")
    program("login", HERE, "-u", registry.owner.login, "--password-stdin", registry.host, text=registry.owner.secret)
    return program


@pytest.fixture
def podman(container_program: Callable[[str], Program], registry: Place) -> Program:
    return _working(container_program("podman"), registry)


@pytest.fixture
def buildah(container_program: Callable[[str], Program], registry: Place) -> Program:
    return _working(container_program("buildah"), registry)


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_login_with_a_wrong_password_is_refused(
    container_program: Callable[[str], Program], registry: Place, world: World, name: str
) -> None:
    program = _working(container_program(name), registry)
    said = program.refused("login", HERE, "-u", world.user().login, "-p", "wrong", registry.host)
    assert "invalid username/password" in said


@pytest.mark.parametrize(("form", "media_type"), [("oci", OCI_IMAGE), ("v2s2", DOCKER_IMAGE)])
def test_podman_pushes_an_image_and_pulls_it_back(
    podman: Program, registry: Place, world: World, tmp_path: Path, form: str, media_type: str
) -> None:
    path = registry.path()
    image = podman("pull", "-q", write_layout(tmp_path / "layout").reference).strip()
    podman("push", HERE, "--format", form, image, f"{registry.host}/{path}:v1")
    assert world.player().get_manifest(path, "v1").headers["Content-Type"] == media_type
    podman("rmi", "-f", image)
    assert podman("pull", "-q", HERE, f"{registry.host}/{path}:v1").strip() == image


def test_podman_pulls_an_architecture_and_a_digest(podman: Program, registry: Place, tmp_path: Path) -> None:
    repository = registry.repository()
    podman("manifest", "create", "several")
    for architecture in ("amd64", "arm64"):
        layout = write_layout(tmp_path / architecture, (architecture,))
        podman("manifest", "add", "several", layout.reference)
    podman("manifest", "push", "--all", HERE, "several", f"docker://{repository}:all")
    podman("rmi", "-a", "-f")
    podman("pull", HERE, "--arch", "arm64", f"{repository}:all")
    assert json.loads(podman("image", "inspect", f"{repository}:all"))[0]["Architecture"] == "arm64"
    podman("rmi", "-a", "-f")
    podman("pull", HERE, f"{repository}@{layout.digest}")
    assert json.loads(podman("image", "inspect", f"{repository}@{layout.digest}"))[0]["Digest"] == layout.digest


def test_podman_searches_repositories_and_tags(podman: Program, registry: Place, world: World) -> None:
    path = registry.path()
    for tag in ("one", "two"):
        world.player().push_image(path, tag)
    found = json.loads(podman("search", HERE, "--format", "json", f"{registry.host}/{path}"))
    assert [entry["Name"] for entry in found] == [f"{registry.host}/{path}"]
    tags = json.loads(podman("search", HERE, "--list-tags", "--format", "json", f"{registry.host}/{path}"))
    assert tags == [{"Name": f"{registry.host}/{path}", "Tags": ["one", "two"]}]


def test_podman_is_denied_a_project_that_does_not_exist(podman: Program, registry: Place, tmp_path: Path) -> None:
    image = podman("pull", "-q", write_layout(tmp_path / "layout").reference).strip()
    assert "403 (Forbidden)" in podman.refused("push", HERE, image, f"{registry.host}/nowhere/image:v1")


def test_buildah_builds_pushes_and_pulls_an_image(
    buildah: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    path = registry.path()
    (tmp_path / "file").write_bytes(path.encode())
    container = buildah("from", "scratch").strip()
    buildah("copy", container, tmp_path / "file", "/file")
    image = buildah("commit", "-q", "--format", "oci", container, "built").strip()
    buildah("push", HERE, "built", f"{registry.host}/{path}:v1")
    assert len(world.player().pull(path, "v1")) == 3
    buildah("rmi", "-a", "-f")
    assert buildah("pull", "-q", HERE, f"{registry.host}/{path}:v1").strip() == image


def test_buildah_pushes_an_index_with_its_images(
    buildah: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    path = registry.path()
    buildah("manifest", "create", "several")
    for architecture in ("amd64", "arm64"):
        layout = write_layout(tmp_path / architecture, (architecture,))
        buildah("manifest", "add", "several", layout.reference)
    buildah("manifest", "push", "--all", HERE, "several", f"docker://{registry.host}/{path}:all")
    kept = world.player().get_manifest(path, "all")
    assert kept.headers["Content-Type"] == OCI_INDEX
    assert [child["platform"]["architecture"] for child in kept.json()["manifests"]] == ["amd64", "arm64"]
    assert len(world.player().pull(path, "all")) == 9


@pytest.mark.parametrize(
    ("name", "command"),
    [("skopeo", ("list-tags", HERE, "docker://{}")), ("podman", ("search", HERE, "--list-tags", "{}"))],
)
def test_the_tls_that_clients_try_first_is_refused_at_once(
    container_program: Callable[[str], Program], registry: Place, world: World, name: str, command: tuple[str, ...]
) -> None:
    """The best of three, because other tests may keep the machine busy; a server that waits costs 10 s each time."""
    public = world.project(is_public=True)
    world.player().push_image(f"{public}/image", "v1")
    program = container_program(name)
    if trouble := program.trouble("--version"):
        pytest.skip(f"{name} does not work here: {trouble}")
    taken = []
    for _ in range(3):
        begun = time.monotonic()
        program(*(word.format(f"{registry.host}/{public}/image") for word in command))
        taken.append(time.monotonic() - begun)
    assert min(taken) < 2
