"""The recycle bin's way out: what was deleted is pushed again from its own bytes, with its tags, labels and history.

    bytes of the manifests --> what they name --> blobs linked, the project charged --> manifests, children first
                                                                                    --> labels, tags that are free

What a manifest lists and was deleted by itself, later or before, comes along. Nobody sees a part of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.constraints import retried
from accounts.models import User
from harborlite import generations
from harborlite.errors import Conflict, ManifestUnknown, NotFound, Precondition
from harborlite.faults import fault
from projects import quota
from projects.models import Label, Project
from registry import queries
from registry.artifacts import full_name
from registry.models import (
    DeletedBlob,
    DeletedManifest,
    Deletion,
    Manifest,
    ManifestLabel,
    ManifestReference,
    Repository,
    TagMove,
)
from registry.oci import manifest as oci_manifest
from registry.oci import names
from registry.oci.manifest import ParsedManifest
from registry.services import blobs, deletions, manifests, repositories, tags
from registry.services.listed import settle
from system import events

ATTEMPTS = 3
CHILD = ManifestReference.Kind.CHILD
BATCH = 200  # manifests
BATCH_BYTES = 8 << 20
READ = 50  # manifests at a time, each of which may be 4 MiB


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: how many manifests that were not there, and tags; and the tags that point elsewhere now."""

    repository: Repository
    artifacts: int
    tags: Sequence[str] = ()
    taken: Sequence[str] = ()


@dataclass(slots=True)
class _Plan:
    """Which kept manifests are needed: their rows' ids and sizes by digest, whom each lists, and blobs they name."""

    ids: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    lists: dict[str, set[str]] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    deletion_ids: set[int] = field(default_factory=set)


@retried
def deletion_restore(*, project: Project, deletion_id: int, actor: str) -> Restored:
    """What went with the deletion is there again, and the deletion is not; or nothing changed.

    Tags come back that are free. A repository comes back under its name with its id, history and former names; when
    there is one of that name, into that. NotFound when it can't be restored any more; QuotaExceeded; Precondition when
    something that it lists can't be restored; Conflict when others were always in between.
    """
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic(durable=True):
                return _deletion_restore(project, deletion_id, actor)
        except IntegrityError:
            continue  # something was pushed or removed in between, or the project was deleted
    if not Project.objects.filter(pk=project.pk).exists():
        raise NotFound("the project is gone")
    raise _busy()


@retried
def artifact_restore(*, repository: Repository, digest: str, actor: str) -> Restored:
    """The repository holds the artifact `digest` again, with what went with it, and those of its tags that are free.

    ManifestUnknown when it can't be restored; else as `deletion_restore`. When it is there already, nothing changes.
    """
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic(durable=True):
                restored = _artifact_restore(repository, digest, actor, with_tags=True)
                if restored.artifacts or restored.tags:
                    _told(repository, digest, restored.tags)
                return restored
        except IntegrityError:
            continue
    raise _busy()


@retried
def tag_restore(*, repository: Repository, digest: str, name: str, actor: str) -> None:
    """The tag points at the manifest, as it did before, which is restored for it. That it did is the caller's to know.

    TagInvalid when it is no name of a tag, ManifestUnknown when the manifest can't be restored, Precondition when the
    tag is immutable and points elsewhere; else as `deletion_restore`.
    """
    names.check_tag(name)
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic(durable=True):
                if _artifact_restore(repository, digest, actor, with_tags=False).artifacts:
                    _told(repository, digest, ())
                tags.tag_return(repository=repository, digest=digest, name=name, actor=actor)
                return
        except IntegrityError:
            continue
    raise _busy()


def _deletion_restore(project: Project, deletion_id: int, actor: str) -> Restored:
    rows = Deletion.objects.filter(pk=deletion_id, project_id=project.pk, expires_at__gt=Now())
    deletion = rows.select_for_update().first()
    if deletion is None:
        raise NotFound("there is no such deletion")
    repository = repositories.repository_return(project=project, deletion=deletion)
    TagMove.objects.filter(deletion=deletion).update(repository=repository, deletion=None)
    kept = list(DeletedManifest.objects.filter(deletion=deletion).order_by("pk").values_list("pk", flat=True))
    restored = _put_back(repository, kept, actor, with_tags=True)
    deletions.deletions_remove(deletion_ids=[deletion.pk])
    if deletion.digest is not None:
        _told(repository, deletion.digest, restored.tags)
    else:
        counts = {"artifacts": restored.artifacts, "tags": len(restored.tags)}
        name = full_name(repository)
        events.emit("restore", "repository", name, project_id=project.pk, project=project.name, extra=counts)
    return restored


def _artifact_restore(repository: Repository, digest: str, actor: str, *, with_tags: bool) -> Restored:
    if Manifest.objects.filter(repository=repository, digest=digest).exists():
        return Restored(repository, 0)
    kept = queries.deleted_manifests(repository).filter(digest=digest)
    root = kept.select_related("deletion").order_by("-pk").first()
    if root is None:
        raise ManifestUnknown(f"there is no artifact {digest} in the repository, and none that could be restored")
    restored = _put_back(repository, _family(root), actor, with_tags=with_tags)
    if not Manifest.objects.filter(repository=repository, digest=digest).exists():
        raise ManifestUnknown(f"the artifact {digest} was purged in this moment")
    return restored


def _family(root: DeletedManifest) -> list[int]:
    """The row and those of its deletion that belong to it: all, or of a whole repository's what goes with an artifact.

    That is its accessories, its children without a tag, and so on (registry.graph).
    """
    rows = DeletedManifest.objects.filter(deletion=root.deletion_id)
    if root.deletion.kind == Deletion.Kind.ARTIFACT:
        return list(rows.order_by("pk").values_list("pk", flat=True))
    found, new = {root.digest: root.pk}, [root.pk]
    while new:
        named = (pair for _, parsed in _read(new) for pair in parsed.references())
        children = {str(descriptor.digest) for kind, descriptor in named if kind == CHILD}
        near = Q(accessory_of__in=list(found)) | Q(digest__in=children, tags=[])
        more = dict(rows.filter(near).exclude(pk__in=found.values()).values_list("digest", "pk"))
        found |= more
        new = sorted(more.values())
    return sorted(found.values())


def _put_back(repository: Repository, kept: Sequence[int], actor: str, *, with_tags: bool) -> Restored:
    """The repository holds the manifests of these rows, which are gone then, and whatever these need."""
    quota.require(repository.project_id)
    plan = _planned(repository, kept)
    held = DeletedBlob.objects.filter(deletion__in=plan.deletion_ids, blob__digest__in=plan.blobs)
    blob_ids = sorted(set(held.values_list("blob_id", flat=True)))
    if blob_ids:
        blobs.blobs_link(repository_id=repository.pk, blob_ids=blob_ids)
    new, children = _manifests_back(repository, plan)
    ids = dict(Manifest.objects.filter(repository=repository, digest__in=plan.ids).values_list("digest", "pk"))
    wanted = list(DeletedManifest.objects.filter(pk__in=kept).order_by("pk").values_list("digest", "labels", "tags"))
    _labels_back(repository, {ids[digest]: labels for digest, labels, _ in wanted if labels})
    made: dict[str, int] = {}
    taken: list[str] = []
    if with_tags:
        found = {
            tag["name"]: tags.KeptTag(**tag, manifest_id=ids[digest]) for digest, _, all_ in wanted for tag in all_
        }
        made, taken = tags.tags_return(repository_id=repository.pk, tags=list(found.values()), actor=actor)
    touched = {*new, *children, *made.values()}
    settle(repository_id=repository.pk, manifest_ids=touched, change=sum(new.values()))
    generations.bump_on_commit("repository", repository.pk)
    _forget(kept)
    fault("restore.before_commit")
    return Restored(repository, len(new), list(made), taken)


def _labels_back(repository: Repository, wanted: Mapping[int, Sequence[int]]) -> None:
    """The manifests have those of these labels again that there are."""
    named = {label for labels in wanted.values() for label in labels}
    own = Q(project=None) | Q(project=repository.project_id)
    there = set(Label.objects.filter(own, pk__in=named).values_list("pk", flat=True))
    links = [
        ManifestLabel(manifest_id=manifest_id, label_id=label)
        for manifest_id, labels in wanted.items()
        for label in labels
        if label in there
    ]
    ManifestLabel.objects.bulk_create(links, ignore_conflicts=True)


def _planned(repository: Repository, kept: Sequence[int]) -> _Plan:
    """What is needed to restore these rows, and locked. Precondition when something is neither there nor kept."""
    plan, new = _Plan(), list(kept)
    while new:
        for row, parsed in _read(new):
            pairs = [(kind, str(descriptor.digest)) for kind, descriptor in parsed.references()]
            plan.ids[row.digest], plan.sizes[row.digest] = row.pk, parsed.size
            plan.lists[row.digest] = {digest for kind, digest in pairs if kind == CHILD}
            plan.blobs |= {digest for kind, digest in pairs if kind != CHILD}
            plan.deletion_ids.add(row.deletion_id)
        missing = set().union(*plan.lists.values()) - plan.ids.keys()
        missing -= set(
            Manifest.objects.filter(repository=repository, digest__in=missing).values_list("digest", flat=True)
        )
        rows = queries.deleted_manifests(repository).filter(digest__in=missing).order_by("pk")
        found = dict(rows.values_list("digest", "pk"))  # the latest of each
        if lost := sorted(missing - found.keys()):
            raise Precondition(f"it lists {lost[0]}, which can't be restored any more", detail=lost)
        new = sorted(found.values())
    list(Deletion.objects.select_for_update().filter(pk__in=plan.deletion_ids).order_by("pk").values_list("pk"))
    if DeletedManifest.objects.filter(pk__in=plan.ids.values()).count() < len(plan.ids):
        raise _busy()  # somebody else restored or purged one of them before the lock
    return plan


def _manifests_back(repository: Repository, plan: _Plan) -> tuple[dict[int, bool], set[int]]:
    """Ids of the manifests that are new, each with whether lists count it, and of the children they have."""
    new: dict[int, bool] = {}
    children: set[int] = set()
    order = TopologicalSorter({digest: lists & plan.ids.keys() for digest, lists in plan.lists.items()})
    order.prepare()
    while ready := order.get_ready():
        for batch in _batches(sorted(plan.ids[digest] for digest in ready), plan):
            made, theirs = manifests.manifests_ensure(rows=_rows(repository, batch))
            new |= {row.pk: row.is_listed for row in made}
            children.update(theirs)
        order.done(*ready)
    return new, children


def _batches(ids: Iterable[int], plan: _Plan) -> Iterator[list[int]]:
    size_of = {pk: plan.sizes[digest] for digest, pk in plan.ids.items()}
    batch: list[int] = []
    size = 0
    for pk in ids:
        if batch and (len(batch) == BATCH or size + size_of[pk] > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(pk)
        size += size_of[pk]
    if batch:
        yield batch


def _rows(repository: Repository, batch: Sequence[int]) -> list[tuple[Manifest, ParsedManifest]]:
    """The manifests as they were; what else they say follows from their bytes."""
    read = list(_read(batch))
    pushers = {row.pushed_by_id for row, _ in read if row.pushed_by_id is not None}
    there = set(User.objects.filter(pk__in=pushers).values_list("pk", flat=True))
    return [
        (
            Manifest(
                project_id=repository.project_id,
                repository=repository,
                digest=row.digest,
                content=bytes(row.content),
                size=parsed.size,
                extra_attrs=row.extra_attrs,
                leased_until=blobs.lease_end(),
                pulled_at=row.pulled_at,
                pushed_at=row.pushed_at,
                pushed_by_id=row.pushed_by_id if row.pushed_by_id in there else None,
            ),
            parsed,
        )
        for row, parsed in read
    ]


def _read(kept: Sequence[int]) -> Iterator[tuple[DeletedManifest, ParsedManifest]]:
    for start in range(0, len(kept), READ):
        for row in DeletedManifest.objects.filter(pk__in=kept[start : start + READ]).order_by("pk"):
            yield row, oci_manifest.parse(bytes(row.content), row.media_type)


def _forget(kept: Sequence[int]) -> None:
    """These rows were restored, and an artifact's deletion ends with the last of it.

    What only came along stays in its own deletion, with its tags.
    """
    rows = DeletedManifest.objects.filter(pk__in=kept)
    touched = set(rows.values_list("deletion", flat=True).distinct())
    rows._raw_delete("default")
    empty = Deletion.objects.filter(pk__in=touched, kind=Deletion.Kind.ARTIFACT, manifests__isnull=True)
    deletions.deletions_remove(deletion_ids=list(empty.values_list("pk", flat=True)))
    deletions.deletions_count(deletion_ids=list(touched))


def _told(repository: Repository, digest: str, restored: Sequence[str]) -> None:
    manifests.emit_artifact("restore", repository.project_id, full_name(repository), digest, restored)


def _busy() -> Conflict:
    return Conflict("it is being changed by others all the time; try again")
