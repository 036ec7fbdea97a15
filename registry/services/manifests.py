"""Manifests: put and delete."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import IntegrityError, transaction

from harborlite import generations
from harborlite.errors import ManifestBlobUnknown, ManifestInvalid, ManifestUnknown, Unsupported
from harborlite.faults import fault
from registry import queries
from registry.models import Manifest, ManifestReference, RepositoryBlob, Tag
from registry.oci.digest import Digest
from registry.oci.manifest import ParsedManifest
from registry.services import tags
from registry.services.inserts import insert_if_absent
from registry.services.locks import hold

ATTEMPTS = 3
CHILD = ManifestReference.Kind.CHILD
BATCH = 500  # rows an INSERT


class Held(NamedTuple):
    """The id of a row that stands for something a repository holds, and how many bytes that is."""

    id: int
    size: int


def manifest_put(
    *,
    repository_id: int,
    content: bytes,
    digest: Digest,
    parsed: ParsedManifest,
    names: Iterable[str],
    actor: str,
    actor_id: int | None,
) -> None:
    """The repository holds the manifest and each of `names` points at it, or nothing changed.

    ManifestBlobUnknown, with the digests, when it names blobs or manifests that the repository does not hold;
    ManifestInvalid when it gives one of them another size. A push of what is there already changes nothing.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                manifest_id = _manifest_ensure(repository_id, content, digest, parsed, actor_id)
                tags.tags_set(
                    repository_id=repository_id, manifest_id=manifest_id, digest=str(digest), names=names, actor=actor
                )
                fault("manifest.before_commit")
            break
        except IntegrityError:
            # Something it references was removed between our look and our commit: look again.
            if attempt == ATTEMPTS:
                raise
    fault("manifest.after_commit")


def manifest_delete(*, repository_id: int, digest: Digest, actor: str) -> None:
    """The manifest and all its tags are gone. ManifestUnknown when it is not there.

    Unsupported when an index of the repository lists it: the index would be left with a hole.
    """
    try:
        with transaction.atomic(durable=True):
            manifest = (
                Manifest.objects.select_for_update(of=("self",))
                .filter(repository_id=repository_id, digest=str(digest))
                .only("pk")
                .first()
            )
            if manifest is None:
                raise ManifestUnknown()
            if parent := queries.is_referenced(manifest.pk):
                raise Unsupported(f"the index {parent} lists this manifest; delete the index first")
            held = Tag.objects.select_for_update(of=("self",)).filter(manifest=manifest).order_by("name")
            tags.tags_remove(repository_id=repository_id, tags=list(held), actor=actor)
            ManifestReference.objects.filter(manifest=manifest).delete()
            Manifest.objects.filter(pk=manifest.pk).delete()
            generations.bump_on_commit("repository", repository_id)
    except IntegrityError:
        raise Unsupported("the manifest was tagged or listed by an index meanwhile; try again") from None


def _manifest_ensure(
    repository_id: int, content: bytes, digest: Digest, parsed: ParsedManifest, actor_id: int | None
) -> int:
    """The id of the manifest, which the repository holds afterwards with its references. In a transaction."""
    # Everything is held before the first tag is locked: who deletes a manifest locks it first and its tags then, and
    # against that order the two would wait for each other.
    held = Manifest.objects.filter(repository_id=repository_id, digest=str(digest)).values_list("pk")
    for (found,) in hold(held):
        return int(found)
    references = _references(repository_id, parsed)
    fault("manifest.after_lock")
    row = Manifest(
        repository_id=repository_id,
        digest=str(digest),
        media_type=parsed.media_type,
        artifact_type=parsed.artifact_type,
        subject_digest=str(parsed.subject.digest) if parsed.subject else None,
        annotations=parsed.annotations,
        size=len(content),
        content=content,
        pushed_by_id=actor_id,
    )
    # Of two pushes at once, the later waits here until the earlier has committed, and finds its row.
    while (manifest_id := insert_if_absent(row)) is None:
        for (found,) in hold(held):
            return int(found)
        # It was deleted between the two statements.
    for reference in references:
        reference.manifest_id = manifest_id
    ManifestReference.objects.bulk_create(references, batch_size=BATCH)
    return manifest_id


def _references(repository_id: int, parsed: ParsedManifest) -> list[ManifestReference]:
    """What the manifest is made of, found in the repository, complete and of the sizes it says, and held."""
    pairs = list(parsed.references())
    links = _links_of(repository_id, {str(d.digest) for kind, d in pairs if kind != CHILD})
    children = _children_of(repository_id, {str(d.digest) for kind, d in pairs if kind == CHILD})
    found = [(kind, d, (children if kind == CHILD else links).get(str(d.digest))) for kind, d in pairs]
    if missing := [str(d.digest) for _, d, held in found if held is None and not d.is_foreign]:
        raise ManifestBlobUnknown(detail=[{"digest": digest} for digest in missing])
    for _, descriptor, held in found:
        if held and held.size != descriptor.size:
            raise ManifestInvalid(
                f"the manifest gives {descriptor.digest} a size of {descriptor.size} bytes, it has {held.size}",
                detail={"digest": str(descriptor.digest), "size": held.size},
            )
    return [
        ManifestReference(
            kind=kind,
            position=position,
            digest=str(descriptor.digest),
            media_type=descriptor.media_type,
            size=descriptor.size,
            link_id=held.id if held and kind != CHILD else None,
            child_id=held.id if held and kind == CHILD else None,
        )
        for position, (kind, descriptor, held) in enumerate(found)
    ]


def _links_of(repository_id: int, digests: set[str]) -> dict[str, Held]:
    """The link of each of these blobs that the repository holds, with the blob's size. At most one query."""
    links = RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest__in=digests)
    return {digest: Held(pk, size) for digest, pk, size in hold(links.values_list("blob__digest", "pk", "blob__size"))}


def _children_of(repository_id: int, digests: set[str]) -> dict[str, Held]:
    """Each of these manifests that the repository holds. At most one query."""
    manifests = Manifest.objects.filter(repository_id=repository_id, digest__in=digests)
    return {digest: Held(pk, size) for digest, pk, size in hold(manifests.values_list("digest", "pk", "size"))}
