"""REST: labels, of a project (scope p) or of the whole instance (scope g)."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.errors import BadRequest
from harborlite.rest.fields import Id, Line, Moment
from harborlite.rest.fields import Text as TextField
from harborlite.rest.listing import Field, Listing, Number, Text
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects import queries
from projects.models import Label, Project
from projects.services import labels as services

GLOBAL, OF_PROJECT = "g", "p"
LISTING = Listing(
    {
        "name": Field("name", Text),
        "description": Field("description", Text),
        "color": Field("color", Text),
        "id": Field("pk", Number),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
    },
    default="name",
)


class LabelIn(serializers.Serializer[Any]):
    name = Line(max_length=128)
    description = TextField(required=False, allow_blank=True, default="")
    color = serializers.RegexField(
        r"^(#[0-9A-Fa-f]{3,8}|[A-Za-z]{1,16})?\Z", required=False, allow_blank=True, default="", max_length=16
    )


class LabelCreateIn(LabelIn):
    scope = serializers.ChoiceField([GLOBAL, OF_PROJECT])
    project_id = Id(required=False, allow_null=True)


class LabelOut(serializers.Serializer[Label]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    color = serializers.CharField()
    scope = serializers.SerializerMethodField()
    project_id = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")

    def get_scope(self, label: Label) -> str:
        """g for the whole instance, p for a project."""
        return GLOBAL if label.project_id is None else OF_PROJECT

    def get_project_id(self, label: Label) -> int:
        """0 for the whole instance."""
        return label.project_id or 0


class ListQuery(serializers.Serializer[Any]):
    scope = serializers.ChoiceField([GLOBAL, OF_PROJECT])
    project_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    name = Line(required=False, help_text="A part of the name.")


class LabelList(RestView):
    needs = {"GET": None, "POST": SIGNED_IN}

    @operation(gives=LabelOut, many=True, listing=LISTING, query=ListQuery)
    def get(self, request: Request) -> HttpResponse:
        """The labels of a project, or of the whole instance"""
        asked = self.parameters(ListQuery)
        rows = queries.labels_of(self._home(asked, "label:list") if asked["scope"] == OF_PROJECT else None)
        if asked["scope"] == GLOBAL:
            self.authorize(SIGNED_IN)
        if "name" in asked:
            rows = rows.filter(name__icontains=asked["name"])
        return self.listed(rows, LISTING, LabelOut)

    @operation(takes=LabelCreateIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create a label"""
        given = self.body(LabelCreateIn)
        project = self._home(given, "label:create") if given["scope"] == OF_PROJECT else None
        if project is None:
            self.authorize("label:create")
        values = {key: given[key] for key in ("name", "description", "color")}
        label = services.label_create(project=project, **values)
        return self.created(f"/api/v2.0/labels/{label.pk}")

    def _home(self, given: dict[str, Any], action: str) -> Project:
        """The project that the request names, in which the caller may do `action`."""
        if not given.get("project_id"):
            raise BadRequest("project_id: it is needed for scope p")
        return queries.project_for(self.actor, given["project_id"], action)


class LabelDetail(RestView):
    needs = {"GET": None, "PUT": SIGNED_IN, "DELETE": SIGNED_IN}

    @operation(gives=LabelOut)
    def get(self, request: Request, label_id: int) -> HttpResponse:
        """A label"""
        return self.shown(LabelOut(queries.label_for(self.actor, label_id, "label:read")))

    @operation(takes=LabelIn)
    def put(self, request: Request, label_id: int) -> HttpResponse:
        """Change what a label is called and how it looks; whose it is can't change"""
        label = queries.label_for(self.actor, label_id, "label:update")
        services.label_update(label=label, **self.body(LabelIn))
        return self.done()

    @operation()
    def delete(self, request: Request, label_id: int) -> HttpResponse:
        """Delete a label, also from all artifacts that have it"""
        services.label_delete(label=queries.label_for(self.actor, label_id, "label:delete"))
        return self.done()
