"""Writes of retention policies, and runs of them: start and stop."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite.errors import BadRequest, Conflict, NotFound
from projects.models import Label, Project
from projects.services.projects import retention_set
from retention.locks import decisions_hold_alone
from retention.models import Plan, Policy
from retention.queries import KIND
from retention.stored import labels_of
from system import jobs
from system.events import emit
from system.models import Execution

_TAKEN = "the project has a retention policy already"


@retried
def policy_create(
    *, project: Project, rules: Sequence[Mapping[str, Any]], cron: str = "", time_zone: str = "UTC", may_empty: bool
) -> Policy:
    """The project has the policy, its metadata name it, and it runs at its times.

    BadRequest when the project has one already (Harbor), or `rules` name a label that there is not, or cron is none.
    """
    _require_labels(project, rules)
    with refusals(_TAKEN), transaction.atomic(durable=True):
        decisions_hold_alone(project.pk)
        if Policy.objects.filter(project_id=project.pk).exists():
            raise BadRequest(_TAKEN)
        policy = Policy.objects.create(
            project_id=project.pk, rules=list(rules), cron=cron, time_zone=time_zone, may_empty=may_empty
        )
        retention_set(project=project, policy_id=policy.pk)
        _schedule(policy)
        _told("create", project, policy)
    return policy


@retried
def policy_update(
    *,
    policy: Policy,
    project: Project,
    rules: Sequence[Mapping[str, Any]],
    cron: str = "",
    time_zone: str = "UTC",
    may_empty: bool,
) -> None:
    """The policy says this and nothing else; what a run under way has not deleted by now stays. Errors as above."""
    _require_labels(project, rules)
    with transaction.atomic(durable=True):
        decisions_hold_alone(project.pk)
        changes = {"rules": list(rules), "cron": cron, "time_zone": time_zone, "may_empty": may_empty}
        if not Policy.objects.filter(pk=policy.pk).update(version=F("version") + 1, updated_at=Now(), **changes):
            raise NotFound("there is no such retention policy")
        policy.refresh_from_db()
        retention_set(project=project, policy_id=policy.pk)
        _schedule(policy)
        _told("update", project, policy)


@retried
def policy_delete(*, policy: Policy, project: Project) -> None:
    """The policy is gone, does not run any more, and what a run under way has not deleted by now stays."""
    with transaction.atomic(durable=True):
        decisions_hold_alone(project.pk)
        if not Policy.objects.filter(pk=policy.pk).delete()[0]:
            raise NotFound("there is no such retention policy")
        retention_set(project=project, policy_id=None)
        jobs.schedule_delete(KIND, vendor_id=policy.pk)
        for number in Execution.objects.filter(kind=KIND, vendor_id=policy.pk, ended_at=None).values_list(
            "pk", flat=True
        ):
            jobs.stop(number)
        _told("delete", project, policy)


@retried
def retention_start(
    *, policy: Policy, project: Project, is_dry: bool, plan: Plan | None = None, is_confirmed: bool = False
) -> Execution:
    """The policy will be carried out, or a plan of what it would do be made when it is dry.

    With a `plan`, what that says and nothing else, as far as it was not carried out before. Conflict when the policy
    has changed since, or while another run of it is under way. A repository is left without any artifact only if the
    run `is_confirmed`, or the policy says that it may.
    """
    with transaction.atomic(durable=True):
        if plan is not None:
            _require_current(plan, policy)
        execution = jobs.start(
            KIND,
            vendor_id=policy.pk,
            project_id=project.pk,
            parameters={"dry_run": is_dry, "confirm": is_confirmed, **({"plan": plan.pk} if plan else {})},
        )
        _told("start", project, policy, {"execution": execution.pk, "dry_run": is_dry, "confirm": is_confirmed})
    return execution


@retried
def retention_stop(*, execution: Execution, policy: Policy, project: Project) -> None:
    """The run deletes nothing more. One that has ended stays as it is."""
    with transaction.atomic(durable=True):
        jobs.stop(execution.pk)
        if execution.ended_at is None:
            _told("stop", project, policy, {"execution": execution.pk})


def _require_current(plan: Plan, policy: Policy) -> None:
    mine = Plan.objects.filter(pk=plan.pk, policy_id=policy.pk)
    if not mine.filter(is_complete=True).exists():
        raise Conflict("plan: it is not complete")
    if not mine.filter(version=Policy.objects.values("version").filter(pk=policy.pk)[:1]).exists():
        raise Conflict("plan: the policy has changed since it was made; make a new one")


def _require_labels(project: Project, rules: Sequence[Mapping[str, Any]]) -> None:
    """A label that is spelled wrong would keep nothing."""
    wanted = labels_of(rules)
    known = Label.objects.filter(name__in=wanted, project=project) | Label.objects.filter(name__in=wanted, project=None)
    if missing := sorted(wanted - set(known.values_list("name", flat=True))):
        raise BadRequest(f"tag_selectors: there is no label {missing[0][:80]!a}")


def _schedule(policy: Policy) -> None:
    if not policy.cron:
        jobs.schedule_delete(KIND, vendor_id=policy.pk)
        return
    jobs.schedule_set(
        KIND,
        vendor_id=policy.pk,
        project_id=policy.project_id,
        type="Custom",
        cron=policy.cron,
        time_zone=policy.time_zone,
        parameters={"dry_run": False, "confirm": False},
    )


def _told(operation: str, project: Project, policy: Policy, extra: Mapping[str, Any] | None = None) -> None:
    rules = {"rules": policy.rules, "cron": policy.cron} if operation in ("create", "update") else {}
    emit(
        operation,
        "retention",
        f"{project.name}/{policy.pk}",
        project_id=project.pk,
        project=project.name,
        extra={**rules, **(extra or {})},
    )
