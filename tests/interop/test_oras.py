"""oras: artifacts of any kind and what refers to them."""

import json
from pathlib import Path

import pytest

from tests.factories import World
from tests.images import digest_like, sha256
from tests.interop.conftest import Place
from tests.interop.images import TAG, write_layout
from tests.interop.programs import Home, Program

pytestmark = pytest.mark.interop

HERE = "--plain-http"
BETWEEN = ("--from-plain-http", "--to-plain-http")
THING, SBOM, SCAN = (f"application/vnd.example.{kind}" for kind in ("thing", "sbom", "scan"))


@pytest.fixture
def oras(home: Home, registry: Place) -> Program:
    """It is logged in as the owner."""
    program = home.program("oras")
    program("login", HERE, "-u", registry.owner.login, "--password-stdin", registry.host, text=registry.owner.secret)
    return program


@pytest.fixture
def artifact(oras: Program, registry: Place) -> str:
    """A pushed artifact: repository and digest. Two others are attached to it, and one to the first of these."""
    repository = registry.repository()
    (oras.home.directory / "hello.txt").write_text(repository)
    digest = _digest(oras("push", HERE, f"{repository}:v1", "--artifact-type", THING, "hello.txt:text/plain"))
    sbom = _digest(oras("attach", HERE, f"{repository}:v1", "--artifact-type", SBOM, "hello.txt"))
    oras("attach", HERE, f"{repository}@{sbom}", "--artifact-type", SCAN, "hello.txt")
    oras("attach", HERE, f"{repository}@{digest}", "--artifact-type", SCAN, "hello.txt")
    return f"{repository}@{digest}"


def _digest(said: str) -> str:
    return said.rpartition("Digest: ")[2].strip()


def _tree(oras: Program, reference: str) -> set[str]:
    """Digests of everything that refers to `reference`, at any distance."""
    found = {manifest["digest"] for manifest in _referrers(oras, reference)}
    return found.union(*(_tree(oras, f"{reference.partition('@')[0]}@{digest}") for digest in found))


def _referrers(oras: Program, reference: str, *options: str) -> list[dict[str, str]]:
    said = json.loads(oras("discover", HERE, "--format", "json", *options, reference))
    return list(said["manifests"] or [])


def test_login_with_a_wrong_password_is_refused(oras: Program, registry: Place, world: World) -> None:
    said = oras.refused("login", HERE, "-u", world.user().login, "-p", "wrong", registry.host)
    assert "unauthorized" in said


def test_an_artifact_comes_back_as_the_files_it_was_made_of(oras: Program, artifact: str, tmp_path: Path) -> None:
    oras("pull", HERE, "-o", tmp_path / "out", artifact)
    assert (tmp_path / "out" / "hello.txt").read_text() == artifact.partition("@")[0]


def test_discover_finds_what_is_attached_by_the_referrers_interface(oras: Program, artifact: str) -> None:
    assert {entry["artifactType"] for entry in _referrers(oras, artifact)} == {SBOM, SCAN}
    assert [entry["artifactType"] for entry in _referrers(oras, artifact, "--artifact-type", SBOM)] == [SBOM]
    assert oras("repo", "tags", HERE, artifact.partition("@")[0]).split() == ["v1"], "no tag stands in for referrers"


def test_a_recursive_copy_brings_all_that_refers_to_the_artifact(
    oras: Program, artifact: str, registry: Place, world: World
) -> None:
    target = registry.repository()
    oras("cp", "-r", *BETWEEN, artifact, f"{target}:copied")
    copied = f"{target}@{artifact.partition('@')[2]}"
    assert len(_tree(oras, copied)) == 3
    assert _tree(oras, copied) == _tree(oras, artifact)
    world.player().pull(target.removeprefix(f"{registry.host}/"), "copied")


def test_a_multi_architecture_image_is_copied_from_a_layout(
    oras: Program, registry: Place, world: World, tmp_path: Path
) -> None:
    layout, path = write_layout(tmp_path / "layout", ("amd64", "arm64")), registry.path()
    oras("cp", "--from-oci-layout", f"{layout.directory}:{TAG}", "--to-plain-http", f"{registry.host}/{path}:all")
    assert set(world.player().pull(path, "all")) == layout.blobs


def test_repositories_and_tags_are_listed(oras: Program, artifact: str, registry: Place) -> None:
    repository = artifact.partition("@")[0]
    path = repository.removeprefix(f"{registry.host}/")
    assert path in oras("repo", "ls", HERE, registry.host).split()
    assert path.rpartition("/")[2] in oras("repo", "ls", HERE, f"{registry.host}/{registry.project}").split()
    oras("tag", HERE, artifact, "v2", "v3")
    assert oras("repo", "tags", HERE, repository).split() == ["v1", "v2", "v3"]


def test_a_manifest_is_fetched_and_deleted(oras: Program, artifact: str) -> None:
    repository, _, digest = artifact.partition("@")
    fetched = oras("manifest", "fetch", HERE, f"{repository}:v1")
    assert digest_like(digest, fetched.encode()) == digest
    assert json.loads(oras("manifest", "fetch", HERE, "--descriptor", f"{repository}:v1"))["digest"] == digest
    oras("manifest", "delete", "--force", HERE, f"{repository}:v1")
    assert "not found" in oras.refused("manifest", "fetch", HERE, artifact)


def test_a_blob_is_pushed_fetched_and_deleted(oras: Program, registry: Place) -> None:
    repository, content = registry.repository(), registry.path().encode()
    (oras.home.directory / "blob").write_bytes(content)
    pushed = json.loads(oras("blob", "push", HERE, "--descriptor", repository, "blob"))
    assert (pushed["digest"], pushed["size"]) == (sha256(content), len(content))
    reference = f"{repository}@{pushed['digest']}"
    assert oras("blob", "fetch", HERE, "--output", "-", reference).encode() == content
    oras("blob", "delete", "--force", HERE, reference)
    assert "not found" in oras.refused("blob", "fetch", HERE, "--output", "-", reference)


def test_a_push_to_a_project_that_does_not_exist_is_denied(oras: Program, registry: Place) -> None:
    (oras.home.directory / "file").write_text("content")
    assert "403" in oras.refused("push", HERE, f"{registry.host}/nowhere/artifact:v1", "file")
