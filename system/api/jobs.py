"""Jobs as those see them who watch over the instance: its workers, what each does, what waits, what they wrote down.

A job of Harbor's is a task here; what Harbor calls the type of a job is a kind of system.jobs.kinds.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers

from harborlite.errors import NotFound
from harborlite.rest.fields import Moment
from harborlite.rest.listing import Field, Listing, Number, page_of
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from system import monitor, queries
from system.api.scheduled import ProgressOut, text
from system.models import Task
from system.services import jobs

ALL = "all"
"""Every pool, job or type: Harbor's word, in whatever case."""
ACTIONS = {"stop": jobs.queue_stop, "pause": jobs.queue_pause, "resume": jobs.queue_resume}

JOBS = Listing(
    {
        "id": Field("pk", Number),
        "execution_id": Field("execution_id", Number),
        # Not to be sorted by: there may be a million, and no index has them in such an order.
        "job_type": Field("kind", is_sortable=False),
        "name": Field("name", is_sortable=False),
        "queue": Field("queue", is_sortable=False),
        "status": Field("status", is_sortable=False),
        "worker": Field("worker", is_sortable=False),
    },
    default="-id",
)


class PoolOut(serializers.Serializer[Any]):
    """A worker's main process; the workers of the pool are what it runs at a time."""

    worker_pool_id = serializers.CharField(source="name")
    pid = serializers.IntegerField(source="process")
    host = serializers.CharField()
    concurrency = serializers.IntegerField()
    queues = serializers.ListField(child=serializers.CharField())
    start_at = Moment(source="started_at")
    heartbeat_at = Moment(source="seen_at")


class WorkerOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    pool_id = serializers.CharField()
    job_name = serializers.CharField(required=False, help_text="Of the job that it does, if it does any.")
    job_id = serializers.CharField(required=False)
    start_at = Moment(required=False)
    check_in = serializers.CharField(required=False, help_text="How far it is.")
    checkin_at = Moment(required=False)


class JobOut(serializers.Serializer[Task]):
    id = serializers.IntegerField()
    execution_id = serializers.IntegerField()
    job_type = serializers.CharField(source="kind")
    name = serializers.CharField()
    queue = serializers.CharField()
    status = serializers.CharField()
    status_message = serializers.CharField()
    attempt = serializers.IntegerField()
    worker = serializers.CharField()
    progress = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    start_time = Moment(source="started_at")
    update_time = Moment(source="updated_at")
    end_time = Moment(source="ended_at")

    def get_progress(self, row: Task) -> ProgressOut:
        return monitor.progress(row.done, row.total, row.unit)  # type: ignore[return-value]  # for the description


class QueueOut(serializers.Serializer[Any]):
    job_type = serializers.CharField()
    count = serializers.IntegerField()
    latency = serializers.IntegerField(help_text="Seconds that the first of them has waited.")
    paused = serializers.BooleanField()


class ActionIn(serializers.Serializer[Any]):
    action = serializers.ChoiceField(tuple(ACTIONS), help_text="stop: what nobody has begun never will be.")


class JobServiceView(RestView):
    def types(self, named: str) -> list[str]:
        """The job types that the path names. NotFound when there is none so named."""
        if named.lower() == ALL:
            return list(monitor.TYPES)
        if named.upper() not in monitor.TYPES:
            raise NotFound(f"there is no job type {named[:80]!a}")
        return [named.upper()]

    def job(self, named: str) -> Task:
        """NotFound when there is none."""
        is_number = named.isascii() and named.isdecimal() and len(named) < 19
        found = Task.objects.filter(pk=int(named)).first() if is_number else None
        if found is None:
            raise NotFound(f"there is no job {named[:80]!a}")
        return found


class PoolList(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=PoolOut, many=True, is_paged=False)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The worker processes that were seen lately"""
        return self.shown(PoolOut(monitor.pools(), many=True))


class WorkerList(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=WorkerOut, many=True, is_paged=False)
    def get(self, request: HttpRequest, pool_id: str) -> HttpResponse:
        """What the workers of a pool do, or with `all` those of every pool"""
        pools = monitor.pools()
        if pool_id.lower() != ALL:
            pools = pools.filter(name=pool_id)
            if not pools:
                raise NotFound(f"there is no worker pool {pool_id[:80]!a}")
        return self.shown(WorkerOut(list(monitor.workers(pools)), many=True))


class JobList(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=JobOut, many=True, listing=JOBS)
    def get(self, request: HttpRequest) -> HttpResponse:
        """All jobs that are remembered"""
        selected = JOBS.select(Task.objects.all(), request.GET.get("q", ""), request.GET.get("sort", ""))
        page = page_of(request, selected, count=queries.count)
        return self.paged(page, JobOut(instance=list(page.rows), many=True).data)  # type: ignore[arg-type]


class JobDetail(JobServiceView):
    needs = {"PUT": "jobservice-monitor:stop"}

    @operation()
    def put(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Stops a job, or with `all` those that are being done"""
        if job_id.lower() == ALL:
            jobs.running_stop()
        else:
            jobs.task_stop(task=self.job(job_id))
        return self.done()


class JobLog(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=OpenApiTypes.STR, media="text/plain")
    def get(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """What a job wrote down"""
        return text(queries.log_of(self.job(job_id)))


class QueueList(JobServiceView):
    needs = {"GET": "jobservice-monitor:list"}

    @operation(gives=QueueOut, many=True, is_paged=False)
    def get(self, request: HttpRequest) -> HttpResponse:
        """What waits, by type"""
        return self.shown(QueueOut(monitor.queues(), many=True))


class QueueDetail(JobServiceView):
    needs = {"PUT": "jobservice-monitor:stop"}

    @operation(takes=ActionIn)
    def put(self, request: HttpRequest, job_type: str) -> HttpResponse:
        """Stops what waits of a type, or holds the type back until it is resumed; with `all` of every type

        Of the type SCHEDULER: no schedule begins anything.
        """
        act = ACTIONS[self.body(ActionIn)["action"]]
        act(kinds=self.types(job_type))
        return self.done()
