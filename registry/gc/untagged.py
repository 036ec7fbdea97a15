"""Manifests that no tag leads to, removed when a collection is asked for it.

A manifest is kept by a tag and by a live lease; and what is kept keeps its children, its accessories, and the subject
it is an accessory of. (A cosign tag only names an accessory, and keeps nothing as long as the subject is there.) What
is not kept hangs together in families, each of which goes as a whole or stays as a whole:

    index ---child---> image <---subject--- signature
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from django.conf import settings

from harborlite import origin
from harborlite.errors import Precondition
from projects import immutability
from registry.artifacts import full_name
from registry.gc.collection import Collection, Counts, read_only
from registry.gc.rows import LOOK, ids_of, rows_of
from registry.models import Deletion, Manifest, Repository, Tag
from registry.services import manifests

MOST = 100  # manifests that go together, unless a family has more: pushes to their repository wait for as long
Family = list[int]
"""Ids of manifests that go together, in order."""

# Conditions on `manifest`.
_LEASED = "greatest(manifest.pushed_at + %(lease)s * interval '1 second', manifest.leased_until) > now()"
_HAS_SUBJECT = """EXISTS (
    SELECT FROM registry_manifest AS subject
    WHERE subject.repository_id = manifest.repository_id AND subject.digest = manifest.accessory_of
)"""
_TAGGED = f"""EXISTS (
    SELECT FROM registry_tag AS tag
    WHERE tag.manifest_id = manifest.id
        AND NOT (tag.name ~ '^sha256-[0-9a-f]{{64}}[.](sig|att|sbom)$' AND {_HAS_SUBJECT})
)"""
_DOOMED = f"""
    WITH RECURSIVE kept AS (
        SELECT id, digest, accessory_of FROM registry_manifest AS manifest
        WHERE repository_id = %(repository)s AND ({_LEASED} OR {_TAGGED})
        UNION
        SELECT next.id, next.digest, next.accessory_of FROM kept CROSS JOIN LATERAL (
            SELECT child.id, child.digest, child.accessory_of
            FROM registry_manifestreference AS reference
            JOIN registry_manifest AS child ON child.id = reference.child_id
            WHERE reference.manifest_id = kept.id
            UNION ALL
            SELECT accessory.id, accessory.digest, accessory.accessory_of FROM registry_manifest AS accessory
            WHERE accessory.repository_id = %(repository)s AND accessory.accessory_of = kept.digest
            UNION ALL
            SELECT subject.id, subject.digest, subject.accessory_of FROM registry_manifest AS subject
            WHERE subject.repository_id = %(repository)s AND subject.digest = kept.accessory_of
        ) AS next
    )
    SELECT id FROM registry_manifest AS manifest
    WHERE repository_id = %(repository)s AND NOT EXISTS (SELECT FROM kept WHERE kept.id = manifest.id)
    ORDER BY id
"""  # noqa: S608
_TIES = """
    SELECT manifest_id, child_id FROM registry_manifestreference
    WHERE manifest_id = ANY(%(ids)s) AND child_id = ANY(%(ids)s)
    UNION ALL
    SELECT subject.id, manifest.id
    FROM registry_manifest AS manifest JOIN registry_manifest AS subject
        ON subject.repository_id = manifest.repository_id AND subject.digest = manifest.accessory_of
    WHERE manifest.id = ANY(%(ids)s) AND subject.id = ANY(%(ids)s)
"""
_HOLD = "SELECT id FROM registry_manifest WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE SKIP LOCKED"
_KEPT = f"""
    SELECT id FROM registry_manifest AS manifest WHERE id = ANY(%(ids)s) AND (
        {_LEASED} OR {_TAGGED}
        OR EXISTS (
            SELECT FROM registry_manifestreference AS reference
            WHERE reference.child_id = manifest.id AND NOT reference.manifest_id = ANY(%(ids)s)
        ) OR EXISTS (
            SELECT FROM registry_manifest AS other
            WHERE other.repository_id = manifest.repository_id AND NOT other.id = ANY(%(ids)s)
                AND (other.accessory_of = manifest.digest OR other.digest = manifest.accessory_of)
        )
    )
"""  # noqa: S608


def collect(collection: Collection) -> None:
    """Every family that is not kept went, into the recycle bin if there is one; in a preview they are counted."""
    if not collection.with_untagged:
        return
    looked = 0
    while (repository := _next(collection.after)) is not None:
        with read_only():
            families = families_of(repository)
        for group in _groups(families):
            _collect(collection, repository, group)
        looked += Manifest.objects.filter(repository=repository).count()
        collection.passed(repository.pk)
        if looked >= LOOK or families:
            collection.looked(looked)
            looked = 0
    collection.looked(looked)


def families_of(repository: Repository) -> list[Family]:
    """The families that are not kept, each of ids in order. One with a cosign tag that is immutable is kept."""
    doomed = ids_of(_DOOMED, repository=repository.pk, lease=settings.LEASE_SECONDS)
    if not doomed:
        return []
    families = _families(doomed, rows_of(_TIES, ids=doomed))
    tags = list(Tag.objects.filter(manifest__in=doomed).values_list("manifest", "name"))
    is_immutable = immutability.matcher_for(repository.project) if tags else None
    held = {pk for pk, name in tags if is_immutable and is_immutable(repository.name, name)}
    return [family for family in families if held.isdisjoint(family)]


def _families(ids: Iterable[int], ties: Iterable[Sequence[int]]) -> list[Family]:
    """The ids, those together that ties connect."""
    family = {pk: [pk] for pk in ids}
    for one, other in ties:
        if (larger := family[one]) is not (smaller := family[other]):
            if len(larger) < len(smaller):
                larger, smaller = smaller, larger
            larger += smaller
            family.update((pk, larger) for pk in smaller)
    return [sorted(members) for members in {id(members): members for members in family.values()}.values()]


def _groups(families: Iterable[Family]) -> Iterator[list[Family]]:
    """The families, some at a time."""
    group: list[Family] = []
    for family in families:
        if group and sum(map(len, group)) + len(family) > MOST:
            yield group
            group = []
        group.append(family)
    if group:
        yield group


def _next(after: int) -> Repository | None:
    return Repository.objects.select_related("project").filter(pk__gt=after).order_by("pk").first()


def _collect(collection: Collection, repository: Repository, families: list[Family]) -> None:
    count = sum(map(len, families))
    if collection.is_dry:
        collection.doomed.update(*families)
        collection.note(manifests=count)
        return
    try:
        collection.did(lambda: _remove(repository, families))
    except Precondition as refusal:  # a rule was made in this moment
        collection.run.log(f"Kept {count} manifests of {full_name(repository)}: {refusal}")
    collection.pay(count)


def _remove(repository: Repository, families: Sequence[Family]) -> Counts:
    """Those families are gone that nobody holds and that are still not kept."""
    held = set(ids_of(_HOLD, ids=list(chain(*families))))
    free = [family for family in families if held.issuperset(family)]
    ids = list(chain(*free))
    # A statement of its own: whoever had one of them before us has committed, and is seen.
    kept = set(ids_of(_KEPT, ids=ids, lease=settings.LEASE_SECONDS))
    going = [family for family in free if kept.isdisjoint(family)]
    gone = sorted(chain(*going))
    if not gone:
        return {}
    digests = list(Manifest.objects.filter(pk__in=gone).order_by("pk").values_list("digest", flat=True))
    manifests.manifests_remove(
        repository_id=repository.pk,
        manifest_ids=gone,
        actor=origin.current().actor.username,
        reason=Deletion.Reason.COLLECTION,
        families=going,
    )
    for digest in digests:
        manifests.emit_artifact("delete", repository.project_id, full_name(repository), digest, [])
    return {"manifests": len(gone)}
