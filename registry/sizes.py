"""How big things are, in three numbers that add up to what people ask.

    logical   every artifact by itself: what there would be if nothing were shared
    unique    blobs that nothing else holds, each once: what deleting the thing gives back
    shared    blobs that something else holds too, each once; they stay

unique + shared is what the thing's blobs take up. "Something else" is in the same project, whose quota gets the unique
bytes back: what other projects hold is not told to who can't see them. Only of a project as a whole it is another one,
and the caller says which ones count. The number of queries does not grow with what is asked about.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Case, Count, Exists, F, OuterRef, QuerySet, Sum, When

from projects.models import Project
from registry.models import Blob, Manifest, ProjectBlob, RepositoryBlob
from registry.oci.media_types import INDEXES


@dataclass(frozen=True, slots=True)
class Sizes:
    """In bytes."""

    logical: int = 0
    unique: int = 0
    shared: int = 0


# tree: an artifact with its children, and theirs. kept: children that stay when it is deleted, since they have a tag
# or another index lists them. Somebody else holds a blob when a manifest that is not in `gone` references it; the first
# such is enough (LIMIT 1), for there may be a hundred thousand images on one base layer.
_ARTIFACTS = """
    WITH RECURSIVE tree (root, manifest) AS (
        SELECT id, id FROM registry_manifest WHERE id = ANY (%(ids)s)
        UNION
        SELECT tree.root, reference.child_id
        FROM tree JOIN registry_manifestreference AS reference ON reference.manifest_id = tree.manifest
        WHERE reference.child_id IS NOT NULL
    ), kept (root, manifest) AS (
        SELECT root, manifest FROM tree
        WHERE manifest <> root AND (
            EXISTS (SELECT FROM registry_tag AS tag WHERE tag.manifest_id = tree.manifest)
            OR EXISTS (
                SELECT FROM registry_manifestreference AS parent
                WHERE parent.child_id = tree.manifest AND NOT EXISTS (
                    SELECT FROM tree AS inside WHERE inside.root = tree.root AND inside.manifest = parent.manifest_id
                )
            )
        )
        UNION
        SELECT kept.root, reference.child_id
        FROM kept JOIN registry_manifestreference AS reference ON reference.manifest_id = kept.manifest
        WHERE reference.child_id IS NOT NULL
    ), gone AS (
        SELECT root, manifest FROM tree EXCEPT SELECT root, manifest FROM kept
    ), held AS (
        SELECT DISTINCT tree.root, link.holding_id
        FROM tree
        JOIN registry_manifestreference AS reference ON reference.manifest_id = tree.manifest
        JOIN registry_repositoryblob AS link ON link.id = reference.link_id
    )
    SELECT manifest.id, manifest.artifact_size,
        coalesce(sum(holding.size) FILTER (WHERE other.holds IS NULL), 0),
        coalesce(sum(holding.size) FILTER (WHERE other.holds), 0)
    FROM registry_manifest AS manifest
    LEFT JOIN held ON held.root = manifest.id
    LEFT JOIN registry_projectblob AS holding ON holding.id = held.holding_id
    LEFT JOIN LATERAL (
        SELECT true AS holds
        FROM registry_repositoryblob AS link
        JOIN registry_manifestreference AS reference ON reference.link_id = link.id
        WHERE link.holding_id = held.holding_id AND NOT EXISTS (
            SELECT FROM gone WHERE gone.root = held.root AND gone.manifest = reference.manifest_id
        )
        LIMIT 1
    ) AS other ON true
    WHERE manifest.id = ANY (%(ids)s)
    GROUP BY manifest.id
"""


_OWN = Case(When(media_type__in=INDEXES, then=F("size")), default=F("artifact_size"))
"""Of a manifest with its blobs; an index's children are manifests of their own."""


def of_artifacts(manifest_ids: Collection[int]) -> dict[int, Sizes]:
    """By manifest; an index counts with its children. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_ARTIFACTS, {"ids": list(manifest_ids)})
        return {pk: Sizes(logical, int(unique), int(shared)) for pk, logical, unique, shared in cursor.fetchall()}


def of_repositories(repository_ids: Collection[int]) -> dict[int, Sizes]:
    """By repository. Three queries."""
    links = RepositoryBlob.objects.filter(repository__in=repository_ids)
    others = RepositoryBlob.objects.filter(holding=OuterRef("holding")).exclude(repository=OuterRef("repository"))
    return _sizes(
        repository_ids,
        logical=_sums(Manifest.objects.filter(repository__in=repository_ids), "repository", _OWN),
        held=_sums(links, "repository", "holding__size"),
        shared=_sums(links.filter(Exists(others)), "repository", "holding__size"),
    )


def of_project(project: Project, among: QuerySet[Project]) -> Sizes:
    """Blobs are shared when another of the projects `among` holds them. Three queries."""
    blobs = ProjectBlob.objects.filter(project=project)
    others = ProjectBlob.objects.filter(blob=OuterRef("blob"), project__in=among).exclude(project=project)
    return _sizes(
        [project.pk],
        logical=_sums(Manifest.objects.filter(project=project), "project", _OWN),
        held=_sums(blobs, "project", "size"),
        shared=_sums(blobs.filter(Exists(others)), "project", "size"),
    )[project.pk]


def of_system() -> Sizes:
    """Of all that is stored; what several projects hold is shared. Three queries."""
    blobs = Blob.objects.order_by()
    several = ProjectBlob.objects.order_by().values("blob").annotate(count=Count("pk")).filter(count__gt=1)
    held = blobs.aggregate(sum=Sum("size"))["sum"] or 0
    shared = blobs.filter(pk__in=several.values("blob")).aggregate(sum=Sum("size"))["sum"] or 0
    logical = Manifest.objects.aggregate(sum=Sum(_OWN))["sum"] or 0
    return Sizes(int(logical), int(held - shared), int(shared))


def _sizes(
    ids: Collection[int], *, logical: Mapping[int, int], held: Mapping[int, int], shared: Mapping[int, int]
) -> dict[int, Sizes]:
    return {pk: Sizes(logical.get(pk, 0), held.get(pk, 0) - shared.get(pk, 0), shared.get(pk, 0)) for pk in ids}


def _sums(rows: QuerySet[Any], by: str, size: str | Case) -> dict[int, int]:
    """The sum of `size` over `rows`, by the column `by`."""
    sums = rows.order_by().values(by).annotate(sum=Sum(size))
    return {key: int(total) for key, total in sums.values_list(by, "sum")}
