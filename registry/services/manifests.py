"""Manifests: put and delete."""

from collections.abc import Iterable

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from harborlite import generations
from harborlite.errors import ManifestBlobUnknown, ManifestInvalid, ManifestUnknown, Unsupported
from harborlite.faults import fault
from registry import queries
from registry.models import Manifest, ManifestReference, Tag
from registry.oci.digest import Digest
from registry.oci.manifest import ParsedManifest
from registry.services import tags
from registry.services.inserts import insert_if_absent

ATTEMPTS = 3
CHILD = ManifestReference.Kind.CHILD
BATCH = 500  # rows an INSERT


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
    held = Manifest.objects.filter(repository_id=repository_id, digest=str(digest))
    if found := _hold(held):
        return found[0]
    references = _references(repository_id, parsed)
    if children := [reference.child_id for reference in references if reference.child_id]:
        _hold(Manifest.objects.filter(pk__in=children))
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
        if found := _hold(held):
            return found[0]
        # It was deleted between the two statements.
    for reference in references:
        reference.manifest_id = manifest_id
    ManifestReference.objects.bulk_create(references, batch_size=BATCH)
    return manifest_id


def _hold(manifests: QuerySet[Manifest]) -> list[int]:
    """The ids of these manifests; none of them is deleted before the caller's transaction ends.

    It is the lock that a foreign key to them takes at the commit (FOR KEY SHARE, which Django has no word for), taken
    before any tag is locked: who deletes a manifest locks it first and its tags then, and against that order the two
    would wait for each other.
    """
    statement, values = manifests.order_by("pk").values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} FOR KEY SHARE", values)
        return [pk for (pk,) in cursor.fetchall()]


def _references(repository_id: int, parsed: ParsedManifest) -> list[ManifestReference]:
    """What the manifest is made of, found in the repository, complete and of the sizes it says."""
    pairs = list(parsed.references())
    links = queries.links_of(repository_id, [str(d.digest) for kind, d in pairs if kind != CHILD])
    children = queries.children_of(repository_id, [str(d.digest) for kind, d in pairs if kind == CHILD])
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
