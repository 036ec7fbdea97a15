"""The content model: what a repository holds, and the life of a blob.

    Project ------- ProjectBlob -----.              what the project's quota is charged for
        |              ^              v
    Repository -- RepositoryBlob -- Blob            bytes in object storage under Blob.storage_key
        |    \\         ^
        |     Manifest -- ManifestReference         a manifest's bytes are a column; references are rows
        |         ^
        |-- Tag --'                                 TagMove: one row for every move of a tag
        '-- Upload                                  a session; Tombstone: bytes waiting for their removal

A blob's life: an Upload names the storage key before any byte is written; a finished upload becomes a Blob bound
to that key, linked to its repository and leased; a collected blob leaves a Tombstone with the key. Keys are unique
for each upload and never used again, so removing old bytes can't hit a new push of the same digest.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from projects.models import Label, Project


class Repository(models.Model):
    """A named collection of manifests and blobs inside a project; `name` is the path behind the project's name."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="repositories")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    pull_count = models.BigIntegerField(default=0)
    artifact_count = models.BigIntegerField(default=0)
    """How many of its manifests have `is_listed`; services.listed keeps both."""
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="repository_unique_name")]

    def __str__(self) -> str:
        return self.name


class RepositoryRedirect(models.Model):
    """The name a repository had before it was renamed: requests to it are answered as by the repository."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="repository_redirects")
    name = models.CharField(max_length=255)
    repository = models.ForeignKey(Repository, models.CASCADE, related_name="redirects")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="repositoryredirect_unique_name")]

    def __str__(self) -> str:
        return self.name


class Blob(models.Model):
    """Bytes known by digest, durable in object storage; visible only through a RepositoryBlob."""

    digest = models.CharField(max_length=135, unique=True)
    size = models.BigIntegerField()
    storage_key = models.CharField(max_length=32, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    checked_at = models.DateTimeField(db_default=Now())
    """When its bytes were last known to have its digest: at the push, or by a scrub."""
    quarantined_at = models.DateTimeField(null=True)
    """Since when its bytes are known to be wrong or missing: it answers as unknown until it is pushed again."""

    class Meta:
        indexes = [
            models.Index(fields=["checked_at", "id"], name="blob_checked"),
            models.Index(fields=["id"], name="blob_quarantined", condition=models.Q(quarantined_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.digest


class ProjectBlob(models.Model):
    """The blob is in some repository of the project, whose quota is charged for its `size` once.

    Whoever inserts the row charges the project, and whoever deletes it releases that, in the same transaction. The
    links' foreign key to it is the proof that what is linked is charged.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="holdings")
    size = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "blob"], name="projectblob_unique")]

    def __str__(self) -> str:
        return f"{self.project_id}:{self.blob_id}"


class RepositoryBlob(models.Model):
    """The blob may be read in this repository; until `leased_until` it is kept though nothing references it."""

    repository = models.ForeignKey(Repository, models.PROTECT, related_name="blob_links")
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="links")
    holding = models.ForeignKey(ProjectBlob, models.PROTECT, related_name="links")
    """The same blob in the repository's project."""
    leased_until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "blob"], name="repositoryblob_unique")]

    def __str__(self) -> str:
        return f"{self.repository_id}:{self.blob_id}"


class Manifest(models.Model):
    """A manifest as pushed into a repository: `content` holds its exact bytes."""

    # The unique constraint and the indexes below begin with these two, so they need no index of their own.
    repository = models.ForeignKey(Repository, models.PROTECT, related_name="manifests", db_index=False)
    digest = models.CharField(max_length=135)
    media_type = models.CharField(max_length=255)
    artifact_type = models.CharField(max_length=255, null=True)  # noqa: DJ001 - an absent type differs from an empty one
    subject_digest = models.CharField(max_length=135, null=True)  # noqa: DJ001 - most manifests have none
    annotations: "models.JSONField[Any]" = models.JSONField(default=dict)
    size = models.BigIntegerField()
    """Of `content`, in bytes."""
    content = models.BinaryField()
    project = models.ForeignKey(Project, models.PROTECT, related_name="+", db_index=False)
    """The repository's, so that a project's artifacts are one range of an index."""
    type = models.CharField(max_length=255, default="UNKNOWN")
    """Harbor's word for what it is: IMAGE, CHART, CNAB, WASM ...; else from the artifact's media type."""
    config_media_type = models.CharField(max_length=255, blank=True, default="")
    """Harbor's media_type of the artifact: its config's, of an index its own."""
    artifact_size = models.BigIntegerField(default=0)
    """Bytes of the manifest, its config and layers; of an index with those of its children."""
    extra_attrs: "models.JSONField[Any]" = models.JSONField(default=dict)
    """What its config says: architecture, os, created, author, config (Harbor's extra_attrs)."""
    accessory_of = models.CharField(max_length=135, null=True)  # noqa: DJ001 - most are no accessory
    """The digest it signs or describes: its subject, or the digest in a legacy cosign tag."""
    accessory_type = models.CharField(max_length=32, default="subject.accessory")
    """Harbor's word for what it is to its subject, if it has one: signature.cosign, signature.notation ..."""
    is_listed = models.BooleanField(default=True)
    """Whether lists of artifacts show it: not when it is an accessory, or a child of an index without a tag."""
    leased_until = models.DateTimeField(null=True)
    """Until then, and for a lease after its push, it is kept without a tag: somebody was told that it is there."""
    pulled_at = models.DateTimeField(null=True)
    pushed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    pushed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "digest"], name="manifest_unique_digest")]
        indexes = [
            models.Index(
                fields=["repository", "subject_digest", "id"],
                name="manifest_referrers",
                condition=models.Q(subject_digest__isnull=False),
            ),
            models.Index(
                fields=["repository", "accessory_of", "id"],
                name="manifest_accessories",
                condition=models.Q(accessory_of__isnull=False),
            ),
            models.Index(
                fields=["repository", "-pushed_at", "-id"],
                name="manifest_listed",
                condition=models.Q(is_listed=True),
            ),
            # With the type, so that lists of one type are counted from the index alone.
            models.Index(
                fields=["project", "is_listed", "-pushed_at", "-id"], include=["type"], name="manifest_of_project"
            ),
        ]

    def __str__(self) -> str:
        return self.digest


class ManifestLabel(models.Model):
    """A label on an artifact."""

    manifest = models.ForeignKey(Manifest, models.CASCADE, related_name="label_links")
    label = models.ForeignKey(Label, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["manifest", "label"], name="manifestlabel_unique")]

    def __str__(self) -> str:
        return f"{self.manifest_id}: {self.label_id}"


class ManifestReference(models.Model):
    """One thing a manifest is made of; a foreign layer that was not pushed has neither link nor child.

    The foreign keys are the proof that nothing referenced can be removed: PostgreSQL refuses to commit a push whose
    blob was collected meanwhile, and to collect what a push committed.
    """

    class Kind(models.TextChoices):
        CONFIG = "config"
        LAYER = "layer"
        CHILD = "child"

    manifest = models.ForeignKey(Manifest, models.CASCADE, related_name="references")
    kind = models.CharField(max_length=8, choices=Kind)
    position = models.IntegerField()
    digest = models.CharField(max_length=135)
    media_type = models.CharField(max_length=255)
    size = models.BigIntegerField()
    link = models.ForeignKey(RepositoryBlob, models.PROTECT, null=True, related_name="references")
    child = models.ForeignKey(Manifest, models.PROTECT, null=True, related_name="parents")
    shown: "models.JSONField[Any]" = models.JSONField(default=dict)
    """Of a child: platform, annotations and urls as its index tells them, each only when there."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["manifest", "position"], name="manifestreference_unique_position"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest}"


class Tag(models.Model):
    """A name for a manifest; names sort by byte (collation C), as the spec asks of lists."""

    repository = models.ForeignKey(Repository, models.PROTECT, related_name="tags")
    name = models.CharField(max_length=128, db_collation="C")
    manifest = models.ForeignKey(Manifest, models.PROTECT, related_name="tags", db_index=False)
    created_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(db_default=Now())
    pulled_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    """When it is deleted by itself; null for never."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="tag_unique_name")]
        indexes = [
            models.Index(fields=["manifest", "name"], name="tag_of_manifest"),
            models.Index(fields=["expires_at"], name="tag_expiry", condition=models.Q(expires_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name


class TagMove(models.Model):
    """History: `tag` went from one digest to another (null: was not there, or was deleted)."""

    # Both indexes begin with it, so it needs none of its own.
    repository = models.ForeignKey(Repository, models.CASCADE, null=True, related_name="tag_moves", db_index=False)
    deletion = models.ForeignKey("Deletion", models.CASCADE, null=True, related_name="tag_moves")
    """Of the repository, which is null then: the history comes back with it."""
    tag = models.CharField(max_length=128, db_collation="C")
    from_digest = models.CharField(max_length=135, null=True)  # noqa: DJ001
    to_digest = models.CharField(max_length=135, null=True)  # noqa: DJ001
    actor = models.CharField(max_length=255)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["repository", "tag", "id"], name="tagmove_history"),
            models.Index(fields=["repository", "id"], name="tagmove_of_repository"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(repository__isnull=False, deletion__isnull=True)
                | models.Q(repository__isnull=True, deletion__isnull=False),
                name="tagmove_of_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tag}: {self.from_digest} -> {self.to_digest}"


class Upload(models.Model):
    """An upload session. `parts` lists what is durable, `size` its bytes; `hash_state` continues their digest.

    The list changes by compare-and-set on `size` and `version`, so of two writers one wins and the other is told.
    """

    id = models.UUIDField(primary_key=True)
    repository = models.ForeignKey(Repository, models.CASCADE, related_name="uploads")
    actor = models.CharField(max_length=255)
    size = models.BigIntegerField(default=0)
    version = models.IntegerField(default=0)
    parts: "models.JSONField[Any]" = models.JSONField(default=list)
    algorithm = models.CharField(max_length=16, default="sha256")
    hash_state = models.BinaryField(null=True)
    is_sealed = models.BooleanField(default=False)
    """Its parts are final: it can only be finished or cancelled."""
    started_at = models.DateTimeField(db_default=Now())
    progressed_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["progressed_at"], name="upload_progress"),
            models.Index(fields=["actor"], name="upload_actor"),
        ]

    def __str__(self) -> str:
        return self.storage_key

    @property
    def storage_key(self) -> str:
        return self.id.hex


class Tombstone(models.Model):
    """Bytes that nothing names any more, committed or not; to be removed at `not_before` or later."""

    storage_key = models.CharField(max_length=32, unique=True)
    not_before = models.DateTimeField()
    size = models.BigIntegerField(null=True)
    """Of the bytes, which are one committed object; null when that is not known, and parts may be there too."""

    class Meta:
        indexes = [models.Index(fields=["not_before"], name="tombstone_due")]

    def __str__(self) -> str:
        return self.storage_key


class Deletion(models.Model):
    """Something that was deleted and can be restored until `expires_at`.

    The rows themselves are gone, and nothing that reads artifacts can meet them; here is what restoring needs. No
    foreign key leads to the project or repository, which may be deleted too and restored before.
    """

    class Kind(models.TextChoices):
        ARTIFACT = "artifact"
        REPOSITORY = "repository"

    class Reason(models.TextChoices):
        USER = "user"
        RETENTION = "retention"
        COLLECTION = "gc"

    kind = models.CharField(max_length=16, choices=Kind)
    project_id = models.BigIntegerField()
    repository_id = models.BigIntegerField()
    repository = models.CharField(max_length=255)
    """Its name at that time, without the project's."""
    digest = models.CharField(max_length=135, null=True)  # noqa: DJ001 - a repository has none
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.USER)
    username = models.CharField(max_length=255)
    tags: "models.JSONField[Any]" = models.JSONField(default=list)
    """Names of the tags that went with the artifact."""
    facts: "models.JSONField[Any]" = models.JSONField(default=dict)
    """Of a repository: description, counts, former names."""
    artifact_count = models.BigIntegerField(default=1)
    size = models.BigIntegerField(default=0)
    """Bytes of its manifests and blobs, each once."""
    at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "-id"], name="deletion_of_project"),
            models.Index(fields=["repository_id", "-id"], name="deletion_of_repository"),
            models.Index(fields=["expires_at"], name="deletion_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.repository}"


class DeletedManifest(models.Model):
    """A manifest that went with a deletion, with its tags and labels: enough to push it again."""

    deletion = models.ForeignKey(Deletion, models.CASCADE, related_name="manifests", db_index=False)
    digest = models.CharField(max_length=135)
    media_type = models.CharField(max_length=255)
    content = models.BinaryField()
    accessory_of = models.CharField(max_length=135, null=True)  # noqa: DJ001 - as of Manifest
    extra_attrs: "models.JSONField[Any]" = models.JSONField(default=dict)
    pushed_by_id = models.BigIntegerField(null=True)
    pushed_at = models.DateTimeField()
    pulled_at = models.DateTimeField(null=True)
    tags: "models.JSONField[Any]" = models.JSONField(default=list)
    """name, created_at, moved_at, pulled_at, expires_at of each."""
    labels: "models.JSONField[Any]" = models.JSONField(default=list)
    """Ids."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deletion", "digest"], name="deletedmanifest_unique")]
        indexes = [models.Index(fields=["digest"], name="deletedmanifest_digest")]

    def __str__(self) -> str:
        return self.digest


class DeletedBlob(models.Model):
    """A blob that a deletion needs to be restored: it is not collected before."""

    deletion = models.ForeignKey(Deletion, models.CASCADE, related_name="blobs", db_index=False)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="deletions")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deletion", "blob"], name="deletedblob_unique")]

    def __str__(self) -> str:
        return f"{self.deletion_id}:{self.blob_id}"
