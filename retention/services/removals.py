"""Carrying out a plan: each artifact is looked at again, and goes in a transaction of its own.

What does not go though the plan says so is written down with the reason: it was pulled or tagged meanwhile, a rule
keeps it now since others are gone, somebody reported it as running, a tag of it was made immutable.
"""

from datetime import timedelta

from django.db import IntegrityError
from django.db.models import Count, Sum
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite import origin
from harborlite.errors import HarborliteError, Precondition
from harborlite.faults import fault
from registry.models import Deletion, Repository
from registry.services.artifacts import artifact_remove
from retention.facts import Evaluation, evaluate, is_unchanged
from retention.locks import decisions_held
from retention.models import Plan, PlannedArtifact, PlannedRepository, Policy
from retention.stored import rules_of
from system.events import emit
from system.jobs.run import Run
from system.models import Execution, Status

Outcome = PlannedArtifact.Outcome
ASKS = "no artifact would be left in {}: it waits for somebody to confirm it"
_STALE, _OLD = timedelta(seconds=5), timedelta(minutes=1)


class PolicyChanged(Exception):
    """What the plan was made by is no longer the policy."""


def repository_run(run: Run) -> None:
    """The task: what the plan says of one repository is done, or of a dry run only told."""
    plan = Plan.objects.filter(pk=run.arguments["plan"]).first()
    planned = plan.repositories.filter(repository_id=run.arguments["repository_id"]).first() if plan else None
    repository = Repository.objects.select_related("project").filter(pk=run.arguments["repository_id"]).first()
    if plan is None or planned is None or repository is None:
        run.log("The repository or the plan is gone: there is nothing to do")
        return
    if not run.parameters.get("dry_run") and planned.going:
        if planned.would_be_empty and not _may_empty(run, plan):
            _hold(run, plan, planned)
        else:
            _Removals(run, plan, repository).carry_out()
    _tell(run, plan, planned)


def finished(execution: Execution) -> None:
    """The last task has ended: the execution's result sums up its tasks', and an event says so."""
    results = [result for result in execution.tasks.values_list("result", flat=True) if "total" in result]
    made = execution.tasks.order_by("pk").values_list("result", flat=True)[0]
    totals = {
        name: sum(result[name] for result in results) for name in ("total", "retained", "deleted", "held", "skipped")
    }
    freed = (
        made.get("freed_bytes", 0) if execution.parameters.get("dry_run") else sum(r["freed_bytes"] for r in results)
    )
    waiting = sorted(result["repository"] for result in results if result["held"])
    result = {**made, **totals, "freed_bytes": freed, "needs_confirmation": waiting}
    execution.result = result
    if waiting:
        execution.status_message = ASKS.format(", ".join(waiting))[:1000]
    execution.save(update_fields=["result", "status_message"])
    if not execution.parameters.get("dry_run"):
        policy = Policy.objects.filter(pk=execution.vendor_id).first()
        emit(
            "finish",
            "retention",
            str(policy or execution.vendor_id),
            project_id=execution.project_id,
            is_successful=execution.status == Status.SUCCESS,
            extra={"execution": execution.pk, **result},
        )


def _may_empty(run: Run, plan: Plan) -> bool:
    return bool(run.parameters.get("confirm")) or Policy.objects.filter(pk=plan.policy_id, may_empty=True).exists()


def _hold(run: Run, plan: Plan, planned: PlannedRepository) -> None:
    text = ASKS.format(planned.name)
    with run.step():
        open_ = plan.artifacts.filter(repository_id=planned.repository_id, is_kept=False, outcome="")
        open_.update(outcome=Outcome.HELD, outcome_reason=text, outcome_at=Now())
        run.log(f"Nothing is deleted: {text}")


def _tell(run: Run, plan: Plan, planned: PlannedRepository) -> None:
    going = plan.artifacts.filter(repository_id=planned.repository_id, is_kept=False)
    counts = dict(going.values_list("outcome").annotate(number=Count("pk")).order_by())
    is_dry = bool(run.parameters.get("dry_run"))
    gone = going if is_dry else going.filter(outcome=Outcome.DELETED)
    deleted = planned.going if is_dry else counts.get(Outcome.DELETED, 0)
    freed = int(gone.aggregate(sum=Sum("freed_bytes"))["sum"] or 0)
    with run.step():
        run.result(
            repository=planned.name,
            total=planned.total,
            retained=planned.total - deleted,
            deleted=0 if is_dry else deleted,
            held=counts.get(Outcome.HELD, 0),
            skipped=counts.get(Outcome.SKIPPED, 0),
            freed_bytes=freed,
        )
        would = "would go" if is_dry else "went"
        run.log(f"{deleted} of {planned.total} artifacts {would}, and {freed} bytes with them")


class _Removals:
    """What is known while a repository's part of a plan is carried out."""

    def __init__(self, run: Run, plan: Plan, repository: Repository) -> None:
        self._run = run
        self._plan = plan
        self._repository = repository
        self._rules = rules_of(plan.rules)
        self._look()

    def _look(self) -> None:
        self._seen: Evaluation = evaluate(self._repository, self._rules)
        self._decisions = {one.artifact.digest: one for one in self._seen.outcome.decisions}
        self._updated_at = self._seen.updated_at

    def _look_again(self) -> None:
        """When somebody else changed the repository, or time went by."""
        row = Repository.objects.filter(pk=self._repository.pk).values_list(Now(), "updated_at", "name").first()
        if row is None:
            raise Precondition("the repository is gone")
        now, updated_at, self._repository.name = row
        age = now - self._seen.at
        if age > _OLD or (updated_at != self._updated_at and age > _STALE):
            self._look()

    def carry_out(self) -> None:
        """Each artifact that is to go is gone, or it is written down why not. Goes on where another worker left it."""
        items = self._plan.artifacts.filter(repository_id=self._repository.pk, is_kept=False)
        open_ = items.filter(outcome__in=["", Outcome.HELD]).order_by("pk")
        total, left, after = items.count(), open_.count(), 0
        self._run.progress(done=total - left, total=total)
        try:
            while (item := open_.filter(pk__gt=after).first()) is not None:
                left, after = left - 1, item.pk
                self._carry_out(item, total - left)
        except PolicyChanged:
            self._run.log("The policy has changed since the plan was made: nothing more is deleted")

    def _carry_out(self, item: PlannedArtifact, done: int) -> None:
        try:
            self._look_again()
            self._check(item)
            self._delete(item, done)
        except (HarborliteError, IntegrityError) as error:
            reason = error.message if isinstance(error, HarborliteError) else "it was tagged or listed meanwhile"
            with self._run.step():
                self._settle(item, Outcome.SKIPPED, reason)
                self._run.progress(done=done)
                self._run.log(f"{item.digest} {','.join(item.tags)} stays: {reason}")

    @retried
    def _delete(self, item: PlannedArtifact, done: int) -> None:
        with self._run.step():
            self._remove(item)
            self._settle(item, Outcome.DELETED, "")
            self._run.progress(done=done)
            fault("retention.before_delete_commit")
        fault("retention.after_delete_commit")

    def _check(self, item: PlannedArtifact) -> None:
        """Precondition when by now it is no longer to go."""
        decision = self._decisions.get(item.digest)
        if decision is None:
            raise Precondition("it is not there any more")
        if decision.is_kept:
            raise Precondition(f"it stays now: {decision.reason}")
        if sorted(decision.artifact.tags) != sorted(item.tags):
            raise Precondition("its tags have changed since the plan was made")

    def _remove(self, item: PlannedArtifact) -> None:
        plan = self._plan
        decisions_held(plan.project_id)
        if not Policy.objects.filter(pk=plan.policy_id, version=plan.version).exists():
            raise PolicyChanged
        artifact_remove(
            repository=self._repository,
            digest=item.digest,
            actor=origin.current().actor.username,
            reason=Deletion.Reason.RETENTION,
            check=self._require_unchanged,
            description=f"retention policy {plan.policy_id}, execution {self._run.execution.pk}: {item.reason}",
        )
        self._updated_at = Repository.objects.values_list("updated_at", flat=True).get(pk=self._repository.pk)

    def _require_unchanged(self, going: list[int]) -> None:
        if not is_unchanged(self._seen, self._repository, going):
            raise Precondition("it was pulled, tagged, labelled or reported as running a moment ago")

    def _settle(self, item: PlannedArtifact, outcome: str, reason: str) -> None:
        PlannedArtifact.objects.filter(pk=item.pk).update(
            outcome=outcome, outcome_reason=reason[:2000], outcome_at=Now()
        )
