"""Manifests: put and delete."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Exists

from accounts.constraints import retried
from harborlite import generations
from harborlite.errors import (
    HarborliteError,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    Unsupported,
)
from harborlite.faults import fault
from projects import quota
from registry import gates, queries
from registry.models import Manifest, ManifestLabel, ManifestReference, Repository, RepositoryBlob, Tag
from registry.oci import config
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_BLOB, Descriptor, ParsedManifest
from registry.services import blobs, tags
from registry.services.inserts import insert_if_absent
from registry.services.listed import settle
from registry.services.locks import hold, tags_held
from system import events

logger = logging.getLogger(__name__)

ATTEMPTS = 3
CHILD = ManifestReference.Kind.CHILD
BATCH = 500  # rows an INSERT


class Held(NamedTuple):
    """The id of a row that stands for something a repository holds, how many bytes that is, and with its children."""

    id: int
    size: int
    artifact_size: int = 0


@retried
def manifest_put(
    *,
    project_id: int,
    repository_id: int,
    name: str,
    content: bytes,
    digest: Digest,
    parsed: ParsedManifest,
    names: Iterable[str],
    actor: str,
    actor_id: int | None,
) -> None:
    """The repository, `name` in full, holds the manifest and each of `names` points at it, or nothing changed.

    ManifestBlobUnknown, with the digests, when it names blobs or manifests that the repository does not hold;
    ManifestInvalid when it gives one of them another size; QuotaExceeded when the project holds too much;
    Precondition when a tag is immutable that points elsewhere. A push of what is there already changes nothing.
    """
    row = Manifest(
        project_id=project_id,
        repository_id=repository_id,
        digest=str(digest),
        content=content,
        size=len(content),
        pushed_by_id=actor_id,
        extra_attrs=_attributes(repository_id, digest, parsed),
    )
    names = list(names)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                is_new, children = manifest_ensure(row=row, parsed=parsed)
                moved = tags.tags_set(
                    repository_id=repository_id,
                    manifest_id=row.pk,
                    digest=str(digest),
                    names=names,
                    actor=actor,
                    check=gates.check_push,
                    touched=children,
                    change=int(is_new and row.is_listed),
                )
                if is_new or moved:
                    emit_artifact("create", project_id, name, row.digest, names)
                fault("manifest.before_commit")
            break
        except IntegrityError:
            # Something it references was removed between our look and our commit: look again.
            if not Repository.objects.filter(pk=repository_id).exists():
                raise NameUnknown() from None
            if attempt == ATTEMPTS:
                raise
    fault("manifest.after_commit")


@retried
def manifest_delete(*, project_id: int, repository_id: int, name: str, digest: Digest, actor: str) -> None:
    """The manifest and all its tags are gone, nothing else. ManifestUnknown when it is not there.

    Unsupported when an index of the repository lists it: the index would be left with a hole. Precondition when one of
    the tags is immutable.
    """
    try:
        with transaction.atomic(durable=True):
            manifest = (
                Manifest.objects.select_for_update(of=("self",))
                .filter(repository_id=repository_id, digest=str(digest))
                .only("digest")
                .first()
            )
            if manifest is None:
                raise ManifestUnknown()
            if parent := queries.is_referenced(manifest.pk):
                raise Unsupported(f"the index {parent} lists this manifest; delete the index first")
            gone = manifests_remove(repository_id=repository_id, manifest_ids=[manifest.pk], actor=actor)
            emit_artifact("delete", project_id, name, manifest.digest, gone)
    except IntegrityError:
        raise Unsupported("the manifest was tagged or listed by an index meanwhile; try again") from None


def manifests_remove(*, repository_id: int, manifest_ids: Sequence[int], actor: str) -> list[str]:
    """The manifests and all their tags are gone; returns these tags. The caller has locked the rows, in a transaction.

    Precondition when one of the tags is immutable. IntegrityError, at the latest when it commits, when an index lists
    one, or one was tagged meanwhile.
    """
    gone = tags_held(Tag.objects.filter(manifest__in=manifest_ids))
    tags.tags_remove(repository_id=repository_id, tags=gone, actor=actor)
    mine = ManifestReference.objects.filter(manifest__in=manifest_ids)
    children = [child for child in mine.values_list("child", flat=True) if child is not None]
    mine._raw_delete("default")
    rows = Manifest.objects.filter(pk__in=manifest_ids)
    change = -rows.filter(is_listed=True).count()
    ManifestLabel.objects.filter(manifest__in=manifest_ids)._raw_delete("default")
    rows._raw_delete("default")
    settle(repository_id=repository_id, manifest_ids=children, change=change)
    generations.bump_on_commit("repository", repository_id)
    return [tag.name for tag in gone]


def manifest_ensure(*, row: Manifest, parsed: ParsedManifest) -> tuple[bool, list[int]]:
    """The repository holds the manifest `row`, which gets its id, with its references. The caller has a transaction.

    Returns whether it is new, and the ids of the children it then has; the caller settles these (services.listed).
    Errors as for `manifest_put`.
    """
    # Everything is held before the first tag is locked: who deletes a manifest locks it first and its tags then, and
    # against that order the two would wait for each other.
    held = Manifest.objects.filter(repository_id=row.repository_id, digest=row.digest).values_list("pk")
    for (row.pk,) in hold(held):
        return False, []
    references = _references(row, parsed)
    quota.require(row.project_id)
    fault("manifest.after_lock")
    # Of two pushes at once, the later waits here until the earlier has committed, and finds its row.
    while (manifest_id := insert_if_absent(row)) is None:
        for (row.pk,) in hold(held):
            return False, []
        # It was deleted between the two statements.
    row.pk = manifest_id
    for reference in references:
        reference.manifest_id = manifest_id
    ManifestReference.objects.bulk_create(references, batch_size=BATCH)
    return True, [reference.child_id for reference in references if reference.child_id]


def _attributes(repository_id: int, digest: Digest, parsed: ParsedManifest) -> dict[str, Any]:
    """What the manifest's config says of it; nothing when it is no new manifest, or the config can't be read."""
    kind = config.kind_of(parsed)
    if parsed.config is None or not config.is_read(kind):
        return {}
    known = Manifest.objects.filter(repository_id=repository_id, digest=str(digest))
    found = (
        RepositoryBlob.objects.filter(~Exists(known), repository_id=repository_id)
        .filter(blob__digest=str(parsed.config.digest), blob__size__lte=config.MAX_CONFIG)
        .values_list("blob__storage_key", "blob__size")
        .first()
    )
    if found is None:
        return {}
    try:
        content = blobs.blob_read(storage_key=found[0], size=found[1])
    except (HarborliteError, OSError):
        logger.exception("the config %s can't be read; its artifact is shown without it", parsed.config.digest)
        return {}
    return config.attributes_of(kind, parsed, content)


def _describe(row: Manifest, parsed: ParsedManifest, children: Iterable[Held]) -> None:
    """The columns that follow from the manifest's bytes and its children."""
    kind = config.kind_of(parsed)
    row.media_type = parsed.media_type
    row.artifact_type = parsed.artifact_type
    row.subject_digest = str(parsed.subject.digest) if parsed.subject else None
    row.annotations = parsed.annotations
    row.type, row.config_media_type = kind.type, kind.media_type
    row.accessory_type = config.accessory_type_of(parsed)
    row.accessory_of, row.is_listed = row.subject_digest, row.subject_digest is None
    parts = [*((parsed.config,) if parsed.config else ()), *parsed.layers]
    total = row.size + sum(part.size for part in parts) + sum(child.artifact_size for child in children)
    row.artifact_size = min(total, MAX_BLOB)  # a foreign layer that was not pushed may have any size


def emit_artifact(
    operation: str, project_id: int, name: str, digest: str, tags: Sequence[str], description: str = ""
) -> None:
    """It is written down, in the caller's transaction, under Harbor's name: the first of `tags`, else the digest."""
    events.emit(
        operation,
        "artifact",
        f"{name}:{tags[0]}" if tags else f"{name}@{digest}",
        project_id=project_id,
        project=name.partition("/")[0],
        description=description,
        extra={"digest": digest, "tags": list(tags)},
    )


def _references(row: Manifest, parsed: ParsedManifest) -> list[ManifestReference]:
    """What the manifest is made of, found in the repository, complete and of the sizes it says, and held.

    `row` is described then.
    """
    pairs = list(parsed.references())
    links = _links_of(row.repository_id, {str(d.digest) for kind, d in pairs if kind != CHILD})
    children = _children_of(row.repository_id, {str(d.digest) for kind, d in pairs if kind == CHILD})
    found = [(kind, d, (children if kind == CHILD else links).get(str(d.digest))) for kind, d in pairs]
    if missing := [str(d.digest) for _, d, held in found if held is None and not d.is_foreign]:
        raise ManifestBlobUnknown(detail=[{"digest": digest} for digest in missing])
    for _, descriptor, held in found:
        if held and held.size != descriptor.size:
            raise ManifestInvalid(
                f"the manifest gives {descriptor.digest} a size of {descriptor.size} bytes, it has {held.size}",
                detail={"digest": str(descriptor.digest), "size": held.size},
            )
    _describe(row, parsed, children.values())
    return [
        ManifestReference(
            kind=kind,
            position=position,
            digest=str(descriptor.digest),
            media_type=descriptor.media_type,
            size=descriptor.size,
            link_id=held.id if held and kind != CHILD else None,
            child_id=held.id if held and kind == CHILD else None,
            shown=_shown(descriptor) if kind == CHILD else {},
        )
        for position, (kind, descriptor, held) in enumerate(found)
    ]


def _shown(child: Descriptor) -> dict[str, Any]:
    found = {"platform": child.platform, "annotations": child.annotations, "urls": list(child.urls)}
    return {name: value for name, value in found.items() if value}


def _links_of(repository_id: int, digests: set[str]) -> dict[str, Held]:
    """The link of each of these blobs that the repository holds, with the blob's size. At most one query."""
    links = RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest__in=digests)
    return {digest: Held(pk, size) for digest, pk, size in hold(links.values_list("blob__digest", "pk", "blob__size"))}


def _children_of(repository_id: int, digests: set[str]) -> dict[str, Held]:
    """Each of these manifests that the repository holds. At most one query."""
    manifests = Manifest.objects.filter(repository_id=repository_id, digest__in=digests)
    rows = hold(manifests.values_list("digest", "pk", "size", "artifact_size"))
    return {digest: Held(*sizes) for digest, *sizes in rows}
