"""Tags: set and delete; every move leaves a TagMove row."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from harborlite import generations
from harborlite.errors import ManifestUnknown
from harborlite.faults import fault
from registry.models import Manifest, Tag, TagMove
from registry.services.inserts import insert_if_absent


def tags_set(*, repository_id: int, manifest_id: int, digest: str, names: Iterable[str], actor: str) -> None:
    """Each of `names` points at the manifest. One that does already is not touched. The caller has a transaction.

    Names are taken in order, so two pushes of several tags can't wait for each other.
    """
    for name in sorted(set(names)):
        before: str | None = None
        tag = _insert_or_lock(repository_id, name, manifest_id)
        if tag is not None:
            fault("tag.between_lock_and_update")
            if tag.manifest_id == manifest_id:
                continue
            before = Manifest.objects.values_list("digest", flat=True).get(pk=tag.manifest_id)
            Tag.objects.filter(pk=tag.pk).update(manifest_id=manifest_id, moved_at=Now())
        TagMove.objects.create(repository_id=repository_id, tag=name, from_digest=before, to_digest=digest, actor=actor)
    generations.bump_on_commit("repository", repository_id)


def tag_delete(*, repository_id: int, name: str, actor: str) -> None:
    """The tag is gone, its manifest stays. ManifestUnknown when there is no such tag."""
    with transaction.atomic(durable=True):
        tags = Tag.objects.select_for_update(of=("self",)).filter(repository_id=repository_id, name=name)
        if not tags_remove(repository_id=repository_id, tags=list(tags), actor=actor):
            raise ManifestUnknown(f"there is no tag {name}")


def tags_remove(*, repository_id: int, tags: list[Tag], actor: str) -> int:
    """The tags, which the caller has locked in its transaction, are gone; returns how many these were."""
    digests = dict(Manifest.objects.filter(pk__in={tag.manifest_id for tag in tags}).values_list("pk", "digest"))
    TagMove.objects.bulk_create(
        TagMove(
            repository_id=repository_id,
            tag=tag.name,
            from_digest=digests[tag.manifest_id],
            to_digest=None,
            actor=actor,
        )
        for tag in tags
    )
    generations.bump_on_commit("repository", repository_id)
    return Tag.objects.filter(pk__in=[tag.pk for tag in tags]).delete()[0]


def _insert_or_lock(repository_id: int, name: str, manifest_id: int) -> Tag | None:
    """The tag, locked, if there was one; else None, and now there is one that points at the manifest."""
    while insert_if_absent(Tag(repository_id=repository_id, name=name, manifest_id=manifest_id)) is None:
        tag = Tag.objects.select_for_update(no_key=True).filter(repository_id=repository_id, name=name).first()
        if tag is not None:
            return tag
        # It was deleted between the two statements.
    return None
