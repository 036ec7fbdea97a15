"""What the services of repositories leave in the database, also when others are at work."""

import pytest
from django.db import connection
from django.db.models import Model

from accounts.models import User
from accounts.services import user_create
from harborlite.errors import HarborliteError, NameUnknown, NotFound
from projects.models import Label, Project
from projects.services.projects import project_create, project_delete
from registry.models import (
    Blob,
    Manifest,
    ManifestLabel,
    ManifestReference,
    ProjectBlob,
    Repository,
    RepositoryBlob,
    RepositoryRedirect,
    Tag,
    TagMove,
    Tombstone,
    Upload,
)
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.routing import resolve
from registry.services import manifests, repositories, restorations, tags, uploads
from system.models import Event
from tests.images import OCI_INDEX, dump, index_manifest
from tests.registry.filling import fill
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = (Manifest, ManifestLabel, ManifestReference, ProjectBlob, RepositoryBlob, Tag, TagMove, Upload)


@pytest.fixture
def user(transactional_db: None) -> User:
    return user_create(username="keeper", password=None)


@pytest.fixture
def project(user: User) -> Project:
    return project_create(name="kept", owner=user)


def make(project: Project, path: str = "app") -> Repository:
    made = repositories.repository_ensure(project=project, path=path)
    return Repository.objects.select_related("project").get(pk=made)


def counts() -> dict[type[Model], int]:
    """How many rows repositories have; a history that waits to be restored is no repository's."""
    moves = TagMove.objects.filter(deletion=None).count()
    return {**{kind: kind.objects.count() for kind in CONTENT}, TagMove: moves}


def events_of(resource_type: str) -> list[tuple[str, str]]:
    rows = Event.objects.filter(resource_type=resource_type).order_by("pk")
    return list(rows.values_list("operation", "resource"))


# Deleting.


def test_nothing_that_refers_to_a_repository_outlives_it(project: Project) -> None:
    repository, other = make(project), make(project, "other")
    fill(repository, 20)
    fill(other, 3)
    uploads.upload_start(repository_id=repository.pk, actor="keeper")
    label = Label.objects.create(project=project, name="good")
    ManifestLabel.objects.create(manifest=repository.manifests.all()[0], label=label)
    repositories.repository_rename(repository=repository, path="renamed")
    tables = {relation.related_model for kind in (Repository, Manifest) for relation in kind._meta.related_objects}
    assert tables <= {*CONTENT, RepositoryRedirect}, "a new table that refers to content is deleted with it, and here"
    before = counts()
    repositories.repository_delete(repository=repository)
    held = counts()
    assert all(before[kind] > held[kind] for kind in CONTENT)
    assert (held[Manifest], held[Tag], held[ManifestReference], held[RepositoryBlob]) == (3, 3, 3, 10)
    assert list(Repository.objects.all()) == [other]
    assert not RepositoryRedirect.objects.exists()
    assert Tombstone.objects.count() == 1, "the upload's bytes"
    assert Blob.objects.count() == 20, "the blobs' bytes are left for collection"


def test_a_large_repository_goes_in_short_statements(project: Project) -> None:
    repository = make(project)
    fill(repository, 10_000, blobs=2_000, layers=2)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '3s'")
    try:
        repositories.repository_delete(repository=repository)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '15s'")
    assert not any(counts().values())
    (event,) = Event.objects.filter(operation="delete", resource_type="repository")
    assert (event.extra["artifacts"], event.extra["tags"]) == (10_000, 10_000)
    project_delete(project=project)


def test_a_repository_is_never_half_deleted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make(project)
    fill(repository, 20)
    before = counts()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(repositories.events, "emit", broken)  # the last thing that is done
    with pytest.raises(RuntimeError):
        repositories.repository_delete(repository=repository)
    assert before == counts()


def test_of_two_that_delete_it_one_is_told(project: Project) -> None:
    repository = make(project)
    fill(repository, 200)
    results = together(*[lambda: repositories.repository_delete(repository=repository)] * 2)
    assert sorted(results, key=str) == sorted([None, NotFound], key=str)
    assert events_of("repository")[1:] == [("delete", "kept/app")]


def test_an_upload_into_a_deleted_repository_is_refused(project: Project) -> None:
    repository = make(project)
    repositories.repository_delete(repository=repository)
    with pytest.raises(NameUnknown):
        uploads.upload_start(repository_id=repository.pk, actor="keeper")


def test_deleting_and_tagging_at_once_leaves_all_or_nothing(project: Project) -> None:
    for number in range(8):
        repository = make(project, f"app{number}")
        fill(repository, 50)
        digest = str(repository.manifests.order_by("-pk").values_list("digest", flat=True)[0])

        def tag(repository: Repository = repository, digest: str = digest) -> None:
            for count in range(5):
                tags.tag_create(repository=repository, digest=digest, name=f"more{count}", actor="keeper")

        results = together(lambda: repositories.repository_delete(repository=repository), tag)  # noqa: B023
        assert results[0] is None
        assert results[1] is None or issubclass(results[1], HarborliteError)  # type: ignore[arg-type]
        assert not Repository.objects.filter(pk=repository.pk).exists()
    assert not any(counts().values())


def test_pushing_what_needs_nothing_into_a_deleted_repository_is_refused(project: Project) -> None:
    """Nothing that the push would hold is missing; it is the repository's own foreign key that tells."""
    repository = make(project)
    repositories.repository_delete(repository=repository)
    content = dump(index_manifest([]))
    with pytest.raises(NameUnknown):
        manifests.manifest_put(
            project_id=project.pk,
            repository_id=repository.pk,
            name="kept/app",
            content=content,
            digest=Digest.of(content),
            parsed=parse(content, OCI_INDEX),
            names=["v1"],
            actor="keeper",
            actor_id=None,
        )


# Names.


def test_making_one_is_told_once(project: Project) -> None:
    made = together(*[lambda: repositories.repository_ensure(project=project, path="app")] * 4)
    assert len(set(made)) == 1
    assert events_of("repository") == [("create", "kept/app")]


def test_what_is_done_to_a_repository_is_told(project: Project) -> None:
    repository = make(project)
    repositories.repository_update(repository=repository, description="text")
    renamed = repositories.repository_rename(repository=repository, path="new")
    repositories.redirect_delete(repository=renamed, path="app")
    repositories.repository_delete(repository=renamed)
    assert events_of("repository") == [
        ("create", "kept/app"),
        ("update", "kept/app"),
        ("update", "kept/app"),
        ("update", "kept/new"),
        ("delete", "kept/new"),
    ]
    assert "renamed to kept/new" in Event.objects.filter(resource_type="repository").order_by("pk")[2].description


def test_what_is_done_to_a_tag_is_told(project: Project) -> None:
    repository = make(project)
    fill(repository, 2)
    digest = str(repository.manifests.all()[0].digest)
    tags.tag_create(repository=repository, digest=digest, name="new", actor="keeper")
    restorations.tag_restore(repository=repository, digest=digest, name="new", actor="keeper")
    tags.tag_delete(repository_id=repository.pk, name="new", actor="keeper")
    restorations.tag_restore(repository=repository, digest=digest, name="new", actor="keeper")
    names = [("create", "kept/app:new"), ("delete", "kept/app:new"), ("restore", "kept/app:new")]
    assert events_of("tag") == names


def test_two_renames_to_one_name_are_one(project: Project) -> None:
    one, two = make(project, "one"), make(project, "two")
    results = together(
        lambda: repositories.repository_rename(repository=one, path="new"),
        lambda: repositories.repository_rename(repository=two, path="new"),
    )
    assert sorted(isinstance(result, Repository) for result in results) == [False, True]
    assert Repository.objects.filter(name="new").count() == 1
    assert RepositoryRedirect.objects.count() == 1


def test_a_name_stands_for_one_repository(project: Project) -> None:
    """Whatever happens at once: a name that a repository has is no redirect."""
    for number in range(5):
        repository = make(project, f"old{number}")
        results = together(
            lambda: repositories.repository_rename(repository=repository, path=f"new{number}"),  # noqa: B023
            lambda: repositories.repository_ensure(project=project, path=f"old{number}"),  # noqa: B023
        )
        assert isinstance(results[0], Repository)
    held = set(Repository.objects.values_list("name", flat=True))
    assert not held & set(RepositoryRedirect.objects.values_list("name", flat=True))


def test_an_old_name_is_found_with_the_new_path(project: Project) -> None:
    repository = make(project)
    repositories.repository_rename(repository=repository, path="deep/new")
    target = resolve("kept/app")
    assert (target.repository_id, target.path, target.new_name) == (repository.pk, "deep/new", "kept/deep/new")
    assert resolve("kept/deep/new").new_name is None
    assert (resolve("kept/other").repository_id, resolve("kept/other").new_name) == (None, None)
