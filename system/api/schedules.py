"""All schedules of the instance, of whatever kind, and whether schedules are held back."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Moment
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN
from system import monitor
from system.api.jobs import ALL, JobServiceView
from system.jobs.kinds import SCHEDULER
from system.models import Schedule


class ScheduleTaskOut(serializers.Serializer[Schedule]):
    """Harbor's form, and what else one wants to know of a cron."""

    id = serializers.IntegerField()
    vendor_type = serializers.CharField(source="kind")
    vendor_id = serializers.IntegerField()
    cron = serializers.CharField()
    update_time = Moment(source="updated_at")
    type = serializers.CharField()
    time_zone = serializers.CharField()
    next_scheduled_time = Moment(source="next_at")
    enabled = serializers.BooleanField(source="is_enabled")


class PausedOut(serializers.Serializer[Any]):
    paused = serializers.BooleanField()


class ScheduleList(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=ScheduleTaskOut, many=True)
    def get(self, request: HttpRequest) -> HttpResponse:
        """All schedules, the newest first"""
        return self.listed(Schedule.objects.order_by("-pk"), None, ScheduleTaskOut)


class SchedulePaused(JobServiceView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=PausedOut)
    def get(self, request: HttpRequest, job_type: str) -> HttpResponse:
        """Whether the schedules of a type begin nothing; with `all`, whether no schedule does"""
        asked = SCHEDULER if job_type.lower() == ALL else self.types(job_type)[0]
        return self.shown(PausedOut({"paused": not monitor.paused_kinds().isdisjoint({asked, SCHEDULER})}))
