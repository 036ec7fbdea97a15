"""crane: go-containerregistry's command, whose library many other clients are built on."""

from pathlib import Path

import pytest

from tests.factories import World
from tests.images import sha256
from tests.interop.conftest import Place
from tests.interop.images import tar, write_archive
from tests.interop.programs import Home, Program

pytestmark = pytest.mark.interop

HERE = "--insecure"


@pytest.fixture
def crane(home: Home, registry: Place) -> Program:
    """It is logged in as the owner."""
    program = home.program("crane")
    account = registry.owner
    program("auth", "login", registry.host, "-u", account.login, "--password-stdin", text=account.secret)
    return program


@pytest.fixture
def pushed(crane: Program, registry: Place, tmp_path: Path) -> str:
    """The repository of an image tagged v1."""
    repository = registry.repository()
    crane("push", HERE, write_archive(tmp_path / "image.tar", "made:v1"), f"{repository}:v1")
    return repository


def test_a_pushed_archive_is_valid_and_comes_back(crane: Program, pushed: str, tmp_path: Path) -> None:
    assert "PASS" in crane("validate", HERE, "--remote", f"{pushed}:v1")
    manifest = crane("manifest", HERE, f"{pushed}:v1")
    assert crane("digest", HERE, f"{pushed}:v1").strip() == sha256(manifest.encode())
    crane("pull", HERE, f"{pushed}:v1", tmp_path / "back.tar")
    assert crane("digest", "--tarball", tmp_path / "back.tar").strip()


def test_a_copy_to_another_repository_mounts_the_blobs(
    crane: Program, pushed: str, registry: Place, world: World
) -> None:
    target = registry.path()
    told = crane.told("copy", HERE, f"{pushed}:v1", f"{registry.host}/{target}:v2")
    assert told.count("mounted blob") == 3
    assert world.player().pull(target, "v2") == world.player().pull(pushed.removeprefix(f"{registry.host}/"), "v1")


def test_appended_and_mutated_images_are_pushed_under_other_tags(
    crane: Program, pushed: str, registry: Place, world: World, tmp_path: Path
) -> None:
    (tmp_path / "layer.tar").write_bytes(tar({"more": b"more"}))
    crane("append", HERE, "--base", f"{pushed}:v1", "-f", tmp_path / "layer.tar", "-t", f"{pushed}:more")
    crane("mutate", HERE, f"{pushed}:more", "--label", "colour=red", "-t", f"{pushed}:red")
    crane("tag", HERE, f"{pushed}:red", "latest")
    assert crane("ls", HERE, pushed).split() == ["latest", "more", "red", "v1"]
    assert '"colour":"red"' in crane("config", HERE, f"{pushed}:latest")
    assert len(world.player().pull(pushed.removeprefix(f"{registry.host}/"), "latest")) == 5


def test_the_catalog_shows_the_repository(crane: Program, pushed: str, registry: Place) -> None:
    assert pushed.removeprefix(f"{registry.host}/") in crane("catalog", HERE, registry.host).split()


def test_a_deleted_image_is_unknown(crane: Program, pushed: str) -> None:
    crane("delete", HERE, f"{pushed}:v1")
    assert "MANIFEST_UNKNOWN" in crane.refused("manifest", HERE, f"{pushed}:v1")


def test_a_push_to_a_project_that_does_not_exist_is_denied(crane: Program, registry: Place, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "image.tar", "made:v1")
    assert "403" in crane.refused("push", HERE, archive, f"{registry.host}/nowhere/image:v1")
