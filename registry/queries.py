"""Reads of the content model. Everything starts from a repository: a digest alone finds nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, Concat, Now

from harborlite import generations
from harborlite.actors import Actor
from harborlite.errors import NotFound
from projects import rbac
from projects.models import Project
from registry.models import (
    Blob,
    DeletedManifest,
    Deletion,
    Manifest,
    ManifestReference,
    Repository,
    RepositoryBlob,
    RepositoryRedirect,
    Tag,
    TagMove,
)
from registry.oci import names
from registry.oci.digest import Digest

_FULL_NAME = Concat("project__name", Value("/"), "name")


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob of a repository: its bytes are `size` long, under `storage_key`."""

    link_id: int
    blob_id: int
    digest: str
    size: int
    storage_key: str
    is_lease_short: bool
    """Less than half of its lease is left."""


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest's exact bytes and what is said of them in headers."""

    manifest_id: int
    digest: str
    media_type: str
    content: bytes
    is_lease_short: bool
    """Less than half of its lease is left."""


def repositories_of(projects: QuerySet[Project]) -> QuerySet[Repository]:
    """The repositories of `projects`, each with its `full_name` (PROJECT/PATH)."""
    return Repository.objects.filter(project__in=projects).annotate(full_name=_FULL_NAME)


def repositories_called(projects: QuerySet[Project], part: str) -> QuerySet[Repository]:
    """The repositories of `projects` whose full name has that part, by it, with their projects."""
    rows = Repository.objects.filter(project__in=projects).annotate(full_name=_FULL_NAME).select_related("project")
    return rows.filter(full_name__icontains=part).order_by("full_name")


def statistics(actor: Actor) -> dict[str, int]:
    """Harbor's counts of what `actor` may see, and for administrators of everything. At most 3 queries."""
    counts: dict[str, int] = {}
    seen = rbac.visible_projects(actor)
    for name, rows, flag in (
        ("project", seen, "is_public"),
        ("repo", Repository.objects.filter(project__in=seen), "project__is_public"),
    ):
        found = rows.aggregate(
            public=Count("pk", filter=Q(**{flag: True})), private=Count("pk", filter=Q(**{flag: False}))
        )
        counts[f"public_{name}_count"], counts[f"private_{name}_count"] = found["public"], found["private"]
        counts[f"total_{name}_count"] = found["public"] + found["private"] if actor.is_admin else 0
    stored = Blob.objects.aggregate(sum=Sum("size"))["sum"] if actor.is_admin else None
    return {**counts, "total_storage_consumption": int(stored or 0)}


def redirects_of(repository: Repository) -> QuerySet[RepositoryRedirect]:
    """The names that `repository` had before and that go on standing for it, by name."""
    return repository.redirects.order_by("name")


def repository_get(project: Project, path: str) -> Repository:
    """The repository that `path` stands for in `project`, see `repository_called`. NotFound when there is none."""
    found = repository_called(project.pk, path) if names.is_name(f"{project.name}/{path}") else None
    if found is None:
        raise NotFound("there is no such repository")
    found.project = project
    return found


def repository_called(project_id: int, path: str) -> Repository | None:
    """The repository that has the name `path`, or had it before it was renamed and no other one took it.

    One query for both, so that one that is being renamed is found at any moment.
    """
    now = Repository.objects.filter(project_id=project_id, name=path)
    before = Repository.objects.filter(redirects__project_id=project_id, redirects__name=path)
    return next(iter(now.union(before, all=True)[:1]), None)


def blob_find(repository_id: int | None, digest: Digest) -> FoundBlob | None:
    """The blob, if the repository holds it and it is not quarantined. One query."""
    if repository_id is None:
        return None
    return _found_blob(RepositoryBlob.objects.filter(repository_id=repository_id, blob__digest=str(digest)))


def blob_find_anywhere(projects: QuerySet[Project], digest: Digest) -> FoundBlob | None:
    """The blob, if some repository of `projects` holds it: for mounts that name no source."""
    return _found_blob(
        RepositoryBlob.objects.filter(repository__project__in=projects, blob__digest=str(digest)).order_by("pk")
    )


def _found_blob(links: QuerySet[RepositoryBlob]) -> FoundBlob | None:
    half = Now() + timedelta(seconds=settings.LEASE_SECONDS / 2)
    short = ExpressionWrapper(Q(leased_until__lt=half), output_field=BooleanField())
    sound = links.filter(blob__quarantined_at=None)
    row = sound.values_list("pk", "blob_id", "blob__digest", "blob__size", "blob__storage_key", short).first()
    return FoundBlob(*row) if row else None


def manifest_resolve(repository_id: int | None, reference: str | Digest) -> FoundManifest | None:
    """The manifest that a tag or a digest stands for now. One query."""
    if repository_id is None:
        return None
    manifests = Manifest.objects.filter(repository_id=repository_id)
    if isinstance(reference, Digest):
        manifests = manifests.filter(digest=str(reference))
    else:
        manifests = manifests.filter(tags__name=reference, tags__repository_id=repository_id)
    row = manifests.values_list("pk", "digest", "media_type", "content", manifest_lease_is_short()).first()
    return FoundManifest(row[0], row[1], row[2], bytes(row[3]), row[4]) if row else None


def manifest_lease_is_short() -> "ExpressionWrapper[Any]":
    """Of a manifest: less than half is left of the lease it got by its push or later.

    Also when it is answered from memory (registry.v2.hot) for a while.
    """
    least = timedelta(seconds=settings.LEASE_SECONDS / 2 + generations.MAX_AGE)
    begun = Now() + least - timedelta(seconds=settings.LEASE_SECONDS)
    renewed = Q(leased_until__isnull=False, leased_until__gte=Now() + least)
    return ExpressionWrapper(Q(pushed_at__lt=begun) & ~renewed, output_field=BooleanField())


def tags_of(manifest: Manifest) -> QuerySet[Tag]:
    """The tags of `manifest`."""
    return Tag.objects.filter(manifest=manifest)


def tags_shown(repository: Repository) -> QuerySet[Tag]:
    """The tags of `repository`, each with what it points to, without the bytes."""
    whole = ("content", "annotations", "extra_attrs")
    return (
        Tag.objects.filter(repository=repository)
        .select_related("manifest")
        .defer(*(f"manifest__{name}" for name in whole))
    )


def tag_get(repository: Repository, name: str) -> Tag:
    """The tag `name` of `repository`; NotFound when there is none."""
    tag = Tag.objects.filter(repository=repository, name=name).first()
    if tag is None:
        raise NotFound(f"there is no tag {name}")
    return tag


def tag_moves(repository: Repository, name: str | None = None) -> QuerySet[TagMove]:
    """The history of the tags of `repository`, or of one, with whether it still holds what they pointed to.

    As `from_exists` and `to_exists`; else, as `from_restorable` and `to_restorable`, whether that can be restored.
    """
    held = Manifest.objects.filter(repository=OuterRef("repository"))
    kept = deleted_manifests(repository)
    moves = TagMove.objects.filter(repository=repository, **({} if name is None else {"tag": name}))
    return moves.annotate(
        from_exists=_has(held, "from_digest"),
        to_exists=_has(held, "to_digest"),
        from_restorable=ExpressionWrapper(Q(from_exists=False) & Q(_has(kept, "from_digest")), BooleanField()),
        to_restorable=ExpressionWrapper(Q(to_exists=False) & Q(_has(kept, "to_digest")), BooleanField()),
    )


def _has(rows: "QuerySet[Any]", digest: str) -> Coalesce:
    """Whether one of `rows` has the digest in the column `digest`, looked up for each row of a page.

    Of Exists() PostgreSQL reads all of `rows` beforehand, however short the page is.
    """
    found = rows.filter(digest=OuterRef(digest)).annotate(is_there=Value(value=True)).values("is_there")[:1]
    return Coalesce(Subquery(found), Value(value=False), output_field=BooleanField())


def tag_move_at(repository: Repository, name: str, at: datetime) -> TagMove:
    """The move, as of `tag_moves`, by which the tag pointed at that time where it did; NotFound when there was none."""
    move = tag_moves(repository, name).filter(at__lte=at).order_by("-pk").first()
    if move is None:
        raise NotFound(f"there was no tag {name} yet")
    return move


def deletions_of(project: Project) -> QuerySet[Deletion]:
    """What was deleted in `project` and can be restored."""
    return Deletion.objects.filter(project_id=project.pk, expires_at__gt=Now())


def deletion_get(project: Project, deletion_id: int) -> Deletion:
    """The deletion in `project`; NotFound when there is none that can be undone."""
    found = deletions_of(project).filter(pk=deletion_id).first()
    if found is None:
        raise NotFound("there is no such deletion")
    return found


def deleted_manifests(repository: Repository) -> QuerySet[DeletedManifest]:
    """What was deleted in `repository` and can be restored; also in one of its name that is gone, when this is new."""
    gone = ~Exists(Repository.objects.filter(pk=OuterRef("deletion__repository_id")))
    before = Q(deletion__project_id=repository.project_id, deletion__repository=repository.name)
    mine = Q(deletion__repository_id=repository.pk) | (before & gone)
    return DeletedManifest.objects.filter(mine, deletion__expires_at__gt=Now())


def digest_to_restore(
    repository: Repository, name: str, *, digest: str | None = None, move_id: int | None = None
) -> str:
    """`digest`, which the tag pointed to before; or what it pointed to after its move `move_id`.

    After the move that deleted it that is what it pointed to until then. NotFound when there was no such thing.
    """
    moves = TagMove.objects.filter(repository=repository, tag=name)
    if digest is not None:
        if not moves.filter(Q(from_digest=digest) | Q(to_digest=digest)).exists():
            raise NotFound(f"the tag {name} never pointed to {digest}")
        return digest
    move = moves.filter(pk=move_id).first() if move_id is not None else None
    if move is None:
        raise NotFound(f"the tag {name} has no move {move_id}")
    return move.to_digest or move.from_digest or ""


def tags_page(repository_id: int, *, after: str, limit: int) -> tuple[list[str], bool]:
    """Up to `limit` tag names behind `after` in byte order, and whether there are more."""
    names = (
        Tag.objects.filter(repository_id=repository_id, name__gt=after).order_by("name").values_list("name", flat=True)
    )
    page = list(names[: limit + 1])
    return page[:limit], len(page) > limit


def catalog_page(projects: QuerySet[Project], *, after: str, limit: int) -> tuple[list[str], bool]:
    """Up to `limit` full names of repositories of `projects` that hold something, and whether there are more.

    In byte order of project, then of path.
    """
    held = Manifest.objects.filter(repository=OuterRef("pk"))
    rows = (
        Repository.objects.filter(project__in=projects)
        .filter(Exists(held))
        .annotate(of=F("project__name"))
        .order_by("of", "name")
        .values_list("of", "name")
    )
    if after:
        project, _, path = after.partition("/")
        rows = rows.filter(Q(of__gt=project) | Q(of=project, name__gt=path))
    page = [f"{project}/{path}" for project, path in rows[: limit + 1]]
    return page[:limit], len(page) > limit


def referrers_page(
    repository_id: int, subject: Digest, *, artifact_type: str | None, after: int, limit: int, max_bytes: int
) -> tuple[Sequence[Manifest], bool]:
    """Manifests whose subject is `subject`, with ids above `after`, oldest first, and whether there are more.

    Up to `limit` of them, and when there are several, of together up to `max_bytes`: their sizes are read first, for
    their annotations may be as large as they are. Without content.
    """
    rows = Manifest.objects.filter(repository_id=repository_id, subject_digest=str(subject), pk__gt=after)
    if artifact_type is not None:
        rows = rows.filter(artifact_type=artifact_type)
    sizes = list(rows.order_by("pk").values_list("pk", "size")[: limit + 1])
    totals = accumulate(size for _, size in sizes)
    fitting = [pk for (pk, _), total in zip(sizes[:limit], totals, strict=False) if total <= max_bytes]
    chosen = fitting or [pk for pk, _ in sizes[:1]]
    page = Manifest.objects.filter(pk__in=chosen).defer("content").order_by("pk") if chosen else ()
    return list(page), len(chosen) < len(sizes)


def is_referenced(manifest_id: int) -> str | None:
    """The digest of an index that lists the manifest, if there is one."""
    parents = ManifestReference.objects.filter(child_id=manifest_id)
    return parents.values_list("manifest__digest", flat=True).first()
