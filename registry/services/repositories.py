"""Repositories: made by the first push, described, renamed and deleted with everything in them."""

from collections.abc import Iterator, Mapping

from django.db import IntegrityError, connection, transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite import generations, origin
from harborlite.errors import Denied, NotFound
from projects.immutability import rules_held
from projects.models import Project
from registry import gates
from registry.models import (
    Deletion,
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
from registry.oci import names
from registry.services import blobs, deletions
from registry.services.inserts import insert_if_absent
from registry.services.locks import tags_held
from system import events

BATCH = 2000  # rows a statement


@retried
def repository_ensure(*, project: Project, path: str) -> int:
    """The id of the repository `path` of `project`, which exists afterwards, whoever of several makers wins.

    Denied when the project is gone.
    """
    held = Repository.objects.filter(project=project, name=path).values_list("pk", flat=True)
    if found := held.first():
        return found
    try:
        with transaction.atomic(durable=True):
            made = insert_if_absent(Repository(project=project, name=path))
            if made is not None:
                _redirect_end(project, path)
                _emit("create", project, path)
    except IntegrityError:  # the project was deleted in this moment
        raise Denied() from None
    return made or held.get()


@retried
def repository_update(*, repository: Repository, description: str) -> None:
    """The repository is described so. NotFound when it is gone."""
    with transaction.atomic(durable=True):
        rows = Repository.objects.filter(pk=repository.pk)
        if not rows.update(description=description, updated_at=Now()):
            raise _gone()
        _emit("update", repository.project, repository.name, description="described")


@retried
def repository_rename(*, repository: Repository, path: str) -> Repository:
    """The repository is called `path` in its project; its old name goes on standing for it, for pulls and pushes alike.

    A name that stood for another repository, which had it before, stands for this one now. Conflict when a repository
    has the name, NameInvalid when it is none, Precondition when a tag in it is immutable, NotFound when it is gone.
    """
    project = repository.project
    names.check_name(f"{project.name}/{path}")
    with refusals(f"there is a repository {path} already"), transaction.atomic(durable=True):
        rows = Repository.objects.annotate(rules=rules_held("project_id")).select_for_update()
        held = rows.filter(pk=repository.pk).first()
        if held is None:
            raise _gone()
        held.project = project
        if held.name == path:
            return held
        gates.check_rename(held.pk, Tag.objects.filter(repository=held).values_list("name", flat=True))
        before, held.name = held.name, path
        Repository.objects.filter(pk=held.pk).update(name=path, updated_at=Now())
        _redirect_end(project, path)
        RepositoryRedirect.objects.create(project=project, name=before, repository=held)
        _emit("update", project, before, description=f"renamed to {project.name}/{path}", extra={"name": path})
        generations.bump_on_commit("repository", held.pk)
    return held


@retried
def redirect_delete(*, repository: Repository, path: str) -> None:
    """`path`, a name the repository had before, no longer stands for it: the next push makes a new repository of it.

    NotFound when it did not.
    """
    with transaction.atomic(durable=True):
        is_name = names.is_name(f"{repository.project.name}/{path}")
        if not is_name or not _redirect_end(repository.project, path, repository):
            raise NotFound("the repository did not have this name")
        _emit("update", repository.project, repository.name, description=f"no longer called {path}")


@retried
def repository_delete(*, repository: Repository) -> None:
    """The repository is gone with its artifacts, tags, uploads and former names; its bytes are left for collection.

    All but the uploads can be restored, with the history of its tags (services.restorations).
    One transaction, whatever the size, so that nobody ever sees a part of it. NotFound when it is gone already,
    Precondition when a tag in it is immutable.
    Pushes to it that are under way are waited for or fail: at their commit they find that the repository is gone.
    """
    with transaction.atomic(durable=True):
        deletion = deletions.bin_repository(repository=repository, username=origin.current().actor.username)
        artifacts, tags = _empty(repository, deletion)
        # Nobody commits anything into it from here on; what came between the two is little.
        held = Repository.objects.select_for_update().filter(pk=repository.pk).first()
        if held is None:
            raise _gone()
        late_artifacts, late_tags = _empty(repository, deletion)
        if deletion:
            deletions.bin_repository_end(deletion=deletion, repository=held)
        _delete(Repository.objects.filter(pk=repository.pk))
        counts = {"artifacts": artifacts + late_artifacts, "tags": tags + late_tags}
        _emit("delete", repository.project, repository.name, extra=counts)
        generations.bump_on_commit("repository", repository.pk)


def repository_return(*, project: Project, deletion: Deletion) -> Repository:
    """The repository from which `deletion` took something; made anew if it is gone. The caller has a transaction.

    It is the same one, whatever it is called now; or the one that has its name now; or a new one under its old id.
    """
    mine = Repository.objects.filter(project=project)
    found = mine.filter(pk=deletion.repository_id).first() or mine.filter(name=deletion.repository).first()
    if found is None:
        facts = deletion.facts
        kept = {name: facts[name] for name in ("description", "pull_count", "created_at") if name in facts}
        row = Repository(pk=deletion.repository_id, project=project, name=deletion.repository, **kept)
        Repository.objects.bulk_create([row], ignore_conflicts=True)
        found = mine.get(name=deletion.repository)
        _redirect_end(project, found.name)
        _emit("create", project, found.name)
    there = Repository.objects.filter(project=project, name__in=deletion.facts.get("names", ()))
    free = set(deletion.facts.get("names", ())) - set(there.values_list("name", flat=True))
    redirects = [RepositoryRedirect(project=project, name=name, repository=found) for name in sorted(free)]
    RepositoryRedirect.objects.bulk_create(redirects, ignore_conflicts=True)
    found.project = project
    return found


def _empty(repository: Repository, deletion: Deletion | None) -> tuple[int, int]:
    """Nothing is in the repository; returns how many artifacts and tags went. The caller has a transaction.

    They are in `deletion`, if there is one.
    Precondition when a tag is immutable.

    Rows are locked in the order in which pushes and deletes take them: uploads, blobs, manifests, tags. No statement
    deletes more than BATCH of what others refer to, so each is short, however long the whole takes.
    """
    mine = {"repository": repository.pk}
    uploads = list(Upload.objects.select_for_update().filter(**mine).order_by("pk").only("pk"))
    # A link that comes between these two is left to the second time: who makes it holds its ProjectBlob already.
    holdings = _hold(ProjectBlob.objects.filter(links__repository=repository).order_by("pk"))
    links = _hold(RepositoryBlob.objects.filter(**mine, holding__in=holdings).order_by("pk"))
    manifests = _hold(Manifest.objects.filter(**mine).order_by("pk"))
    tags = tags_held(Tag.objects.filter(**mine))
    gates.check_delete(repository.pk, [tag.name for tag in tags])
    Tombstone.objects.bulk_create(Tombstone(storage_key=upload.storage_key, not_before=Now()) for upload in uploads)
    if deletion:
        for batch in _batches(manifests):
            deletions.manifests_keep(manifest_ids=batch, deletion_ids=[deletion.pk] * len(batch))
        deletions.moves_keep(repository_id=repository.pk, deletion_id=deletion.pk, username=deletion.username)
    # What was locked and no more: something new may have come since, and is looked at the next time.
    _delete(Upload.objects.filter(pk__in=[upload.pk for upload in uploads]))
    for batch in _batches([tag.pk for tag in tags]):
        _delete(Tag.objects.filter(pk__in=batch))
    for kind in (TagMove, RepositoryRedirect):
        _delete(kind.objects.filter(**mine))
    for batch in _batches(manifests):
        _delete(ManifestLabel.objects.filter(manifest__in=batch))
        _delete(ManifestReference.objects.filter(manifest__in=batch))
    for batch in _batches(manifests):
        _delete(Manifest.objects.filter(pk__in=batch))
    for batch in _batches(links):
        blobs.links_remove(links=RepositoryBlob.objects.filter(pk__in=batch))
    return len(manifests), len(tags)


def _hold(rows: QuerySet[Model]) -> list[int]:
    """The rows are locked, in their order; returns their ids."""
    return list(rows.select_for_update(of=("self",)).values_list("pk", flat=True))


def _batches(ids: list[int]) -> Iterator[list[int]]:
    """The ids, BATCH at a time; before the next ones, foreign keys are looked at, not all of them at the commit."""
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def _delete(rows: QuerySet[Model]) -> None:
    """The rows are gone, by one statement: Django's own delete would fetch each of them to look for others."""
    rows._raw_delete("default")


def _redirect_end(project: Project, path: str, repository: Repository | None = None) -> bool:
    """`path` stands for no repository that had it before (for `repository` not, if given). In a transaction."""
    redirects = RepositoryRedirect.objects.filter(project=project, name=path)
    if repository is not None:
        redirects = redirects.filter(repository=repository)
    ended = list(redirects.select_for_update(of=("self",)))
    for redirect in ended:
        redirect.delete()
        generations.bump_on_commit("repository", redirect.repository_id)
    return bool(ended)


def _emit(
    operation: str, project: Project, path: str, *, description: str = "", extra: Mapping[str, object] | None = None
) -> None:
    name = f"{project.name}/{path}"
    events.emit(
        operation,
        "repository",
        name,
        project_id=project.pk,
        project=project.name,
        description=description,
        extra=extra,
    )


def _gone() -> NotFound:
    return NotFound("there is no such repository")
