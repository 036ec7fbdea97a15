"""Manifests: put and delete."""

import logging
from collections.abc import Iterable, Mapping, Sequence
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
from registry.oci import manifest as oci_manifest
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_BLOB, Descriptor, ParsedManifest
from registry.services import blobs, deletions, tags
from registry.services.inserts import insert_if_absent
from registry.services.listed import settle
from registry.services.locks import hold, tags_held
from system import events

logger = logging.getLogger(__name__)

ATTEMPTS = 3
CHILD = ManifestReference.Kind.CHILD
BATCH = 500  # rows an INSERT


_DESCRIBED = ("media_type", "artifact_type", "subject_digest", "annotations", "type", "config_media_type",
              "accessory_type", "artifact_size")  # fmt: skip
"""What `_describe` sets, but for the columns that services.listed keeps."""


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
                is_new, children = manifest_ensure(row=row, parsed=parsed, is_pushed=True)
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


def manifests_remove(
    *,
    repository_id: int,
    manifest_ids: Sequence[int],
    actor: str,
    reason: str = deletions.Reason.USER,
    families: Sequence[Sequence[int]] = (),
) -> list[str]:
    """The manifests and all their tags are gone; returns these tags. The caller has locked the rows, in a transaction.

    They can be restored, those of each of `families` by themselves (services.deletions).
    Precondition when one of the tags is immutable. IntegrityError, at the latest when it commits, when an index lists
    one, or one was tagged meanwhile.
    """
    gone = tags_held(Tag.objects.filter(manifest__in=manifest_ids))
    deletions.bin_manifests(
        repository_id=repository_id, manifest_ids=manifest_ids, reason=reason, username=actor, families=families
    )
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


def manifest_ensure(*, row: Manifest, parsed: ParsedManifest, is_pushed: bool = False) -> tuple[bool, list[int]]:
    """The repository holds the manifest `row`, which gets its id, with its references. The caller has a transaction.

    To a client who pushed it, a quarantined blob is missing, so that the client pushes that again.
    Returns whether it is new, and the ids of the children it then has; the caller settles these (services.listed).
    Errors as for `manifest_put`.
    """
    # Everything is held before the first tag is locked: who deletes a manifest locks it first and its tags then, and
    # against that order the two would wait for each other.
    held = Manifest.objects.filter(repository_id=row.repository_id, digest=row.digest)
    for row.pk, is_lease_short in hold(held.values_list("pk", queries.manifest_lease_is_short())):
        if is_lease_short:
            held.update(leased_until=blobs.lease_end())
        return False, []
    references = _references(row, parsed, is_pushed=is_pushed)
    quota.require(row.project_id)
    fault("manifest.after_lock")
    # Of two pushes at once, the later waits here until the earlier has committed, and finds its row.
    while (manifest_id := insert_if_absent(row)) is None:
        for (row.pk,) in hold(held.values_list("pk")):
            return False, []
        # It was deleted between the two statements.
    row.pk = manifest_id
    for reference in references:
        reference.manifest_id = manifest_id
    ManifestReference.objects.bulk_create(references, batch_size=BATCH)
    return True, [reference.child_id for reference in references if reference.child_id]


def manifests_ensure(*, rows: Sequence[tuple[Manifest, ParsedManifest]]) -> tuple[list[Manifest], list[int]]:
    """As `manifest_ensure`, for manifests of one repository of which none lists another, by few statements.

    Returns those that are new, and the ids of the children they then have. IntegrityError when one of them was pushed
    in this moment; no lease is renewed of those that are there.
    """
    repository_id = rows[0][0].repository_id
    there = Manifest.objects.filter(repository_id=repository_id, digest__in=[row.digest for row, _ in rows])
    held = {digest for _, digest in hold(there.values_list("pk", "digest"))}
    new = [(row, parsed) for row, parsed in rows if row.digest not in held]
    blob_digests, child_digests = _named(parsed for _, parsed in new)
    links = _links_of(repository_id, blob_digests, is_pushed=False)
    children = _children_of(repository_id, child_digests)
    references = [(row, _made_of(row, parsed, links, children)) for row, parsed in new]
    made = Manifest.objects.bulk_create([row for row, _ in new])
    for row, mine in references:
        for reference in mine:
            reference.manifest_id = row.pk
    every = [reference for _, mine in references for reference in mine]
    ManifestReference.objects.bulk_create(every, batch_size=BATCH)
    return made, [reference.child_id for reference in every if reference.child_id]


def manifest_lease_renew(*, found: queries.FoundManifest) -> None:
    """At least half a lease is left: to be called before an answer after which a client counts on the manifest.

    As for blobs, see `blobs.lease_renew`. ManifestUnknown when it was deleted in this moment.
    """
    rows = Manifest.objects.filter(pk=found.manifest_id)
    if found.is_lease_short and not rows.update(leased_until=blobs.lease_end()):
        raise ManifestUnknown(detail={"reference": found.digest})


def references_remake(*, manifest_id: int) -> bool:
    """The manifest's references, and what follows from its bytes, are as a push would make them.

    False when it is gone. ManifestBlobUnknown when its repository lacks something it names, ManifestInvalid when its
    bytes are none. The caller has a transaction.
    """
    row = Manifest.objects.select_for_update(of=("self",)).filter(pk=manifest_id).first()
    if row is None:
        return False
    parsed = oci_manifest.parse(bytes(row.content), row.media_type)
    references = _references(row, parsed, is_pushed=False)
    mine = ManifestReference.objects.filter(manifest=row)
    children = [child for child in mine.values_list("child", flat=True) if child is not None]
    mine._raw_delete("default")
    for reference in references:
        reference.manifest_id = row.pk
    ManifestReference.objects.bulk_create(references, batch_size=BATCH)
    row.save(update_fields=_DESCRIBED)
    children += [reference.child_id for reference in references if reference.child_id]
    settle(repository_id=row.repository_id, manifest_ids=[*children, row.pk])
    return True


def _attributes(repository_id: int, digest: Digest, parsed: ParsedManifest) -> dict[str, Any]:
    """What the manifest's config says of it; nothing when it is no new manifest, or the config can't be read."""
    kind = config.kind_of(parsed)
    if parsed.config is None or not config.is_read(kind):
        return {}
    known = Manifest.objects.filter(repository_id=repository_id, digest=str(digest))
    found = (
        RepositoryBlob.objects.filter(~Exists(known), repository_id=repository_id, blob__quarantined_at=None)
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


def _references(row: Manifest, parsed: ParsedManifest, *, is_pushed: bool) -> list[ManifestReference]:
    """What the manifest is made of, found in the repository, complete and of the sizes it says, and held.

    `row` is described then.
    """
    blob_digests, child_digests = _named([parsed])
    links = _links_of(row.repository_id, blob_digests, is_pushed)
    return _made_of(row, parsed, links, _children_of(row.repository_id, child_digests))


def _named(manifests: Iterable[ParsedManifest]) -> tuple[set[str], set[str]]:
    """Digests of the blobs and of the children that they name."""
    pairs = [(kind, str(descriptor.digest)) for parsed in manifests for kind, descriptor in parsed.references()]
    return {digest for kind, digest in pairs if kind != CHILD}, {digest for kind, digest in pairs if kind == CHILD}


def _made_of(
    row: Manifest, parsed: ParsedManifest, links: Mapping[str, Held], children: Mapping[str, Held]
) -> list[ManifestReference]:
    """The references of `row` among what is held by digest; `row` is described then."""
    pairs = list(parsed.references())
    found = [(kind, d, (children if kind == CHILD else links).get(str(d.digest))) for kind, d in pairs]
    if missing := [str(d.digest) for _, d, held in found if held is None and not d.is_foreign]:
        raise ManifestBlobUnknown(detail=[{"digest": digest} for digest in missing])
    for _, descriptor, held in found:
        if held and held.size != descriptor.size:
            raise ManifestInvalid(
                f"the manifest gives {descriptor.digest} a size of {descriptor.size} bytes, it has {held.size}",
                detail={"digest": str(descriptor.digest), "size": held.size},
            )
    _describe(row, parsed, {held.id: held for kind, _, held in found if held and kind == CHILD}.values())
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


def _links_of(repository_id: int, digests: set[str], is_pushed: bool) -> dict[str, Held]:
    """The link of each of these blobs that the repository holds, with the blob's size. At most one query."""
    links = RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest__in=digests)
    if is_pushed:
        links = links.filter(blob__quarantined_at=None)
    return {digest: Held(pk, size) for digest, pk, size in hold(links.values_list("blob__digest", "pk", "blob__size"))}


def _children_of(repository_id: int, digests: set[str]) -> dict[str, Held]:
    """Each of these manifests that the repository holds. At most one query."""
    manifests = Manifest.objects.filter(repository_id=repository_id, digest__in=digests)
    rows = hold(manifests.values_list("digest", "pk", "size", "artifact_size"))
    return {digest: Held(*sizes) for digest, *sizes in rows}
