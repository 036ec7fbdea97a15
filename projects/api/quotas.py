"""Quotas: how many bytes each project may hold, and holds. Outside projects: who sees to the instance sees to them."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Id, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from projects import quota
from projects.models import Quota
from projects.services import quotas

REFERENCE = "project"
"""The only kind of thing that has a quota."""

LISTING = Listing(
    {
        "id": Field("pk", Number),
        "reference_id": Field("project_id", Number),
        "name": Field("project__name"),
        "hard.storage": Field("limit", Number),
        "used.storage": Field("used", Number),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
    }
)


class RefOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    owner_name = serializers.CharField()


class ResourcesOut(serializers.Serializer[Any]):
    storage = serializers.IntegerField(help_text="Bytes; as a limit, -1 for none.")


class QuotaOut(serializers.Serializer[Quota]):
    id = serializers.IntegerField()
    ref = serializers.SerializerMethodField()
    hard = serializers.SerializerMethodField()
    used = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")

    def get_ref(self, row: Quota) -> RefOut:
        owner = row.project.owner
        return {"id": row.project_id, "name": row.project.name, "owner_name": owner.username if owner else ""}  # type: ignore[return-value]  # for the description

    def get_hard(self, row: Quota) -> ResourcesOut:
        return {"storage": row.hard}  # type: ignore[return-value]

    def get_used(self, row: Quota) -> ResourcesOut:
        return {"storage": row.used}  # type: ignore[return-value,attr-defined]  # annotated


class QuotaIn(serializers.Serializer[Any]):
    hard = serializers.DictField(
        child=Id(min_value=quota.UNLIMITED),
        help_text='{"storage": bytes}, -1 for no limit; there is no other resource.',
    )

    def validate_hard(self, value: Mapping[str, int]) -> int:
        for resource in value:
            if resource != "storage":
                raise serializers.ValidationError(f"resource {resource[:80]!a} is not supported")
        if "storage" not in value:
            raise serializers.ValidationError("resource storage not found")
        return value["storage"]


class QuotasIn(serializers.Serializer[Any]):
    reference = serializers.CharField(required=False, help_text="Of what kind; all are of projects.")
    reference_id = serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, help_text="The project's id."
    )


class QuotaList(RestView):
    needs = {"GET": "quota:list"}

    @operation(gives=QuotaOut, many=True, listing=LISTING, query=QuotasIn)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The quotas of all projects"""
        asked, rows = self.parameters(QuotasIn), quota.quotas_list()
        if asked.get("reference", REFERENCE) != REFERENCE:
            rows = rows.none()
        if "reference_id" in asked:
            rows = rows.filter(project=asked["reference_id"])
        return self.listed(rows, LISTING, QuotaOut)


class QuotaDetail(RestView):
    needs = {"GET": "quota:read", "PUT": "quota:update"}

    @operation(gives=QuotaOut)
    def get(self, request: HttpRequest, quota_id: int) -> HttpResponse:
        """One quota"""
        return self.shown(QuotaOut(quota.quota_get(quota_id)))

    @operation(takes=QuotaIn)
    def put(self, request: HttpRequest, quota_id: int) -> HttpResponse:
        """Set how many bytes a project may hold"""
        quotas.quota_update(quota_id=quota_id, hard=self.body(QuotaIn)["hard"])
        return self.done()
