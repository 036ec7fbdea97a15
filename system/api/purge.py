"""The purge of the audit trail: its runs, and when it runs by itself."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers

from harborlite.rest.fields import Id, Line
from harborlite.rest.openapi import operation
from system.api.scheduled import RUNS, Parameters, RunOut, RunsView, ScheduleIn, ScheduleOut, ScheduleView
from system.purge import KIND, MAX_HOURS, OPERATIONS, OTHER, chosen


class PurgeParameters(Parameters):
    audit_retention_hour = Id(min_value=1, max_value=MAX_HOURS, help_text="Older events are removed.")
    include_event_types = Line(
        max_length=4096,
        required=False,
        allow_blank=True,
        help_text=f"Those that are removed, between commas: any of /auditlog-exts/events, and {OTHER} for all but "
        "create_artifact, delete_artifact and pull_artifact. With none, nothing is removed.",
    )
    include_operations = Line(
        max_length=255,
        required=False,
        allow_blank=True,
        help_text=f"Older clients' way to say it: any of {', '.join(OPERATIONS)}, of whatever resource.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "include_event_types" not in attrs and "include_operations" not in attrs:
            raise serializers.ValidationError({"include_event_types": "it is needed"})
        chosen(attrs)
        return attrs


class PurgeScheduleIn(ScheduleIn):
    parameters = PurgeParameters(required=False, allow_null=True)

    def validate(self, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
        if not attrs.get("parameters") and attrs["schedule"]["type"] != "None":
            raise serializers.ValidationError({"parameters": "audit_retention_hour and include_event_types are needed"})
        return attrs


class PurgeList(RunsView):
    kind = KIND
    needs = {"GET": "purge-audit:list"}

    @operation(gives=RunOut, many=True, listing=RUNS)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The runs of the purge"""
        return self.runs()


class PurgeDetail(RunsView):
    kind = KIND
    needs = {"GET": "purge-audit:read", "PUT": "purge-audit:stop"}

    @operation(gives=RunOut)
    def get(self, request: HttpRequest, purge_id: int) -> HttpResponse:
        """A run of the purge"""
        return self.one(purge_id)

    @operation()
    def put(self, request: HttpRequest, purge_id: int) -> HttpResponse:
        """Stops the run; what is removed stays removed"""
        return self.stop(purge_id)


class PurgeLog(RunsView):
    kind = KIND
    needs = {"GET": "purge-audit:read"}

    @operation(gives=OpenApiTypes.STR, media="text/plain")
    def get(self, request: HttpRequest, purge_id: int) -> HttpResponseBase:
        """What the run wrote down"""
        return self.log(purge_id)


class PurgeSchedule(ScheduleView):
    kind = KIND
    path = "/api/v2.0/system/purgeaudit"
    needs = {"GET": "purge-audit:read", "POST": "purge-audit:create", "PUT": "purge-audit:update"}

    @operation(gives=ScheduleOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """When the purge runs by itself; nothing when it does not"""
        return self.schedule()

    @operation(takes=PurgeScheduleIn, status=201)
    def post(self, request: HttpRequest) -> HttpResponse:
        """Runs the purge now, or says when it runs by itself"""
        return self.created(self.ask(self.body(PurgeScheduleIn)))

    @operation(takes=PurgeScheduleIn)
    def put(self, request: HttpRequest) -> HttpResponse:
        """Says when the purge runs by itself, or that it does not"""
        self.ask(self.body(PurgeScheduleIn))
        return self.done()
