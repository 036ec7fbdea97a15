"""The clerk with a broom: what crash tests ask a server's database and store, beside what the clerk answers.

A program like tests.clerk, for tests.crash.scene.
"""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from tests.clerk import serve, service  # isort: skip - sets Django up for what follows

from projects import quota
from projects.models import Project
from registry import gc
from registry.blobstore import blobstore
from registry.models import Blob, Deletion, Manifest, Repository, RepositoryBlob, Tag, Tombstone, Upload
from registry.oci.digest import Digest
from registry.services import repositories, uploads
from system import jobs
from system.models import Execution, Status, Task


@service
def tidy() -> None:
    """Every upload session is discarded, and the bytes that are due are removed."""
    uploads.uploads_purge(now=True)
    sweep()


@service
def sweep() -> None:
    """The bytes that are due are removed."""
    gc.sweep()
    gc.sweep_parts()


@service
def leftovers() -> list[str]:
    """What is there and stands for nothing that a client was told of: bytes, sessions, tombstones that are due."""
    stored = {entry.key for entry in blobstore().keys()}  # noqa: SIM118 - not a dict
    return sorted(
        [
            *(f"bytes {key}" for key in stored - set(Blob.objects.values_list("storage_key", flat=True))),
            *(f"parts {key}" for key in blobstore().uploads()),
            *(f"session {upload.storage_key}" for upload in Upload.objects.all()),
            *(f"tombstone {stone.storage_key}" for stone in Tombstone.objects.filter(not_before__lte=Now())),
        ]
    )


@service
def time_passes(seconds: int) -> None:
    """As if so much time had gone by: what has an end is so much nearer to it."""
    by = timedelta(seconds=seconds)
    RepositoryBlob.objects.update(leased_until=F("leased_until") - by)
    Manifest.objects.update(pushed_at=F("pushed_at") - by, leased_until=F("leased_until") - by)
    Tombstone.objects.update(not_before=F("not_before") - by)
    Upload.objects.update(started_at=F("started_at") - by, progressed_at=F("progressed_at") - by)
    Deletion.objects.update(at=F("at") - by, expires_at=F("expires_at") - by)


@service
def holdings(repository: str) -> dict[str, object]:
    """What a repository has: tags with their digests, manifests in the order of their ids, blobs; and how many bytes
    its project is charged for.
    """
    project, _, path = repository.partition("/")
    mine = {"repository__project__name": project, "repository__name": path}
    return {
        "is_there": Repository.objects.filter(project__name=project, name=path).exists(),
        "tags": dict(Tag.objects.filter(**mine).values_list("name", "manifest__digest")),
        "manifests": list(Manifest.objects.filter(**mine).order_by("pk").values_list("digest", flat=True)),
        "blobs": list(RepositoryBlob.objects.filter(**mine).values_list("blob__digest", flat=True)),
        "used": quota.of(Project.objects.get(name=project).pk).used,
    }


@service
def leases_end(repository: str) -> None:
    """Nobody was told lately what the repository holds."""
    project, _, path = repository.partition("/")
    mine = {"repository__project__name": project, "repository__name": path}
    RepositoryBlob.objects.filter(**mine).update(leased_until=Now() - timedelta(seconds=1))


@service
def collection_start(**parameters: object) -> int:
    """A garbage collection begins."""
    return jobs.start("GARBAGE_COLLECTION", parameters=parameters).pk


@service
def collection_stop(execution: int) -> None:
    jobs.stop(execution)


@service
def collection_told(execution: int) -> dict[str, object]:
    """What its rows say of it. When it waits to be tried again, it need not wait any longer."""
    Task.objects.filter(execution=execution, status=Status.PENDING).update(due_at=Now())
    task = Task.objects.get(execution=execution)
    told = Execution.objects.values("status", "result").get(pk=execution)
    return {**told, "done": task.done, "total": task.total, "attempt": task.attempt, "so_far": task.result}


@service
def garbage_fill(repository: str, count: int) -> int:
    """So many blobs of the repository that nothing references, each of other bytes; returns their size in all."""
    project, _, path = repository.partition("/")
    owner = Project.objects.get(name=project)
    repository_id = repositories.repository_ensure(project=owner, path=path)
    size = 0
    for number in range(count):
        content = f"{repository} {number}".encode()
        upload = uploads.upload_start(repository_id=repository_id, actor="janitor")
        uploads.upload_finish(upload=upload, digest=Digest.of(content), content=uploads.Content([content]))
        size += len(content)
    return size


@service
def blob_rows(digest: str) -> int:
    return Blob.objects.filter(digest=digest).count()


@service
def repository_rows(name: str) -> int:
    project, _, path = name.partition("/")
    return Repository.objects.filter(project__name=project, name=path).count()


if __name__ == "__main__":
    serve()
