"""Docker: the engine with either of its image stores, and buildx."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import World, fresh
from tests.images import DOCKER_IMAGE, OCI_INDEX
from tests.interop.conftest import Place
from tests.interop.engine import STORES, Engine
from tests.interop.images import write_archive
from tests.interop.programs import Program

pytestmark = pytest.mark.interop

CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
ATTESTATION = "attestation-manifest"


@pytest.fixture(scope="module", params=STORES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with Engine(request.param) as running:
        yield running


@pytest.fixture
def docker(engine: Engine, registry: Place) -> Program:
    """It is logged in as the owner."""
    account = registry.owner
    engine.docker("login", "-u", account.login, "--password-stdin", registry.host, text=account.secret)
    return engine.docker


@pytest.fixture
def image(docker: Program, tmp_path: Path) -> str:
    """The name of an image that only the engine has."""
    name = f"{fresh('image')}:v1"
    docker("load", "-i", write_archive(tmp_path / "image.tar", name))
    return name


def _push(docker: Program, image: str, reference: str) -> str:
    """What docker printed."""
    docker("tag", image, reference)
    return docker("push", reference)


def test_login_with_a_wrong_password_is_refused(docker: Program, registry: Place, world: World) -> None:
    said = docker.refused("login", "-u", world.user().login, "--password-stdin", registry.host, text="wrong")
    assert "unauthorized" in said


def test_a_pushed_image_is_pulled_by_tag_and_by_digest(
    docker: Program, registry: Place, world: World, image: str
) -> None:
    path = registry.path()
    reference = f"{registry.host}/{path}:v1"
    _push(docker, image, reference)
    kept = world.player().get_manifest(path, "v1")
    assert kept.headers["Content-Type"] == DOCKER_IMAGE
    assert len(world.player().pull(path, "v1")) == 4
    digest = kept.headers["Docker-Content-Digest"]
    for wanted in (reference, f"{registry.host}/{path}@{digest}"):
        docker("rmi", "-f", docker("images", "-q", "--no-trunc", image if wanted == reference else reference).strip())
        assert digest in docker("pull", wanted)
    shown = json.loads(docker("image", "inspect", f"{registry.host}/{path}@{digest}"))[0]
    assert f"{registry.host}/{path}@{digest}" in shown["RepoDigests"]


def test_a_push_to_another_repository_mounts_the_layers(docker: Program, registry: Place, image: str) -> None:
    source = registry.path()
    _push(docker, image, f"{registry.host}/{source}:v1")
    said = _push(docker, image, f"{registry.repository()}:v1")
    assert said.count(f"Mounted from {source}") == 2, said


def test_a_push_again_finds_the_layers_there(docker: Program, registry: Place, image: str) -> None:
    reference = f"{registry.repository()}:v1"
    _push(docker, image, reference)
    assert _push(docker, image, reference).count("Layer already exists") == 2


def test_a_push_to_a_project_that_does_not_exist_is_denied_at_once(
    engine: Engine, docker: Program, registry: Place, image: str
) -> None:
    """Docker pushes again and again, for 50 s, when it can't tell from the answer that it never will be let."""
    reference = f"{registry.host}/nowhere/image:v1"
    docker("tag", image, reference)
    said = replace(docker, seconds=10.0).refused("push", reference)
    # containerd's code begins with HEAD and can tell of the status only.
    assert {"overlay2": "denied: requested access", "overlayfs": "403 Forbidden"}[engine.store] in said


def test_a_pull_from_a_project_of_others_is_denied(docker: Program, registry: Place, world: World) -> None:
    theirs = world.user()
    path = f"{world.project(owner=theirs)}/image"
    world.client(theirs).push_image(path, "v1")
    said = docker.refused("pull", f"{registry.host}/{path}:v1")
    assert "denied" in said or "403 Forbidden" in said


def test_a_public_project_is_pulled_from_without_a_login(
    docker: Program, registry: Place, world: World, image: str
) -> None:
    reference = f"{registry.host}/{world.project(is_public=True)}/image:v1"
    _push(docker, image, reference)
    docker("logout", registry.host)
    docker("rmi", reference)
    assert "Downloaded newer image" in docker("pull", reference)


def test_a_robot_logs_in_pushes_and_pulls(docker: Program, registry: Place, world: World, image: str) -> None:
    robot = world.robot(registry.project)
    docker("login", "-u", robot.login, "--password-stdin", registry.host, text=robot.secret)
    reference = f"{registry.repository()}:v1"
    _push(docker, image, reference)
    docker("rmi", reference)
    docker("pull", reference)


@pytest.fixture
def buildx(engine: Engine, docker: Program) -> Program:
    """docker, whose builder is the engine's own and remembers nothing."""
    engine.install_buildx()
    docker("buildx", "prune", "--all", "--force")
    return docker


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """What to build an image from that is like no other."""
    (tmp_path / "file").write_text(fresh("content"))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    return tmp_path


# With Docker's own store, the engine builds one platform at a time, no attestations and no cache to be kept.
indexes = pytest.mark.parametrize("engine", ["overlayfs"], indirect=True)
BUILD = ("buildx", "build", "--progress", "plain", "--push")
PLATFORMS = ("--platform", "linux/amd64,linux/arm64")


@indexes
def test_buildx_pushes_several_platforms_with_their_provenance(
    buildx: Program, registry: Place, world: World, context: Path
) -> None:
    path = registry.path()
    reference = f"{registry.host}/{path}:all"
    buildx(*BUILD, *PLATFORMS, "--provenance", "mode=max", "-t", reference, context)
    kept = world.player().get_manifest(path, "all")
    assert kept.headers["Content-Type"] == OCI_INDEX
    children = kept.json()["manifests"]
    kinds = [child.get("annotations", {}).get("vnd.docker.reference.type", "image") for child in children]
    assert sorted(kinds) == [ATTESTATION] * 2 + ["image"] * 2
    provenance = buildx("buildx", "imagetools", "inspect", "--format", "{{json .Provenance}}", reference)
    assert set(json.loads(provenance)) == {"linux/amd64", "linux/arm64"}
    buildx("rmi", "-f", reference)
    buildx("pull", "--platform", "linux/arm64", reference)
    assert "arm64" in buildx("image", "inspect", "--platform", "linux/arm64", reference)


@indexes
def test_buildx_keeps_its_cache_in_the_registry_and_builds_from_it(
    buildx: Program, registry: Place, world: World, context: Path
) -> None:
    path, cache = registry.path(), registry.path()
    kept = f"type=registry,ref={registry.host}/{cache}:cache"
    target = ("-t", f"{registry.host}/{path}:v1", context)
    buildx(*BUILD, "--cache-to", f"{kept},mode=max", *target)
    cached = world.player().get_manifest(cache, "cache").json()
    assert cached["config"]["mediaType"] == CACHE_CONFIG
    buildx("buildx", "prune", "--all", "--force")
    buildx("rmi", "-f", f"{registry.host}/{path}:v1")
    said = buildx.told(*BUILD, "--cache-from", kept, *target)
    # Whether it fetches the layer while it builds or leaves it for later, it does not build it.
    assert "CACHED" in said or cached["layers"][0]["digest"] in said, said
