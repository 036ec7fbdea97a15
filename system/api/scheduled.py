"""A job of the instance that runs by a schedule or when somebody asks for it: what Harbor's API has of each such kind.

    .../                 its runs, the newest first
    .../{id}, {id}/log   one of them; PUT stops it
    .../schedule         when it runs by itself. A type of Manual runs it now, None takes the schedule away

The paths and the parameters of each kind stand in modules of their own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from django.http import HttpResponse, StreamingHttpResponse
from rest_framework import serializers

from harborlite.errors import NotFound
from harborlite.http import TransferSlot
from harborlite.rest.fields import Flag, Line, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.views import RestView
from system import jobs, monitor, queries
from system.models import Execution, Schedule
from system.services.jobs import job_start, job_stop, schedule_remove, schedule_save

CRONS = {"Hourly": "0 0 * * * *", "Daily": "0 0 0 * * *", "Weekly": "0 0 0 * * 0"}
"""What the words mean when they come without a cron."""
TYPES = (*CRONS, "Custom", "Manual", "None", "Schedule")
_LINES = 500  # that are sent at a time

RUNS = Listing(
    {
        "id": Field("pk", Number),
        "job_status": Field("status"),
        "status": Field("status"),
        "job_kind": Field("trigger"),
        "trigger": Field("trigger"),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
        "start_time": Field("started_at", MomentKind),
        "end_time": Field("ended_at", MomentKind),
    },
    default="-id",
)


# What is taken.


class Parameters(serializers.Serializer[Any]):
    """Of a job. A key that it does not know is refused: a misspelt one may be the one that was to hold it back."""

    dry_run = Flag(required=False, default=False, help_text="Only tells what would be removed.")

    def to_internal_value(self, data: Any) -> Any:
        for name in data if isinstance(data, Mapping) else ():
            if name not in self.fields:
                raise serializers.ValidationError(f"{str(name)[:80]!a} is not one of {', '.join(self.fields)}")
        return super().to_internal_value(data)


class TimesIn(serializers.Serializer[Any]):
    type = serializers.ChoiceField(TYPES, help_text="Manual: now, once. None: never by itself. Schedule is Custom.")
    cron = Line(
        max_length=128,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Six fields, seconds first. Hourly, Daily and Weekly know theirs.",
    )
    time_zone = Line(
        max_length=64, required=False, allow_null=True, help_text="In which cron is read, such as Europe/Berlin; UTC."
    )

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        kind = {"Schedule": "Custom"}.get(attrs["type"], attrs["type"])
        cron = attrs.get("cron") or CRONS.get(kind, "")
        if kind == "Custom" and not cron:
            raise serializers.ValidationError({"cron": "it is needed"})
        if cron and cron.split()[:1] != ["0"]:
            raise serializers.ValidationError({"cron": "its first field, the second, must be 0"})
        return {"type": kind, "cron": cron, "time_zone": attrs.get("time_zone") or "UTC"}


class ScheduleIn(serializers.Serializer[Any]):
    """With `parameters` of its kind's own, which whoever takes the schedule away need not know."""

    schedule = TimesIn()

    def to_internal_value(self, data: Any) -> Any:
        times = data.get("schedule") if isinstance(data, Mapping) else None
        if isinstance(times, Mapping) and times.get("type") == "None":
            data = {"schedule": times}
        return super().to_internal_value(data)


# What is given.


class TimesOut(serializers.Serializer[Any]):
    type = serializers.CharField()
    cron = serializers.CharField()
    next_scheduled_time = Moment()
    time_zone = serializers.CharField(required=False)


class ProgressOut(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True, help_text="Null while nobody knows.")
    unit = serializers.CharField()
    percent = serializers.IntegerField(allow_null=True)


class RunOut(serializers.Serializer[Execution]):
    """Harbor's form, and behind it what Harbor's does not tell. `context` has the progress of each run by its id."""

    id = serializers.IntegerField()
    job_name = serializers.CharField(source="kind")
    job_kind = serializers.CharField(source="trigger")
    job_parameters = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    job_status = serializers.CharField(source="status")
    deleted = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")
    start_time = Moment(source="started_at")
    end_time = Moment(source="ended_at")
    username = serializers.CharField(help_text="Who asked for it; empty for a schedule.")
    status_message = serializers.CharField()
    progress = serializers.SerializerMethodField()
    result = serializers.DictField()

    def harbors(self, row: Execution) -> dict[str, Any]:
        """What Harbor tells among the parameters, of what came of it."""
        return {}

    def get_job_parameters(self, row: Execution) -> str:
        return json.dumps({**row.parameters, **self.harbors(row)})

    def get_schedule(self, row: Execution) -> TimesOut:
        return TimesOut({"type": row.trigger.capitalize(), "cron": "", "next_scheduled_time": None}).data  # type: ignore[return-value]  # for the description

    def get_deleted(self, row: Execution) -> bool:
        return False

    def get_progress(self, row: Execution) -> ProgressOut:
        return self.context["progress"][row.pk]  # type: ignore[no-any-return]


class ScheduleOut(serializers.Serializer[Schedule]):
    """In the form of a run, as Harbor's."""

    id = serializers.IntegerField()
    job_name = serializers.SerializerMethodField()
    job_kind = serializers.CharField(source="cron")
    job_parameters = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    job_status = serializers.SerializerMethodField()
    deleted = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")

    def get_job_name(self, row: Schedule) -> str:
        return ""

    def get_job_parameters(self, row: Schedule) -> str:
        return json.dumps(row.parameters)

    def get_schedule(self, row: Schedule) -> TimesOut:
        return TimesOut(
            {"type": row.type, "cron": row.cron, "next_scheduled_time": row.next_at, "time_zone": row.time_zone}
        ).data  # type: ignore[return-value]

    def get_job_status(self, row: Schedule) -> str:
        return ""

    def get_deleted(self, row: Schedule) -> bool:
        return False


# The views.


class RunsView(RestView):
    """Something of the jobs of one kind."""

    kind: ClassVar[str]
    form: ClassVar[type[RunOut]] = RunOut

    def run(self, number: int) -> Execution:
        """NotFound when there is none of this kind."""
        found = queries.executions_of(self.kind).filter(pk=number).first()
        if found is None:
            raise NotFound(f"there is no run {number}")
        return found

    def runs(self) -> HttpResponse:
        return self.listed(queries.executions_of(self.kind), RUNS, self.form, fill=self._context)

    def one(self, number: int) -> HttpResponse:
        run = self.run(number)
        return self.shown(self.form(run, context=self._context([run])))

    def stop(self, number: int) -> HttpResponse:
        job_stop(execution=self.run(number))
        return self.done()

    def log(self, number: int) -> StreamingHttpResponse:
        return text(queries.log_of(self.run(number)))

    def _context(self, runs: Sequence[Execution]) -> dict[str, Any]:
        return {"progress": monitor.progress_of([run.pk for run in runs])}


class ScheduleView(RunsView):
    """When jobs of one kind run by themselves. `path` is that of its runs."""

    path: ClassVar[str]

    def schedule(self) -> HttpResponse:
        """200 without a body when there is none: by that Terraform knows that it has to make one."""
        schedule = jobs.schedule_get(self.kind)
        return self.shown(ScheduleOut(schedule)) if schedule else self.done()

    def ask(self, wanted: Mapping[str, Any]) -> str:
        """Does what the body says; the path of what came of it."""
        times, parameters = wanted["schedule"], wanted.get("parameters") or {}
        if times["type"] == "Manual":
            return f"{self.path}/{job_start(kind=self.kind, parameters=parameters).pk}"
        if times["type"] == "None":
            schedule_remove(kind=self.kind)
        else:
            schedule_save(kind=self.kind, **times, parameters=parameters)
        return f"{self.path}/schedule"


def text(lines: Iterable[str]) -> StreamingHttpResponse:
    """A log, sent as it is read."""
    return StreamingHttpResponse(
        _sent(lines, TransferSlot()),
        content_type="text/plain; charset=utf-8",
        headers={"X-Content-Type-Options": "nosniff"},
    )


def _sent(lines: Iterable[str], slot: TransferSlot) -> Iterator[bytes]:
    try:
        rest = iter(lines)
        while batch := list(islice(rest, _LINES)):
            yield "".join(f"{line}\n" for line in batch).encode()
    finally:
        slot.release()
