"""Reads of the content model. Everything starts from a repository: a digest alone finds nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

from django.conf import settings
from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from projects.models import Project
from registry.models import Manifest, ManifestReference, Repository, RepositoryBlob, Tag
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob of a repository: its bytes are `size` long, under `storage_key`."""

    link_id: int
    blob_id: int
    digest: str
    size: int
    storage_key: str
    is_lease_short: bool
    """Less than half of its lease is left."""


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest's exact bytes and what is said of them in headers."""

    manifest_id: int
    digest: str
    media_type: str
    content: bytes


def blob_find(repository_id: int | None, digest: Digest) -> FoundBlob | None:
    """The blob, if the repository holds it. One query."""
    if repository_id is None:
        return None
    return _found_blob(RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest=str(digest)))


def blob_find_anywhere(projects: QuerySet[Project], digest: Digest) -> FoundBlob | None:
    """The blob, if some repository of `projects` holds it: for mounts that name no source."""
    return _found_blob(
        RepositoryBlob.objects.filter(repository__project__in=projects, blob__digest=str(digest)).order_by("pk")
    )


def _found_blob(links: QuerySet[RepositoryBlob]) -> FoundBlob | None:
    half = Now() + timedelta(seconds=settings.LEASE_SECONDS / 2)
    short = ExpressionWrapper(Q(leased_until__lt=half), output_field=BooleanField())
    row = links.values_list("pk", "blob_id", "blob__digest", "blob__size", "blob__storage_key", short).first()
    return FoundBlob(*row) if row else None


def manifest_resolve(repository_id: int | None, reference: str | Digest) -> FoundManifest | None:
    """The manifest that a tag or a digest stands for now. One query."""
    if repository_id is None:
        return None
    manifests = Manifest.objects.filter(repository_id=repository_id)
    if isinstance(reference, Digest):
        manifests = manifests.filter(digest=str(reference))
    else:
        manifests = manifests.filter(tags__name=reference, tags__repository_id=repository_id)
    row = manifests.values_list("pk", "digest", "media_type", "content").first()
    return FoundManifest(row[0], row[1], row[2], bytes(row[3])) if row else None


def tags_page(repository_id: int, *, after: str, limit: int) -> tuple[list[str], bool]:
    """Up to `limit` tag names behind `after` in byte order, and whether there are more."""
    names = (
        Tag.objects.filter(repository_id=repository_id, name__gt=after).order_by("name").values_list("name", flat=True)
    )
    page = list(names[: limit + 1])
    return page[:limit], len(page) > limit


def catalog_page(projects: QuerySet[Project], *, after: str, limit: int) -> tuple[list[str], bool]:
    """Up to `limit` full names of repositories of `projects` that hold something, and whether there are more.

    In byte order of project, then of path.
    """
    held = Manifest.objects.filter(repository=OuterRef("pk"))
    rows = (
        Repository.objects.filter(project__in=projects)
        .filter(Exists(held))
        .annotate(of=F("project__name"))
        .order_by("of", "name")
        .values_list("of", "name")
    )
    if after:
        project, _, path = after.partition("/")
        rows = rows.filter(Q(of__gt=project) | Q(of=project, name__gt=path))
    page = [f"{project}/{path}" for project, path in rows[: limit + 1]]
    return page[:limit], len(page) > limit


def referrers_page(
    repository_id: int, subject: Digest, *, artifact_type: str | None, after: int, limit: int, max_bytes: int
) -> tuple[Sequence[Manifest], bool]:
    """Manifests whose subject is `subject`, with ids above `after`, oldest first, and whether there are more.

    Up to `limit` of them, and when there are several, of together up to `max_bytes`: their sizes are read first, for
    their annotations may be as large as they are. Without content.
    """
    rows = Manifest.objects.filter(repository_id=repository_id, subject_digest=str(subject), pk__gt=after)
    if artifact_type is not None:
        rows = rows.filter(artifact_type=artifact_type)
    sizes = list(rows.order_by("pk").values_list("pk", "size")[: limit + 1])
    totals = accumulate(size for _, size in sizes)
    fitting = [pk for (pk, _), total in zip(sizes[:limit], totals, strict=False) if total <= max_bytes]
    chosen = fitting or [pk for pk, _ in sizes[:1]]
    page = Manifest.objects.filter(pk__in=chosen).defer("content").order_by("pk") if chosen else ()
    return list(page), len(chosen) < len(sizes)


def is_referenced(manifest_id: int) -> str | None:
    """The digest of an index that lists the manifest, if there is one."""
    parents = ManifestReference.objects.filter(child_id=manifest_id)
    return parents.values_list("manifest__digest", flat=True).first()
