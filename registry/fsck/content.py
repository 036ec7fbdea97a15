"""Manifests, what they name, tags and their history, what lists show, and what can be restored."""

from collections.abc import Iterator
from functools import partial

from django.db import connection
from django.db.models import F, Q

from harborlite.errors import HarborliteError
from registry.fsck.violations import Violation
from registry.models import DeletedManifest, Deletion, Manifest, ManifestReference, Tag
from registry.oci import manifest as oci_manifest
from registry.oci.digest import Digest
from registry.oci.manifest import ParsedManifest
from registry.services import listed, repairs

BATCH = 200  # manifests, each of which may be 4 MiB

# In one statement, which sees a tag and its move or neither.
_HISTORY = """
    SELECT repository.id, tag.name, project.name || '/' || repository.name, manifest.digest, move.to_digest
    FROM registry_tag AS tag
    JOIN registry_repository AS repository ON repository.id = tag.repository_id
    JOIN projects_project AS project ON project.id = repository.project_id
    JOIN registry_manifest AS manifest ON manifest.id = tag.manifest_id
    LEFT JOIN LATERAL (
        SELECT to_digest FROM registry_tagmove
        WHERE repository_id = tag.repository_id AND tag = tag.name ORDER BY id DESC LIMIT 1
    ) AS move ON true
    WHERE move.to_digest IS DISTINCT FROM manifest.digest
    UNION ALL
    SELECT repository.id, move.tag, project.name || '/' || repository.name, NULL, move.to_digest
    FROM (
        SELECT DISTINCT ON (repository_id, tag) repository_id, tag, to_digest
        FROM registry_tagmove ORDER BY repository_id, tag, id DESC
    ) AS move
    JOIN registry_repository AS repository ON repository.id = move.repository_id
    JOIN projects_project AS project ON project.id = repository.project_id
    WHERE move.to_digest IS NOT NULL AND NOT EXISTS (
        SELECT FROM registry_tag WHERE repository_id = move.repository_id AND name = move.tag
    )
"""


def manifests() -> Iterator[Violation]:
    for manifest in Manifest.objects.order_by("pk").prefetch_related("references").iterator(BATCH):
        if list(_manifest(manifest)):
            # Its references were read after itself, and it may have been deleted in between.
            again = Manifest.objects.prefetch_related("references").filter(pk=manifest.pk).first()
            yield from _manifest(again) if again is not None else ()


def _manifest(manifest: Manifest) -> Iterator[Violation]:
    parsed, problem = _parsed(manifest.digest, bytes(manifest.content), manifest.media_type)
    if parsed is None:
        yield Violation("content", manifest.digest, problem)
        return
    mend = partial(repairs.references_mend, manifest_id=manifest.pk)
    named = {(kind, str(descriptor.digest)) for kind, descriptor in parsed.references()}
    held = {(reference.kind, reference.digest) for reference in manifest.references.all()}
    for kind, missing in sorted(named - held):
        yield Violation("content", manifest.digest, f"its {kind} {missing} has no reference", mend)
    for kind, extra in sorted(held - named):
        yield Violation("content", manifest.digest, f"a reference names the {kind} {extra}, its bytes do not", mend)


def _parsed(digest: str, content: bytes, media_type: str) -> tuple[ParsedManifest | None, str]:
    """What the bytes say; or None, and what is wrong with them."""
    wanted = Digest.parse(digest)
    if Digest.of(content, wanted.algorithm) != wanted:
        return None, "its bytes have another digest"
    try:
        return oci_manifest.parse(content, media_type), ""
    except HarborliteError as error:
        return None, f"its bytes are no manifest: {error}"


def tenancy() -> Iterator[Violation]:
    for tag in Tag.objects.exclude(repository=F("manifest__repository")).order_by("pk"):
        mend = partial(repairs.tag_mend, tag_id=tag.pk)
        yield Violation("tenancy", f"tag {tag.name}", f"points out of repository {tag.repository_id}", mend)
    strangers = Q(link__isnull=False) & ~Q(link__repository=F("manifest__repository"))
    strangers |= Q(child__isnull=False) & ~Q(child__repository=F("manifest__repository"))
    wrong = Q(link__isnull=False) & ~Q(link__blob__digest=F("digest"))
    wrong |= Q(child__isnull=False) & ~Q(child__digest=F("digest"))
    for kind, which, problem in (
        ("tenancy", strangers, "is held by another repository"),
        ("content", wrong, "points at something else"),
    ):
        for reference in ManifestReference.objects.filter(which).order_by("pk"):
            mend = partial(repairs.references_mend, manifest_id=reference.manifest_id)
            yield Violation(kind, f"{reference.kind} {reference.digest}", problem, mend)


def history() -> Iterator[Violation]:
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY)
        rows = cursor.fetchall()
    for repository_id, tag, name, there, told in rows:
        problem = f"it points at {there or 'nothing'}, its last move went to {told or 'nothing'}"
        mend = partial(repairs.history_mend, repository_id=repository_id, name=tag)
        yield Violation("history", f"{name}:{tag}", problem, mend)


def lists() -> Iterator[Violation]:
    for repository_id, subject, problem in listed.unsettled():
        yield Violation("list", subject, problem, partial(repairs.lists_mend, repository_id=repository_id))


def deletions() -> Iterator[Violation]:
    for row in DeletedManifest.objects.select_related("deletion").order_by("pk").iterator(BATCH):
        parsed, problem = _parsed(row.digest, bytes(row.content), row.media_type)
        if parsed is not None:
            named = {str(d.digest) for kind, d in parsed.references() if kind != "child" and not d.is_foreign}
            held = set(row.deletion.blobs.filter(blob__digest__in=named).values_list("blob__digest", flat=True))
            problem = f"it does not hold {', '.join(sorted(named - held))}" if named - held else ""
        # It may have been restored or have expired meanwhile.
        if problem and Deletion.objects.filter(pk=row.deletion_id).exists():
            yield Violation("deletion", f"{row.deletion.repository}@{row.digest}", problem)
