"""Garbage collection: its runs, and when it runs by itself. What it does is in registry.gc."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes

from harborlite.rest.fields import Flag, Id
from harborlite.rest.openapi import operation
from system.api.scheduled import RUNS, Parameters, RunOut, RunsView, ScheduleIn, ScheduleOut, ScheduleView
from system.models import Execution

KIND = "GARBAGE_COLLECTION"
MAX_WORKERS = 10
_HARBORS = {"freed_space": "freed_bytes", "purged_blobs": "blobs", "purged_manifests": "manifests"}


class GcParameters(Parameters):
    delete_untagged = Flag(required=False, default=False, help_text="Artifacts without a tag go too.")
    workers = Id(min_value=1, max_value=MAX_WORKERS, required=False, default=1)


class GcScheduleIn(ScheduleIn):
    parameters = GcParameters(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        defaults = {"dry_run": False, "delete_untagged": False, "workers": 1}
        return {**attrs, "parameters": attrs.get("parameters") or defaults}


class GcOut(RunOut):
    def harbors(self, row: Execution) -> dict[str, Any]:
        return {name: row.result[ours] for name, ours in _HARBORS.items() if ours in row.result}


class GcList(RunsView):
    kind = KIND
    form = GcOut
    needs = {"GET": "garbage-collection:list"}

    @operation(gives=GcOut, many=True, listing=RUNS)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The runs of garbage collection"""
        return self.runs()


class GcDetail(RunsView):
    kind = KIND
    form = GcOut
    needs = {"GET": "garbage-collection:read", "PUT": "garbage-collection:stop"}

    @operation(gives=GcOut)
    def get(self, request: HttpRequest, gc_id: int) -> HttpResponse:
        """A run of garbage collection"""
        return self.one(gc_id)

    @operation()
    def put(self, request: HttpRequest, gc_id: int) -> HttpResponse:
        """Stops the run; what is removed stays removed, and the next run goes on from there"""
        return self.stop(gc_id)


class GcLog(RunsView):
    kind = KIND
    needs = {"GET": "garbage-collection:read"}

    @operation(gives=OpenApiTypes.STR, media="text/plain")
    def get(self, request: HttpRequest, gc_id: int) -> HttpResponseBase:
        """What the run wrote down"""
        return self.log(gc_id)


class GcSchedule(ScheduleView):
    kind = KIND
    path = "/api/v2.0/system/gc"
    needs = {"GET": "garbage-collection:read", "POST": "garbage-collection:create", "PUT": "garbage-collection:update"}

    @operation(gives=ScheduleOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """When garbage is collected by itself; nothing when it is not"""
        return self.schedule()

    @operation(takes=GcScheduleIn, status=201)
    def post(self, request: HttpRequest) -> HttpResponse:
        """Collects garbage now, or says when it is collected by itself"""
        return self.created(self.ask(self.body(GcScheduleIn)))

    @operation(takes=GcScheduleIn)
    def put(self, request: HttpRequest) -> HttpResponse:
        """Says when garbage is collected by itself, or that it is not"""
        self.ask(self.body(GcScheduleIn))
        return self.done()
