"""All that there is of a repository, by names and digests: what a restored one is compared by."""

from typing import Any

from projects import quota
from registry.models import (
    Manifest,
    ManifestLabel,
    ManifestReference,
    Repository,
    RepositoryBlob,
    RepositoryRedirect,
    Tag,
    TagMove,
)

_UNKEPT = {"id", "repository", "leased_until"}
_MANIFEST = [field.name for field in Manifest._meta.fields if field.name not in _UNKEPT]
_TAG = ("name", "manifest__digest", "created_at", "moved_at", "pulled_at", "expires_at")
_REFERENCE = ("kind", "position", "digest", "media_type", "size", "link__blob__digest", "child__digest", "shown")
_MOVE = ("id", "tag", "from_digest", "to_digest", "actor", "at")
_REPOSITORY = ("id", "name", "description", "pull_count", "artifact_count", "created_at")


def content(repository: Repository) -> dict[str, Any]:
    """What it holds."""
    mine = {"repository": repository.pk}
    return {
        "manifests": {
            row["digest"]: {**row, "content": bytes(row["content"])}
            for row in Manifest.objects.filter(**mine).values(*_MANIFEST)
        },
        "references": list(
            ManifestReference.objects.filter(manifest__repository=repository.pk)
            .order_by("manifest__digest", "position")
            .values("manifest__digest", *_REFERENCE)
        ),
        "tags": list(Tag.objects.filter(**mine).order_by("name").values(*_TAG)),
        "labels": set(
            ManifestLabel.objects.filter(manifest__repository=repository.pk).values_list("manifest__digest", "label")
        ),
        "blobs": set(RepositoryBlob.objects.filter(**mine).values_list("blob__digest", flat=True)),
        "used": quota.of(repository.project_id).used,
    }


def whole(repository: Repository) -> dict[str, Any]:
    """And what it is."""
    mine = {"repository": repository.pk}
    return {
        **content(repository),
        "repository": Repository.objects.values(*_REPOSITORY).get(pk=repository.pk),
        "names": set(RepositoryRedirect.objects.filter(**mine).values_list("name", flat=True)),
        "moves": list(TagMove.objects.filter(**mine).order_by("pk").values(*_MOVE)),
    }
