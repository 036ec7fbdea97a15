"""Counting pulls, many at a time."""

from datetime import UTC, datetime

import pytest

from accounts.services import user_create
from harborlite.actors import ANONYMOUS
from projects.services.projects import project_create
from registry.models import Manifest, Repository, Tag
from registry.services.pulls import pulls_count
from registry.services.repositories import repository_ensure
from system.events import Artifact, Pull
from tests.registry.filling import fill


@pytest.fixture
def repositories(transactional_db: None) -> list[Repository]:
    """Two of three artifacts each, tagged v0 to v2."""
    project = project_create(name="pulled", owner=user_create(username="owner", password="Correct-Horse-7"))
    found = [Repository.objects.get(pk=repository_ensure(project=project, path=path)) for path in ("a", "b")]
    for repository in found:
        fill(repository, 3)
    return found


def pull_of(repository: Repository, number: int, at: float, *, by_digest: bool = False) -> Pull:
    manifest = Manifest.objects.filter(repository=repository).order_by("pk")[number]
    reference = manifest.digest if by_digest else f"v{number}"
    artifact = Artifact(
        repository.project_id, repository.pk, manifest.pk, f"pulled/{repository.name}", reference, manifest.digest
    )
    return Pull(at, artifact, ANONYMOUS, "127.0.0.1", "")


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def test_each_pull_counts_and_the_last_one_is_dated(repositories: list[Repository]) -> None:
    one, other = repositories
    pulls_count([
        pull_of(one, 0, 1000.0),
        pull_of(one, 0, 2000.0, by_digest=True),
        pull_of(one, 1, 1500.0),
        pull_of(other, 0, 1700.0),
    ])  # fmt: skip
    counts = dict(Repository.objects.values_list("name", "pull_count"))
    assert counts == {"a": 3, "b": 1}
    assert list(Manifest.objects.filter(repository=one).order_by("pk").values_list("pulled_at", flat=True)) == [
        moment(2000.0), moment(1500.0), None,
    ]  # fmt: skip
    tags = {(tag.repository_id, tag.name): tag.pulled_at for tag in Tag.objects.exclude(pulled_at=None)}
    assert tags == {
        (one.pk, "v0"): moment(1000.0),
        (one.pk, "v1"): moment(1500.0),
        (other.pk, "v0"): moment(1700.0),
    }


def test_what_comes_late_does_not_turn_time_back(repositories: list[Repository]) -> None:
    one, _ = repositories
    pulls_count([pull_of(one, 0, 2000.0)])
    pulls_count([pull_of(one, 0, 1000.0)])
    assert Manifest.objects.filter(repository=one).order_by("pk")[0].pulled_at == moment(2000.0)
    assert Tag.objects.get(repository=one, name="v0").pulled_at == moment(2000.0)
    assert Repository.objects.get(pk=one.pk).pull_count == 2


def test_what_is_gone_is_passed_over(repositories: list[Repository]) -> None:
    one, _ = repositories
    pull = pull_of(one, 0, 1000.0)
    Tag.objects.filter(repository=one, name="v0").delete()
    gone = pull._replace(artifact=Artifact(1, 10**9, 10**9, "x/y", "v0", pull.artifact.digest))
    pulls_count([gone, pull])
    assert Repository.objects.get(pk=one.pk).pull_count == 1
