"""REST: deleted projects, as long as they can be restored. Their repositories are restored in them (registry.api)."""

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.errors import Denied
from harborlite.rest.fields import Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects import queries, rbac
from projects.models import DeletedProject, Project
from projects.services import deletions

LISTING = Listing(
    {
        "project_id": Field("project_id", Number),
        "name": Field("name"),
        "username": Field("username"),
        "op_time": Field("at", MomentKind),
        "expires_at": Field("expires_at", MomentKind),
    },
    default="-op_time",
)


class DeletedProjectOut(serializers.Serializer[DeletedProject]):
    project_id = serializers.IntegerField()
    name = serializers.CharField()
    username = serializers.CharField(help_text="Who deleted it.")
    op_time = Moment(source="at")
    expires_at = Moment(help_text="Until then it can be restored.")


class RestoredProjectOut(serializers.Serializer[Project]):
    project_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class DeletedProjectList(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=DeletedProjectOut, many=True, listing=LISTING)
    def get(self, request: Request) -> HttpResponse:
        """The deleted projects that you may restore: those you were an administrator of"""
        return self.listed(queries.deleted_projects_for(self.actor).defer("rows"), LISTING, DeletedProjectOut)


class DeletedProjectDetail(RestView):
    needs = {"DELETE": SIGNED_IN}

    @operation()
    def delete(self, request: Request, project_id: int) -> HttpResponse:
        """Delete a deleted project for good: it can't be restored any more"""
        deletions.deleted_project_purge(deleted=queries.deleted_project_for(self.actor, project_id))
        return self.done()


class DeletedProjectRestore(RestView):
    needs = {"POST": SIGNED_IN}

    @operation(gives=RestoredProjectOut)
    def post(self, request: Request, project_id: int) -> HttpResponse:
        """Restore a deleted project with its members, robots, labels, rules and quota

        Its repositories were deleted before it; they are restored one by one, from its deletions.
        """
        deleted = queries.deleted_project_for(self.actor, project_id)
        if not rbac.may_create_projects(self.actor):
            raise Denied("only administrators of the system may create projects")
        return self.shown(RestoredProjectOut(deletions.project_restore(deleted=deleted)))
