"""REST: runs of retention policies, what they do in each repository, and what they decide about each artifact."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Flag, Id, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Flag as FlagKind
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from retention import queries
from retention.api.policies import PolicyView
from retention.models import PlannedArtifact
from retention.services import policies
from system import queries as system_queries
from system.api.scheduled import text
from system.models import Execution, Status, Task

CODES: Mapping[str, int] = {Status.PENDING: 0, Status.RUNNING: 2, Status.STOPPED: 3, Status.ERROR: 3, Status.SUCCESS: 3}
"""Harbor's numbers for how far a job is."""
ARTIFACTS = Listing(
    {
        "id": Field("pk", Number),
        "digest": Field("digest"),
        "kept": Field("is_kept", FlagKind),
        "rule": Field("rule", Number),
        "reason": Field("reason"),
        "outcome": Field("outcome"),
        "freed_bytes": Field("freed_bytes", Number),
        "repository_id": Field("repository_id", Number),
        "push_time": Field("pushed_at", MomentKind),
        "pull_time": Field("pulled_at", MomentKind),
    },
    default="id",
)
_BATCH = 1000  # rows
_HEAD = " | ".join(("Digest", "Tag", "Labels", "PushedTime", "PulledTime", "Retention", "Reason"))


# What is given.


class ExecutionOut(serializers.Serializer[Execution]):
    id = serializers.IntegerField()
    policy_id = serializers.IntegerField(source="vendor_id")
    start_time = Moment(source="started_at")
    end_time = Moment(source="ended_at")
    status = serializers.CharField()
    trigger = serializers.CharField()
    dry_run = serializers.SerializerMethodField()

    def get_dry_run(self, row: Execution) -> bool:
        return bool(row.parameters.get("dry_run"))


class ExecutionWholeOut(ExecutionOut):
    """Besides what Harbor tells, what came of it."""

    username = serializers.CharField(help_text="Who asked for it; empty for a schedule.")
    status_message = serializers.CharField()
    confirmed = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField(help_text="Artifacts that were looked at.")
    retained = serializers.SerializerMethodField()
    deleted = serializers.SerializerMethodField()
    skipped = serializers.SerializerMethodField(help_text="Would have gone, but something changed or forbade it.")
    held = serializers.SerializerMethodField(help_text="Wait for a confirmation.")
    freed_bytes = serializers.SerializerMethodField()
    needs_confirmation = serializers.SerializerMethodField(help_text="Repositories that would be empty.")
    idle_rules = serializers.SerializerMethodField(help_text="Ids of rules that chose nothing at all.")

    def get_confirmed(self, row: Execution) -> bool:
        return bool(row.parameters.get("confirm"))

    def get_total(self, row: Execution) -> int:
        return int(row.result.get("total", 0))

    def get_retained(self, row: Execution) -> int:
        return int(row.result.get("retained", 0))

    def get_deleted(self, row: Execution) -> int:
        return int(row.result.get("deleted", 0))

    def get_skipped(self, row: Execution) -> int:
        return int(row.result.get("skipped", 0))

    def get_held(self, row: Execution) -> int:
        return int(row.result.get("held", 0))

    def get_freed_bytes(self, row: Execution) -> int:
        return int(row.result.get("freed_bytes", 0))

    def get_needs_confirmation(self, row: Execution) -> list[str]:
        return list(row.result.get("needs_confirmation", ()))

    def get_idle_rules(self, row: Execution) -> list[int]:
        return list(row.result.get("idle_rules", ()))


class TaskOut(serializers.Serializer[Task]):
    id = serializers.IntegerField()
    execution_id = serializers.IntegerField()
    repository = serializers.SerializerMethodField()
    job_id = serializers.SerializerMethodField()
    status = serializers.CharField()
    status_code = serializers.SerializerMethodField()
    status_revision = serializers.IntegerField(source="fence")
    start_time = Moment(source="started_at")
    end_time = Moment(source="ended_at")
    total = serializers.SerializerMethodField()
    retained = serializers.SerializerMethodField()

    def get_repository(self, row: Task) -> str:
        return str(row.arguments["repository"])

    def get_job_id(self, row: Task) -> str:
        return str(row.pk)

    def get_status_code(self, row: Task) -> int:
        return CODES[row.status]

    def get_total(self, row: Task) -> int:
        return int(row.result.get("total", 0))

    def get_retained(self, row: Task) -> int:
        return int(row.result.get("retained", 0))


class ArtifactOut(serializers.Serializer[PlannedArtifact]):
    id = serializers.IntegerField()
    repository_id = serializers.IntegerField()
    digest = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    labels = serializers.ListField(child=serializers.CharField())
    push_time = Moment(source="pushed_at")
    pull_time = Moment(source="pulled_at", help_text="The year 1 when it was never pulled.")
    kept = serializers.BooleanField(source="is_kept")
    rule = serializers.IntegerField(allow_null=True, help_text="The first rule that keeps it.")
    reason = serializers.CharField()
    freed_bytes = serializers.IntegerField(help_text="That nothing else needs once it and those before it are gone.")
    outcome = serializers.CharField(help_text="deleted, skipped, held; empty when nothing was done.")
    outcome_reason = serializers.CharField()


# What is taken.


class RunIn(serializers.Serializer[Any]):
    dry_run = Flag(required=False, allow_null=True, help_text="Only a plan is made; nothing is deleted.")
    plan = Id(
        required=False,
        allow_null=True,
        min_value=1,
        help_text="An execution whose plan is to be carried out, as far as it was not by now.",
    )
    confirm = Flag(required=False, allow_null=True, help_text="Also where no artifact would be left in a repository.")

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        if attrs.get("plan") and attrs.get("dry_run"):
            raise serializers.ValidationError({"dry_run": "a plan that is there already is carried out or not"})
        return {name: attrs.get(name) or None for name in ("dry_run", "plan", "confirm")}


class ActionIn(serializers.Serializer[Any]):
    action = serializers.ChoiceField(["stop"])


# The views.


class ExecutionView(PolicyView):
    """Something of the run that the path names by `execution_id`."""

    execution: Execution

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        self.execution = queries.run_get(self.policy, self.kwargs["execution_id"])


class ExecutionList(PolicyView):
    needs = {"GET": "tag-retention:list", "POST": "tag-retention:update"}

    @operation(gives=ExecutionOut, many=True)
    def get(self, request: Request, policy_id: int) -> HttpResponse:
        """The runs of a retention policy, newest first"""
        return self.listed(queries.runs_of(self.policy).order_by("-pk"), None, ExecutionOut)

    @operation(takes=RunIn, status=201)
    def post(self, request: Request, policy_id: int) -> HttpResponse:
        """Run a retention policy, make a plan of what it would do, or carry out such a plan"""
        given = self.body(RunIn)
        execution = policies.retention_start(
            policy=self.policy,
            project=self.project,
            is_dry=bool(given["dry_run"]),
            plan=queries.plan_made_by(self.policy, given["plan"]) if given["plan"] else None,
            is_confirmed=bool(given["confirm"]),
        )
        return self.created(f"{request.path.rstrip('/')}/{execution.pk}")


class ExecutionDetail(ExecutionView):
    needs = {"GET": "tag-retention:read", "PATCH": "tag-retention:update"}

    @operation(gives=ExecutionWholeOut)
    def get(self, request: Request, policy_id: int, execution_id: int) -> HttpResponse:
        """A run of a retention policy, and what came of it"""
        return self.shown(ExecutionWholeOut(self.execution))

    @operation(takes=ActionIn)
    def patch(self, request: Request, policy_id: int, execution_id: int) -> HttpResponse:
        """Stop a run of a retention policy; what it has not deleted by now stays"""
        self.body(ActionIn)
        policies.retention_stop(execution=self.execution, policy=self.policy, project=self.project)
        return self.done()


class TaskList(ExecutionView):
    needs = {"GET": "tag-retention:list"}

    @operation(gives=TaskOut, many=True)
    def get(self, request: Request, policy_id: int, execution_id: int) -> HttpResponse:
        """What a run does in each repository"""
        return self.listed(queries.tasks_of(self.execution).order_by("pk"), None, TaskOut)


class TaskLog(ExecutionView):
    needs = {"GET": "tag-retention:read"}

    @operation(gives=OpenApiTypes.STR, media="text/plain")
    def get(self, request: Request, policy_id: int, execution_id: int, task_id: int) -> HttpResponseBase:
        """What a run did in a repository, and a table of what it decided about each artifact"""
        task = queries.task_get(self.execution, task_id)
        rows = queries.artifacts_in(queries.plan_of(self.execution), task.arguments["repository_id"])
        return text(chain(system_queries.log_of(task), _table(rows)))


class ArtifactList(ExecutionView):
    needs = {"GET": "tag-retention:read"}

    @operation(gives=ArtifactOut, many=True, listing=ARTIFACTS)
    def get(self, request: Request, policy_id: int, execution_id: int) -> HttpResponse:
        """What a run decided about each artifact, and why; those that go, in their order"""
        rows = queries.artifacts_in(queries.plan_of(self.execution))
        return self.listed(rows, ARTIFACTS, ArtifactOut)


def _table(rows: "QuerySet[PlannedArtifact]") -> Iterator[str]:
    """In Harbor's words: RETAIN, DEL, and with what came of it."""
    yield _HEAD
    after = 0
    while batch := list(rows.filter(pk__gt=after).order_by("pk")[:_BATCH]):
        for row in batch:
            after = row.pk
            fate = "RETAIN" if row.is_kept or row.outcome in ("skipped", "held") else "DEL"
            times = (at.strftime("%Y/%m/%d %H:%M:%S") if at else "" for at in (row.pushed_at, row.pulled_at))
            cells = (
                row.digest,
                ",".join(row.tags),
                ",".join(row.labels),
                *times,
                fate,
                row.outcome_reason or row.reason,
            )
            yield " | ".join(cells)
