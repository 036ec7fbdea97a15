"""What hangs together with a manifest: the children of an index, and the accessories of all of them.

index ---child---> image          closure       everything that belongs to an artifact, as a copy takes it along
  ^                  ^            doomed        what goes with an artifact when it is deleted (Harbor)
  '--subject-- signature, SBOM
"""

from collections.abc import Collection

from django.db.models import QuerySet

from harborlite.errors import Precondition
from registry.models import Manifest, ManifestReference, Tag

MOST = 5000
"""Manifests that hang together and are still handled at once."""


def closure(root: Manifest) -> list[int]:
    """Ids of the artifact's own manifest, its children and the accessories of all of them, and so on: children first.

    Precondition when these are too many. Two queries a level.
    """
    found, new = {root.pk}, {root.pk}
    while new:
        new = (_children(new) | _accessories(root.repository_id, new)) - found
        found |= new
        _check(found)
    return sorted(found)  # a child is there before the index that lists it can be pushed, so its id is smaller


def doomed(root: Manifest) -> list[int]:
    """Ids of what goes when the artifact is deleted: its accessories, its children without a tag, and so on.

    What an index lists that stays, stays too. Precondition when these are too many.
    """
    found = {root.pk}
    while True:
        children = _children(found) - found
        new = (_accessories(root.repository_id, found) - found) | (children - _tagged(children))
        while held := _listed_elsewhere(new, found | new):
            new -= held  # and what these list stays too
        if not new:
            return sorted(found)
        found |= new
        _check(found)


def parents_outside(manifest_ids: Collection[int]) -> QuerySet[Manifest]:
    """Indexes that list one of the manifests and are none of them."""
    return Manifest.objects.filter(references__child__in=manifest_ids).exclude(pk__in=manifest_ids).order_by("pk")


def _children(manifest_ids: Collection[int]) -> set[int]:
    rows = ManifestReference.objects.filter(manifest__in=manifest_ids, child__isnull=False)
    return {child for child in rows.values_list("child", flat=True) if child is not None}


def _accessories(repository_id: int, manifest_ids: Collection[int]) -> set[int]:
    digests = list(Manifest.objects.filter(pk__in=manifest_ids).values_list("digest", flat=True))
    rows = Manifest.objects.filter(repository=repository_id, accessory_of__in=digests)
    return set(rows.values_list("pk", flat=True)[: MOST + 1])


def _tagged(manifest_ids: Collection[int]) -> set[int]:
    return set(Tag.objects.filter(manifest__in=manifest_ids).values_list("manifest", flat=True).distinct())


def _listed_elsewhere(manifest_ids: Collection[int], going: Collection[int]) -> set[int]:
    rows = ManifestReference.objects.filter(child__in=manifest_ids).exclude(manifest__in=going)
    return {child for child in rows.values_list("child", flat=True) if child is not None}


def _check(found: Collection[int]) -> None:
    if len(found) > MOST:
        raise Precondition(f"more than {MOST} manifests hang together with the artifact; handle its parts one by one")
