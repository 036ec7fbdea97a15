"""Artifacts: of a repository and of a project, one, deleting one."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.errors import BadRequest, Denied, NotFound
from harborlite.rest.listing import Field, Listing, Number, Text, read
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.q import Condition, parse_q
from projects.api.base import ProjectView
from projects.immutability import matcher_for
from projects.models import Project
from registry import artifacts
from registry.api.artifact_out import ArtifactOut
from registry.api.base import ArtifactView, RepositoryView
from registry.api.converters import path_of
from registry.api.copies import CopyQuery, source_of
from registry.artifacts import Artifacts, Shown, Wanted
from registry.models import Manifest, ManifestLabel, Repository, Tag
from registry.oci import names
from registry.oci.manifest import MAX_SIZE
from registry.queries import repository_get
from registry.services.artifacts import artifact_delete
from registry.services.copies import artifact_copy
from registry.services.repositories import repository_ensure

Rows = QuerySet[Manifest]


def _by_tags(rows: Rows, condition: Condition) -> Rows:
    """tags=* the tagged, tags=nil the others, tags=v1 and tags=~v by name."""
    # The repository is said too, so that in one of them the tag is found by its name.
    tags = Tag.objects.filter(manifest=OuterRef("pk"), repository=OuterRef("repository"))
    match condition.match, read(Text, "tags", condition.values[0]):
        case "exact", "*":
            return rows.filter(Exists(tags))
        case "exact", "nil":
            return rows.filter(~Exists(tags))
        case "exact", name:
            return rows.filter(Exists(tags.filter(name=name)))
        case "fuzzy", part:
            return rows.filter(Exists(tags.filter(name__contains=part)))
    raise BadRequest("q: tags is asked for by =, or by =~ for a part")


def _by_labels(rows: Rows, condition: Condition) -> Rows:
    """labels=(1 2): those that have all of these."""
    if condition.match != "all":
        raise BadRequest("q: labels is asked for by =(id id ...), all of which an artifact must have")
    for text in condition.values:
        links = ManifestLabel.objects.filter(manifest=OuterRef("pk"), label=read(Number, "labels", text.strip(",")))
        rows = rows.filter(Exists(links))
    return rows


def _by_base(rows: Rows, condition: Condition) -> Rows:
    """base=* is done by the view."""
    if (condition.match, *condition.values) != ("exact", "*"):
        raise BadRequest("q: base can only be *")
    return rows


def _by_repository(rows: Rows, condition: Condition) -> Rows:
    """repository_name=project/path."""
    if condition.match != "exact":
        raise BadRequest("q: repository_name is asked for by =")
    project, _, path = read(Text, "repository_name", condition.values[0]).partition("/")
    return rows.filter(repository__name=path, repository__project__name=project)


LISTING = Listing(
    {
        "id": Field("pk", Number),
        "type": Field("type"),
        "media_type": Field("config_media_type"),
        "manifest_media_type": Field("media_type"),
        "artifact_type": Field("artifact_type"),
        "digest": Field("digest"),
        "size": Field("artifact_size", Number),
        "push_time": Field("pushed_at", MomentKind),
        "pull_time": Field("pulled_at", MomentKind),
        "project_id": Field("project_id", Number),
        "repository_id": Field("repository_id", Number),
        "repository_name": Field("repository__name", apply=_by_repository, is_sortable=False),
        "tags": Field("tags", apply=_by_tags, is_sortable=False),
        "labels": Field("labels", apply=_by_labels, is_sortable=False),
        "base": Field("base", apply=_by_base, is_sortable=False),
    },
    default="-push_time",
)


class ArtifactQuery(serializers.Serializer[Any]):
    with_tag = serializers.BooleanField(default=True)
    with_label = serializers.BooleanField(default=False)
    with_accessory = serializers.BooleanField(default=False)
    with_inherited_accessory = serializers.BooleanField(
        default=False, help_text="Signatures of the indexes that list an artifact without one of its own."
    )
    with_sizes = serializers.BooleanField(default=False, help_text="What is its own, and what is shared.")
    with_immutable_status = serializers.BooleanField(default=False)
    with_scan_overview = serializers.BooleanField(default=False, help_text="There is none yet.")
    with_sbom_overview = serializers.BooleanField(default=False, help_text="There is none yet.")
    with_signature = serializers.BooleanField(default=False, help_text="Of Harbor's API before 2.9; has no effect.")


class ProjectArtifactQuery(ArtifactQuery):
    latest_in_repository = serializers.BooleanField(
        default=False,
        help_text="Only the artifact of each repository that was pushed last; q names a media_type or artifact_type.",
    )


class ArtifactList(RepositoryView):
    needs = {"GET": "artifact:list", "POST": "artifact:create"}

    @operation(gives=ArtifactOut, many=True, listing=LISTING, query=ArtifactQuery)
    def get(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """The artifacts of a repository

        Children of an index that have no tag are shown with it, and by q=base=*; accessories by with_accessory.
        """
        asked, keys = self.parameters(ArtifactQuery), _keys(request)
        rows = artifacts.artifacts_in(self.repository, with_children="base" in keys)
        count = None if keys else lambda: self.repository.artifact_count
        found = Artifacts(_asked(request, rows).values_list("pk", flat=True), _wanted(asked), count)
        return self.listed(found, None, ArtifactOut, fill=_immutable(self.project, asked))

    @operation(query=CopyQuery, status=201)
    def post(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Copy an artifact into the repository, from another one or another project

        Its children, its accessories and all its tags come along. No bytes move. The repository need not exist.
        """
        artifact, reference = source_of(self.actor, self.parameters(CopyQuery)["from"])
        if artifact.accessory_of is not None:
            raise Denied("an accessory is copied with its subject, not by itself")
        destination = self.destination()
        artifact_copy(
            source=artifact.repository,
            digest=artifact.digest,
            destination=destination,
            actor=self.actor.username,
            actor_id=self.actor.user_id,
        )
        return self.created(f"{path_of(destination)}/artifacts/{reference}")

    def authorize(self, need: str | None) -> None:
        """The repository that is copied into need not be there."""
        if self.request.method == "POST":
            ProjectView.authorize(self, need)
        else:
            super().authorize(need)

    def destination(self) -> Repository:
        """The repository of the path, which exists afterwards."""
        path = self.kwargs["repository"]
        names.check_name(f"{self.project.name}/{path}")
        try:
            return repository_get(self.project, path)
        except NotFound:
            repository_ensure(project=self.project, path=path)
            return repository_get(self.project, path)


class ProjectArtifactList(ProjectView):
    needs = {"GET": "artifact:list"}

    @operation(gives=ArtifactOut, many=True, listing=LISTING, query=ProjectArtifactQuery)
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        """The artifacts of all repositories of a project"""
        asked, keys = self.parameters(ProjectArtifactQuery), _keys(request)
        wanted = _wanted(asked)
        rows = _asked(request, artifacts.artifacts_in(self.project, with_children="base" in keys))
        if asked["latest_in_repository"]:
            if len(keys & {"media_type", "artifact_type"}) != 1:
                raise BadRequest("latest_in_repository: q must name either a media_type or an artifact_type")
            found = Artifacts(artifacts.latest_of(rows, self.project), wanted)
        else:
            count = None if keys else lambda: artifacts.count_in(self.project)
            found = Artifacts(rows.values_list("pk", flat=True), wanted, count)
        return self.listed(found, None, ArtifactOut, fill=_immutable(self.project, asked))


class ArtifactDetail(ArtifactView):
    needs = {"GET": "artifact:read", "DELETE": "artifact:delete"}

    @operation(gives=ArtifactOut, query=ArtifactQuery)
    def get(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """An artifact, also a child of an index or an accessory"""
        asked = self.parameters(ArtifactQuery)
        found = artifacts.shown([self.artifact()], _wanted(asked), MAX_SIZE)
        return self.shown(ArtifactOut(found[0], context=_immutable(self.project, asked)(found)))

    @operation()
    def delete(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """Delete an artifact with all its tags

        Its accessories go with it, and of an index the children that have no tag and that nothing else lists. What an
        index lists can't be deleted: that is 412.
        """
        artifact_delete(repository=self.repository, digest=self.artifact().digest, actor=self.actor.username)
        return self.done()


def _keys(request: HttpRequest) -> set[str]:
    return {condition.key for condition in parse_q(request.GET.get("q", ""))}


def _wanted(asked: Mapping[str, bool]) -> Wanted:
    return Wanted(
        tags=asked["with_tag"],
        labels=asked["with_label"],
        accessories=asked["with_accessory"],
        inherited=asked["with_inherited_accessory"],
        sizes=asked["with_sizes"],
    )


def _immutable(project: Project, asked: Mapping[str, bool]) -> Callable[[list[Shown]], dict[str, Any]]:
    """What TagOut needs to tell which tags are immutable, if the client asked for that."""

    def fill(page: list[Shown]) -> dict[str, Any]:
        if not asked["with_immutable_status"]:
            return {}
        is_immutable = matcher_for(project)
        tags = ((shown.artifact.repository.name, tag) for shown in page for tag in shown.tags or ())
        return {"immutable": {tag.pk for path, tag in tags if is_immutable(path, tag.name)}}

    return fill


def _asked(request: HttpRequest, rows: Rows) -> Rows:
    """What the request's q keeps of `rows`, in the order of its sort."""
    return LISTING.select(rows, request.GET.get("q", ""), request.GET.get("sort", ""))
