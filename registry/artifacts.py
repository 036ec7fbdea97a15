"""Reads of artifacts: a page of them, and what is shown with them, by one query a kind however many there are.

    Artifacts     a list: ids from an index first, whole rows only of the page
    Shown         an artifact with its references, tags, labels, accessories

Counts are columns that services.listed keeps.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from django.db.models import Case, F, JSONField, OuterRef, Q, QuerySet, Subquery, Sum, Value, When

from harborlite.errors import ManifestUnknown, NotFound
from projects.models import Label, Project
from registry.models import Manifest, ManifestLabel, ManifestReference, Repository, Tag
from registry.oci.digest import Digest
from registry.oci.media_types import INDEXES
from registry.sizes import Sizes, of_artifacts

MAX_LONG = 64 * 1024
"""Bytes of a manifest whose annotations and references a list shows: a page has up to a hundred manifests of 4 MiB."""
MAX_TAGS = 10_000
MAX_ACCESSORIES = 10_000
"""So many are shown with the artifacts of a page; lists of their own show all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown with artifacts; references always are."""

    tags: bool = True
    labels: bool = False
    accessories: bool = False
    inherited: bool = False
    sizes: bool = False


@dataclass(frozen=True, slots=True)
class Accessory:
    """An artifact as what it is to another one; `subject_id` is None when the repository does not hold that."""

    artifact: Manifest
    subject_id: int | None


@dataclass(frozen=True, slots=True)
class Shown:
    """An artifact and what is shown with it; None what was not wanted."""

    artifact: Manifest
    references: Sequence[ManifestReference] = ()
    tags: Sequence[Tag] | None = None
    labels: Sequence[Label] | None = None
    accessories: Sequence[Accessory] | None = None
    inherited_accessories: Sequence[Accessory] | None = None
    sizes: Sizes | None = None


class Artifacts(Sequence[Shown]):
    """The artifacts of these `ids`, without their content; their number is what `count` says.

    A slice takes ids first, from an index: one query that sorts and skips whole rows would read them all.
    """

    def __init__(
        self, ids: "QuerySet[Manifest, int] | Sequence[int]", wanted: Wanted, count: Callable[[], int] | None = None
    ) -> None:
        self._ids = ids
        self._wanted = wanted
        self._count = count

    @overload
    def __getitem__(self, at: int) -> Shown: ...

    @overload
    def __getitem__(self, at: slice) -> list[Shown]: ...

    def __getitem__(self, at: int | slice) -> Shown | list[Shown]:
        chosen = at if isinstance(at, slice) else slice(at, at + 1)
        ids = list(self._ids[chosen])
        found = _rows_shown(max_long=MAX_LONG).in_bulk(ids)
        page = shown([found[pk] for pk in ids if pk in found], self._wanted)
        return page if isinstance(at, slice) else page[0]

    def __len__(self) -> int:
        if self._count:
            return self._count()
        return self._ids.order_by().count() if isinstance(self._ids, QuerySet) else len(self._ids)


class Accessories(Sequence[Accessory]):
    """The accessories of `subject` that `rows` finds, in its order."""

    def __init__(self, rows: QuerySet[Manifest], subject: Manifest) -> None:
        self._rows = rows
        self._subject = subject

    @overload
    def __getitem__(self, at: int) -> Accessory: ...

    @overload
    def __getitem__(self, at: slice) -> list[Accessory]: ...

    def __getitem__(self, at: int | slice) -> Accessory | list[Accessory]:
        page = list(self._rows[at if isinstance(at, slice) else slice(at, at + 1)])
        for row in page:
            row.repository = self._subject.repository
        found = [Accessory(row, self._subject.pk) for row in page]
        return found if isinstance(at, slice) else found[0]

    def __len__(self) -> int:
        return self._rows.order_by().count()


def full_name(repository: Repository) -> str:
    """PROJECT/PATH."""
    return f"{repository.project.name}/{repository.name}"


def artifacts_in(where: Repository | Project, *, with_children: bool = False) -> QuerySet[Manifest]:
    """The artifacts that lists of a repository or a project show; `with_children`, also those only an index lists."""
    rows = Manifest.objects.filter(repository=where) if isinstance(where, Repository) else _in_project(where)
    return rows.filter(accessory_of=None) if with_children else rows.filter(is_listed=True)


def _in_project(project: Project) -> QuerySet[Manifest]:
    return Manifest.objects.filter(project=project)


def count_in(project: Project) -> int:
    """How many artifacts lists of the project show."""
    total = Repository.objects.filter(project=project).aggregate(total=Sum("artifact_count"))["total"]
    return int(total or 0)


def latest_of(rows: QuerySet[Manifest], project: Project) -> list[int]:
    """Ids: of each repository of `project` that one of `rows` which was pushed last, in the order of `rows`.

    Repository by repository from an index: to sort all artifacts takes a hundred times as long.
    """
    mine = rows.filter(repository=OuterRef("pk")).order_by("-pushed_at", "-pk").values("pk")[:1]
    last = Repository.objects.filter(project=project).annotate(last=Subquery(mine)).values("last")
    return list(Manifest.objects.filter(pk__in=last).order_by(*rows.query.order_by).values_list("pk", flat=True))


def artifact_get(repository: Repository, reference: str | Digest) -> Manifest:
    """The artifact that a tag or a digest stands for now, without its content. ManifestUnknown when there is none."""
    where = Q(digest=str(reference)) if isinstance(reference, Digest) else Q(tags__name=reference)
    found = _rows_shown().filter(where, repository=repository).first()
    if found is None:
        raise ManifestUnknown(f"there is no artifact {reference} in the repository")
    found.repository = repository
    return found


def _rows_shown(max_long: int | None = None) -> QuerySet[Manifest]:
    rows = Manifest.objects.select_related("repository__project").defer("content", "annotations")
    if max_long is None:
        return rows.annotate(notes=F("annotations"))
    nothing = Value({}, JSONField())
    return rows.annotate(notes=Case(When(size__lte=max_long, then=F("annotations")), default=nothing))


def config_of(artifact: Manifest) -> tuple[str, int]:
    """Storage key and size of the artifact's config. NotFound when it has none."""
    return _blob_of(artifact, kind=ManifestReference.Kind.CONFIG)


def layer_of(artifact: Manifest, media_type: str) -> tuple[str, int]:
    """Storage key and size of the artifact's first layer of that media type. NotFound when it has none."""
    return _blob_of(artifact, kind=ManifestReference.Kind.LAYER, media_type=media_type)


def _blob_of(artifact: Manifest, **which: str) -> tuple[str, int]:
    found = (
        ManifestReference.objects.filter(
            manifest=artifact, link__blob__quarantined_at=None, link__isnull=False, **which
        )
        .order_by("position")
        .values_list("link__blob__storage_key", "link__blob__size")
        .first()
    )
    if found is None:
        raise NotFound("the artifact has nothing of this kind")
    return found


def label_in(project: Project, label_id: int) -> Label:
    """The label, of `project` or of the whole instance; NotFound for another project's as for none."""
    label = Label.objects.filter(Q(project=project) | Q(project=None), pk=label_id).first()
    if label is None:
        raise NotFound("there is no such label")
    return label


# What is shown with the artifacts of a page.


def shown(page: Sequence[Manifest], wanted: Wanted, max_long: int = MAX_LONG) -> list[Shown]:
    """The artifacts of `page` with what is wanted of them. At most eight queries."""
    ids = [row.pk for row in page]
    references = _references_of([row.pk for row in page if row.media_type in INDEXES and row.size <= max_long])
    tags = _tags_of(ids) if wanted.tags else None
    labels = _labels_of(ids) if wanted.labels else None
    accessories = _accessories_of(page) if wanted.accessories or wanted.inherited else {}
    inherited = _inherited_by(page, accessories) if wanted.inherited else None
    sizes = of_artifacts(ids) if wanted.sizes and ids else {}
    return [
        Shown(
            artifact=row,
            references=references.get(row.pk, ()),
            tags=None if tags is None else tags.get(row.pk, ()),
            labels=None if labels is None else labels.get(row.pk, ()),
            accessories=accessories.get(row.pk, ()) if wanted.accessories else None,
            inherited_accessories=None if inherited is None else inherited.get(row.pk, ()),
            sizes=sizes.get(row.pk),
        )
        for row in page
    ]


def accessories_of(artifact: Manifest) -> QuerySet[Manifest]:
    """The accessories of `artifact`, without content."""
    rows = Manifest.objects.filter(repository=artifact.repository_id, accessory_of=artifact.digest)
    return rows.defer("content", "annotations", "extra_attrs")


def _grouped(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _references_of(manifest_ids: Collection[int]) -> Mapping[int, list[ManifestReference]]:
    if not manifest_ids:
        return {}
    rows = ManifestReference.objects.filter(manifest__in=manifest_ids, kind=ManifestReference.Kind.CHILD)
    return _grouped((row.manifest_id, row) for row in rows.order_by("manifest", "position"))


def _tags_of(manifest_ids: Collection[int]) -> Mapping[int, list[Tag]]:
    rows = Tag.objects.filter(manifest__in=manifest_ids).order_by("-moved_at", "-pk")[:MAX_TAGS]
    return _grouped((row.manifest_id, row) for row in rows)


def _labels_of(manifest_ids: Collection[int]) -> Mapping[int, list[Label]]:
    links = ManifestLabel.objects.filter(manifest__in=manifest_ids).select_related("label")
    return _grouped((link.manifest_id, link.label) for link in links.order_by("pk"))


def _accessories_of(subjects: Sequence[Manifest]) -> Mapping[int, list[Accessory]]:
    """Accessories by the id of their subject, oldest first."""
    ids = {(row.repository_id, row.digest): row.pk for row in subjects}
    rows = (
        Manifest.objects.filter(
            repository__in={row.repository_id for row in subjects}, accessory_of__in={row.digest for row in subjects}
        )
        .select_related("repository__project")
        .defer("content", "annotations", "extra_attrs")
        .order_by("pk")[:MAX_ACCESSORIES]
    )
    found = ((ids.get((row.repository_id, str(row.accessory_of))), row) for row in rows)
    return _grouped((subject, Accessory(row, subject)) for subject, row in found if subject is not None)


def _inherited_by(page: Sequence[Manifest], own: Mapping[int, Sequence[Accessory]]) -> Mapping[int, list[Accessory]]:
    """Signatures of the indexes that list an artifact without a signature of its own (Harbor)."""
    unsigned = [row.pk for row in page if not any(map(_is_signature, own.get(row.pk, ())))]
    pairs = ManifestReference.objects.filter(child__in=unsigned).values_list("child", "manifest")
    lists = _grouped((parent, child) for child, parent in pairs if child is not None)
    parents = list(Manifest.objects.filter(pk__in=lists).only("repository_id", "digest"))
    of_parents = _accessories_of(parents) if parents else {}
    return _grouped(
        (child, accessory)
        for parent, children in lists.items()
        for accessory in filter(_is_signature, of_parents.get(parent, ()))
        for child in children
    )


def _is_signature(accessory: Accessory) -> bool:
    return accessory.artifact.accessory_type.startswith("signature.")
