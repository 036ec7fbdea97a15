"""REST: projects, whether one may be deleted, and what it has in numbers."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.errors import BadRequest, Denied, NotFound
from harborlite.rest.fields import Flag, Id, Line, Moment
from harborlite.rest.listing import Field, Listing, Number, Text
from harborlite.rest.listing import Flag as FlagKind
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects import metadata, queries, quota, rbac
from projects.api.base import ProjectView
from projects.api.metadata import MetadataIn, MetadataOut
from projects.api.quotas import ResourcesOut
from projects.models import Project
from projects.names import MAX_LENGTH
from projects.roles import Role
from projects.services import projects as services

MOST_IDS = 1000
LISTING = Listing(
    {
        "name": Field("name", Text),
        "project_id": Field("pk", Number),
        "public": Field("is_public", FlagKind),
        "owner": Field("owner__username", Text),
        "owner_id": Field("owner", Number),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
    },
    default="name",
)


class AllowlistItem(serializers.Serializer[Any]):
    cve_id = Line(max_length=64)


class AllowlistIn(serializers.Serializer[Any]):
    project_id = Id(required=False, allow_null=True)
    expires_at = Id(required=False, allow_null=True, help_text="Seconds since 1970; without it, never.")
    items = serializers.ListField(child=AllowlistItem(), required=False, allow_null=True, max_length=MOST_IDS)

    def validate_items(self, items: list[dict[str, str]] | None) -> list[str]:
        names = [item["cve_id"].strip() for item in items or []]
        if "" in names or len(set(names)) < len(names):
            raise serializers.ValidationError("an id is not empty, and stands once")
        return names


class ProjectIn(serializers.Serializer[Any]):
    project_name = Line(required=False, allow_null=True, max_length=MAX_LENGTH)
    public = Flag(required=False, allow_null=True, help_text="Superseded by metadata.public.")
    metadata = MetadataIn(required=False, allow_null=True)
    cve_allowlist = AllowlistIn(required=False, allow_null=True)
    storage_limit = Id(required=False, allow_null=True, min_value=-1, help_text="Bytes; -1 for no limit.")
    registry_id = Id(required=False, allow_null=True)

    def validate_registry_id(self, registry_id: int | None) -> None:
        if registry_id:
            raise serializers.ValidationError("proxy cache projects are not supported")


class ProjectCreateIn(ProjectIn):
    project_name = Line(max_length=MAX_LENGTH)


class AllowlistOut(serializers.Serializer[Project]):
    """A project's own allowlist; it has the project's id."""

    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    creation_time = Moment()
    update_time = Moment()
    expires_at = serializers.IntegerField(allow_null=True)
    items = AllowlistItem(many=True)

    def to_representation(self, instance: Project) -> dict[str, Any]:
        kept = instance.cve_allowlist
        shown = {"id": instance.pk, "project_id": instance.pk, "expires_at": kept.get("expires_at")}
        shown |= {"creation_time": instance.created_at, "update_time": instance.updated_at}
        shown["items"] = [{"cve_id": name} for name in kept.get("items", [])]
        told: dict[str, Any] = super().to_representation(shown)  # type: ignore[arg-type]
        return told


class ProjectOut(serializers.Serializer[Project]):
    """A project with `repo_count`; context: `roles`, of whoever asks, by the project's id."""

    project_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    owner_id = serializers.SerializerMethodField()
    owner_name = serializers.CharField(source="owner.username", required=False)
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")
    deleted = serializers.BooleanField(default=False)
    current_user_role_id = serializers.SerializerMethodField()
    current_user_role_ids = serializers.SerializerMethodField()
    repo_count = serializers.IntegerField()
    metadata = MetadataOut(source="*", required=False)
    cve_allowlist = AllowlistOut(source="*", required=False)

    def get_owner_id(self, project: Project) -> int:
        return project.owner_id or 0

    def get_current_user_role_id(self, project: Project) -> int:
        """The highest of the roles, 0 for none."""
        return int(next(iter(self._roles(project)), 0))

    def get_current_user_role_ids(self, project: Project) -> list[int]:
        return [int(role) for role in self._roles(project)]

    def _roles(self, project: Project) -> list[Role]:
        roles: Mapping[int, list[Role]] = self.context["roles"]
        return roles.get(project.pk, [])


class BriefProjectOut(ProjectOut):
    """Without details."""

    owner_name = metadata = cve_allowlist = None  # type: ignore[assignment]


class ListQuery(serializers.Serializer[Any]):
    name = Line(required=False, help_text="A part of the name.")
    public = serializers.BooleanField(required=False)
    owner = Line(required=False, help_text="The owner's username.")
    with_detail = serializers.BooleanField(default=True)


class ProbeQuery(serializers.Serializer[Any]):
    project_name = Line()


class ProjectList(RestView):
    needs = {"GET": None, "HEAD": SIGNED_IN, "POST": SIGNED_IN}

    @operation(gives=ProjectOut, many=True, listing=LISTING, query=ListQuery)
    def get(self, request: Request) -> HttpResponse:
        """The projects that you may see"""
        asked = self.parameters(ListQuery)
        columns = {"name": "name__icontains", "public": "is_public", "owner": "owner__username"}
        rows = queries.projects_for(self.actor).filter(
            **{column: asked[key] for key, column in columns.items() if key in asked}
        )
        kind = ProjectOut if asked["with_detail"] else BriefProjectOut
        return self.listed(rows, LISTING, kind, fill=self._roles)

    def _roles(self, projects: list[Project]) -> dict[str, Any]:
        return {"roles": queries.roles_of(self.actor, projects)}

    @operation(query=ProbeQuery)
    def head(self, request: Request) -> HttpResponse:
        """Whether there is a project of that name, which you may see"""
        name = self.parameters(ProbeQuery)["project_name"]
        if not queries.projects_for(self.actor).filter(name=name).exists():
            raise NotFound("there is no such project")
        return self.done()

    @operation(takes=ProjectCreateIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create a project"""
        if not rbac.may_create_projects(self.actor):
            raise Denied("only administrators of the system may create projects")
        given = self.body(ProjectCreateIn)
        flags = metadata.of_request(given.get("metadata") or {})
        project = services.project_create(
            name=given["project_name"],
            owner=self.actor,
            is_public=bool(given.get("public")),
            flags=flags,
            allowlist=_allowlist(given),
            storage_limit=self._storage_limit(given),
        )
        root = "/api/v2.0/projects"
        return self.created(f"{root}/{project.pk}", f"{root}/{project.name}")

    def _storage_limit(self, given: Mapping[str, Any]) -> int | None:
        """What was asked for, by whom it is theirs to say; else None, for what is configured."""
        return given.get("storage_limit") or None if "project:create" in rbac.system_actions(self.actor) else None


class ProjectDetail(ProjectView):
    needs = {"GET": "project:read", "PUT": "project:update", "DELETE": "project:delete"}

    @operation(gives=ProjectOut)
    def get(self, request: Request, project: str) -> HttpResponse:
        """A project"""
        found = queries.project_counted(self.project)
        return self.shown(ProjectOut(found, context={"roles": queries.roles_of(self.actor, [found])}))

    @operation(takes=ProjectIn)
    def put(self, request: Request, project: str) -> HttpResponse:
        """Change the metadata and CVE allowlist of a project

        What is left out stays as it is. The name can't change; the limit of its size is that of its quota.
        """
        given = self.body(ProjectIn)
        named = (given.get("cve_allowlist") or {}).get("project_id")
        if named and named != self.project.pk:
            raise BadRequest(f"cve_allowlist.project_id: it is {self.project.pk}")
        own = self.project.metadata.get(metadata.RETENTION)
        flags = metadata.of_request(given.get("metadata") or {}, retention_id=own)
        services.project_update(project=self.project, flags=flags, allowlist=_allowlist(given))
        return self.done()

    @operation()
    def delete(self, request: Request, project: str) -> HttpResponse:
        """Delete a project that has no repositories"""
        services.project_delete(project=self.project)
        return self.done()


class DeletableOut(serializers.Serializer[Any]):
    deletable = serializers.BooleanField()
    message = serializers.CharField(required=False)


class ProjectDeletable(ProjectView):
    needs = {"GET": "project:delete"}

    @operation(gives=DeletableOut)
    def get(self, request: Request, project: str) -> HttpResponse:
        """Whether a project can be deleted, and why not"""
        if queries.has_repositories(self.project):
            return self.shown(DeletableOut({"deletable": False, "message": services.HAS_REPOSITORIES}))
        return self.shown(DeletableOut({"deletable": True}))


class UsageOut(serializers.Serializer[Any]):
    hard = ResourcesOut()
    used = ResourcesOut()


class SummaryOut(serializers.Serializer[Any]):
    repo_count = serializers.IntegerField()
    project_admin_count = serializers.IntegerField(required=False)
    maintainer_count = serializers.IntegerField(required=False)
    developer_count = serializers.IntegerField(required=False)
    guest_count = serializers.IntegerField(required=False)
    limited_guest_count = serializers.IntegerField(required=False)
    quota = UsageOut(required=False)


class ProjectSummary(ProjectView):
    needs = {"GET": "project:read"}

    @operation(gives=SummaryOut)
    def get(self, request: Request, project: str) -> HttpResponse:
        """A project in numbers, as far as you may see them"""
        granted = rbac.actions(self.actor, self.project)
        told: dict[str, Any] = {"repo_count": queries.repository_count(self.project)}
        if "quota:read" in granted:
            usage = quota.of(self.project.pk)
            told["quota"] = {"hard": {"storage": usage.hard}, "used": {"storage": usage.used}}
        if "member:list" in granted:
            counts = queries.member_counts(self.project)
            told |= {f"{_COUNTED[role]}_count": number for role, number in counts.items()}
        return self.shown(SummaryOut(told))


_COUNTED = {role: "project_admin" if role is Role.ADMIN else role.name.lower() for role in Role}


def _allowlist(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of the CVE allowlist that was sent; None when none was."""
    allowlist = given.get("cve_allowlist")
    if allowlist is None:
        return None
    return {"items": allowlist.get("items") or [], "expires_at": allowlist.get("expires_at") or None}
