"""A repository that tests of the collection fill by the product's own services, and the collection itself.

Time passes by moving what is written of it into the past.
"""

import json
from typing import Any

from django.db import connection

from harborlite.actors import OPERATOR
from projects.models import Project
from projects.services.projects import project_create
from registry.blobstore import blobstore
from registry.models import Blob, Manifest, Repository, RepositoryBlob, Tag, Tombstone
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.services import artifacts, blobs, manifests, repositories, tags, uploads
from registry.services.uploads import Content
from system import jobs
from tests.images import OCI_CONFIG, OCI_IMAGE, OCI_INDEX, OCI_LAYER, descriptor, dump, image_manifest, index_manifest
from tests.system.worker import ended

LONG = 10 * 24 * 3600  # seconds; longer than any lease and window

_PASS = """
    UPDATE registry_repositoryblob SET leased_until = leased_until - %(time)s;
    UPDATE registry_manifest SET pushed_at = pushed_at - %(time)s, leased_until = leased_until - %(time)s;
    UPDATE registry_tombstone SET not_before = not_before - %(time)s;
    UPDATE registry_upload SET started_at = started_at - %(time)s, progressed_at = progressed_at - %(time)s;
    UPDATE registry_deletion SET at = at - %(time)s, expires_at = expires_at - %(time)s;
"""


def pass_time(seconds: float = LONG) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_PASS.replace("%(time)s", "%(time)s * interval '1 second'"), {"time": seconds})


def collect(**parameters: object) -> dict[str, Any]:
    """What a collection, run by a worker in this process, says came of it."""
    started = jobs.start("GARBAGE_COLLECTION", parameters=parameters)
    execution = ended(started)
    assert execution.status == "Success", execution.status_message
    return dict(execution.result)


class Shelf:
    """A repository. What is pushed is named by its content."""

    def __init__(self, name: str = "shelf", path: str = "app", project: Project | None = None) -> None:
        self.project = project or project_create(name=name, owner=OPERATOR)
        repository_id = repositories.repository_ensure(project=self.project, path=path)
        self.repository = Repository.objects.select_related("project").get(pk=repository_id)

    def blob(self, content: bytes) -> str:
        upload = uploads.upload_start(repository_id=self.repository.pk, actor="pusher")
        digest = Digest.of(content)
        uploads.upload_finish(upload=upload, digest=digest, content=Content([content]))
        return str(digest)

    def image(self, *contents: bytes, tag: str | None = None, **further: object) -> str:
        """An image of these contents, the first its config, pushed with them."""
        for content in contents:
            self.blob(content)
        layers = [descriptor(content, OCI_LAYER) for content in contents[1:]]
        return self.put(image_manifest(descriptor(contents[0], OCI_CONFIG), layers, **further), OCI_IMAGE, tag)

    def index(self, *children: str, tag: str | None = None) -> str:
        return self.put(index_manifest(self.describe(child) for child in children), OCI_INDEX, tag)

    def signature(self, subject: str, content: bytes, tag: str | None = None) -> str:
        """Something that refers to `subject`, which need not be here."""
        return self.image(content, tag=tag, subject={"mediaType": OCI_IMAGE, "digest": subject, "size": 2})

    def put(self, document: object, media_type: str, tag: str | None = None) -> str:
        content = dump(document)
        digest = Digest.of(content)
        manifests.manifest_put(
            project_id=self.project.pk,
            repository_id=self.repository.pk,
            name=f"{self.project.name}/{self.repository.name}",
            content=content,
            digest=digest,
            parsed=parse(content, media_type),
            names=[tag] if tag else [],
            actor="pusher",
            actor_id=None,
        )
        return str(digest)

    def describe(self, digest: str) -> dict[str, object]:
        row = Manifest.objects.get(repository=self.repository, digest=digest)
        return descriptor(bytes(row.content), row.media_type)

    def again(self, digest: str) -> None:
        """The manifest is pushed once more."""
        row = Manifest.objects.get(repository=self.repository, digest=digest)
        self.put(json.loads(bytes(row.content)), row.media_type)

    def untag(self, name: str) -> None:
        tags.tag_delete(repository_id=self.repository.pk, name=name, actor="pusher")

    def delete(self, digest: str) -> None:
        """The manifest alone, as /v2 does it."""
        manifests.manifest_delete(
            project_id=self.project.pk,
            repository_id=self.repository.pk,
            name=f"{self.project.name}/{self.repository.name}",
            digest=Digest.parse(digest),
            actor="pusher",
        )

    def delete_artifact(self, digest: str) -> None:
        """All that goes with it, as the REST API does it."""
        artifacts.artifact_delete(repository=self.repository, digest=digest, actor="pusher")

    def mount(self, digest: str) -> bool:
        blob = Blob.objects.get(digest=digest)
        return blobs.blob_mount(repository_id=self.repository.pk, blob_id=blob.pk)

    @property
    def manifests(self) -> set[str]:
        return set(Manifest.objects.filter(repository=self.repository).values_list("digest", flat=True))

    @property
    def blobs(self) -> set[str]:
        return set(RepositoryBlob.objects.filter(repository=self.repository).values_list("blob__digest", flat=True))

    @property
    def tags(self) -> set[str]:
        return set(Tag.objects.filter(repository=self.repository).values_list("name", flat=True))


def stored_keys() -> set[str]:
    return {entry.key for entry in blobstore().keys()}  # noqa: SIM118 - not a dict


def kept_keys() -> set[str]:
    """Keys of all bytes that a row stands for."""
    return {
        *Blob.objects.values_list("storage_key", flat=True),
        *Tombstone.objects.values_list("storage_key", flat=True),
    }
