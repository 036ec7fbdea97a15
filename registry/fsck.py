"""Whether database and object storage agree: the invariants that data can show. Reads only.

blob      each blob's bytes are stored, in full length; with `deep`, they have its digest
content   each manifest's bytes have its digest and its references are those its bytes name
tenancy   tags, links and children stay inside their repository
list      each manifest is in lists of artifacts or not as its tags and indexes say, and repositories count them right
quota     each project is charged for the blobs that its repositories link, each once
upload    what an upload session says it has is stored
stray     each stored object is named by a blob, an upload or a tombstone
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from harborlite.errors import HarborliteError
from projects import quota as projects_quota
from projects.models import Project
from registry.blobstore import NotThere, blobstore
from registry.models import (
    Blob,
    Manifest,
    ManifestReference,
    ProjectBlob,
    RepositoryBlob,
    Tag,
    Tombstone,
    Upload,
)
from registry.oci import manifest as oci_manifest
from registry.oci.digest import Digest
from registry.services import listed
from registry.services.blobs import blob_digest

BATCH = 1000  # rows or keys


@dataclass(frozen=True)
class Violation:
    """One thing that is not as it must be: of which kind, about what, and how it is."""

    kind: str
    subject: str
    problem: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.problem}"


def check(*, deep: bool = False) -> Iterator[Violation]:
    """Every violation found. With `deep`, all bytes are read and hashed."""
    yield from _blobs(deep=deep)
    yield from _manifests()
    yield from _tenancy()
    yield from (Violation("list", subject, problem) for subject, problem in listed.unsettled())
    yield from _quotas()
    yield from _uploads()
    yield from _strays()


def _blobs(*, deep: bool) -> Iterator[Violation]:
    for blob in Blob.objects.order_by("pk").iterator(BATCH):
        size = blobstore().size(blob.storage_key)
        if size is None:
            yield Violation("blob", blob.digest, "its bytes are not stored; push it again to repair it")
        elif size != blob.size:
            yield Violation("blob", blob.digest, f"{size} bytes are stored, it has {blob.size}")
        elif deep and (found := _digest_of(blob)) != blob.digest:
            yield Violation("blob", blob.digest, f"the stored bytes have the digest {found}")


def _digest_of(blob: Blob) -> str:
    algorithm = Digest.parse(blob.digest).algorithm
    try:
        return str(blob_digest(storage_key=blob.storage_key, algorithm=algorithm))
    except NotThere:
        return "none: they went away meanwhile"


def _manifests() -> Iterator[Violation]:
    for manifest in Manifest.objects.order_by("pk").prefetch_related("references").iterator(BATCH):
        content = bytes(manifest.content)
        digest = Digest.parse(manifest.digest)
        if Digest.of(content, digest.algorithm) != digest:
            yield Violation("content", manifest.digest, "its bytes have another digest")
            continue
        try:
            parsed = oci_manifest.parse(content, manifest.media_type)
        except HarborliteError as error:
            yield Violation("content", manifest.digest, f"its bytes are no manifest: {error}")
            continue
        named = {(kind, str(descriptor.digest)) for kind, descriptor in parsed.references()}
        held = {(reference.kind, reference.digest) for reference in manifest.references.all()}
        for kind, missing in sorted(named - held):
            yield Violation("content", manifest.digest, f"its {kind} {missing} has no reference")
        for kind, extra in sorted(held - named):
            yield Violation("content", manifest.digest, f"a reference names the {kind} {extra}, its bytes do not")


def _tenancy() -> Iterator[Violation]:
    for tag in Tag.objects.exclude(repository=F("manifest__repository")):
        yield Violation("tenancy", f"tag {tag.name}", f"points out of repository {tag.repository_id}")
    strangers = Q(link__isnull=False) & ~Q(link__repository=F("manifest__repository"))
    strangers |= Q(child__isnull=False) & ~Q(child__repository=F("manifest__repository"))
    for reference in ManifestReference.objects.filter(strangers):
        yield Violation("tenancy", f"{reference.kind} {reference.digest}", "is held by another repository")
    wrong = Q(link__isnull=False) & ~Q(link__blob__digest=F("digest"))
    wrong |= Q(child__isnull=False) & ~Q(child__digest=F("digest"))
    for reference in ManifestReference.objects.filter(wrong):
        yield Violation("content", f"{reference.kind} {reference.digest}", "points at something else")


def _quotas() -> Iterator[Violation]:
    elsewhere = ~Q(holding__project=F("repository__project")) | ~Q(holding__blob=F("blob"))
    for link in RepositoryBlob.objects.filter(elsewhere).select_related("blob"):
        yield Violation("quota", link.blob.digest, f"repository {link.repository_id} has something else charged for it")
    holdings = ProjectBlob.objects.order_by("pk").select_related("project", "blob")
    for holding in holdings.exclude(size=F("blob__size")):
        yield Violation("quota", holding.blob.digest, f"{holding.project} is charged {holding.size} bytes for it")
    for holding in holdings.filter(links=None):
        yield Violation("quota", holding.blob.digest, f"{holding.project} is charged for it and does not link it")
    # One statement, so that pushes that are under way don't come between what is charged and what is held.
    held = (
        ProjectBlob.objects.filter(project=OuterRef("project")).order_by().values("project").annotate(sum=Sum("size"))
    )
    quotas: QuerySet[Any] = projects_quota.quotas_list()
    for quota in quotas.annotate(held=Coalesce(Subquery(held.values("sum")), 0)).exclude(used=F("held")):
        yield Violation("quota", quota.project.name, f"it is charged {quota.used} bytes and holds {quota.held}")
    for name in Project.objects.filter(quota=None).values_list("name", flat=True):
        yield Violation("quota", name, "it has none")


def _uploads() -> Iterator[Violation]:
    for upload in Upload.objects.order_by("pk").iterator(BATCH):
        total = sum(part[1] for part in upload.parts)
        if total != upload.size:
            yield Violation("upload", upload.storage_key, f"its parts hold {total} bytes, it says {upload.size}")


def _strays() -> Iterator[Violation]:
    for keys in _batches(key for key, _size, _modified in blobstore().keys()):  # noqa: SIM118 - not a dict
        blobs = Blob.objects.filter(storage_key__in=keys).values_list("storage_key", flat=True)
        for key in sorted(keys - _waiting(keys) - set(blobs)):
            yield Violation("stray", key, "no blob, upload or tombstone names these bytes")
    for keys in _batches(blobstore().uploads()):
        for key in sorted(keys - _waiting(keys)):
            yield Violation("stray", key, "no upload or tombstone names these parts")


def _batches(keys: Iterable[str]) -> Iterator[set[str]]:
    rest = iter(keys)
    while batch := set(islice(rest, BATCH)):
        yield batch


def _waiting(keys: set[str]) -> set[str]:
    """Those of `keys` that are to be finished or to be removed."""
    named = set(Tombstone.objects.filter(storage_key__in=keys).values_list("storage_key", flat=True))
    return named | {pk.hex for pk in Upload.objects.filter(pk__in=keys).values_list("pk", flat=True)}
