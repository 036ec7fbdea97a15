"""Plans: what a policy would do in each repository of its project, artifact by artifact. Nothing goes here.

The task RETENTION makes the plan, or takes one that was made before, and adds a task for each repository in it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q, Sum

from projects.models import DeletedProject, Project
from registry.models import Repository
from retention.decisions import Outcome
from retention.facts import evaluate
from retention.models import Plan, PlannedArtifact, PlannedRepository, Policy
from retention.queries import KIND, REPOSITORY
from retention.rules import in_repository
from retention.stored import rules_of
from system import jobs
from system.jobs.run import NewTask, Run

BATCH = 5000  # rows
REMEMBERED = 20
"""Plans of each policy."""
# A blob is freed with the last artifact that goes and references it, if nothing else in the project does.
_FREED = """
    WITH going AS MATERIALIZED (
        SELECT item.id AS item, manifest.id::bigint AS manifest
        FROM retention_plannedartifact AS item, jsonb_array_elements_text(item.manifest_ids) AS manifest (id)
        WHERE item.plan_id = %(plan)s AND NOT item.is_kept
    ), held AS MATERIALIZED (
        SELECT link.holding_id, max(going.item) AS item, count(*) AS references_
        FROM going
        JOIN registry_manifestreference AS reference ON reference.manifest_id = going.manifest
        JOIN registry_repositoryblob AS link ON link.id = reference.link_id
        GROUP BY link.holding_id
    ), everywhere AS (
        SELECT link.holding_id, count(*) AS references_
        FROM registry_repositoryblob AS link
        JOIN registry_manifestreference AS reference ON reference.link_id = link.id
        WHERE link.holding_id IN (SELECT holding_id FROM held)
        GROUP BY link.holding_id
    ), freed AS (
        SELECT held.item, sum(holding.size) AS bytes
        FROM held
        JOIN everywhere ON everywhere.holding_id = held.holding_id AND everywhere.references_ = held.references_
        JOIN registry_projectblob AS holding ON holding.id = held.holding_id
        GROUP BY held.item
    )
    UPDATE retention_plannedartifact AS item SET freed_bytes = freed.bytes FROM freed WHERE item.id = freed.item
"""


def plan_run(run: Run) -> None:
    """The task: there is a plan, and a task for each repository in it. Goes on where another worker left it."""
    if "launched" in run.checkpoint:
        return
    policy = Policy.objects.filter(pk=run.execution.vendor_id).first()
    project = Project.objects.filter(pk=policy.project_id).first() if policy else None
    if policy is None or project is None:
        run.log("The policy or its project is gone: there is nothing to do")
        return
    plan = Plan.objects.get(pk=run.parameters["plan"]) if "plan" in run.parameters else _made(run, policy, project)
    with run.step():
        found = plan.repositories.order_by("name").values_list("repository_id", "name")
        tasks = [
            NewTask(REPOSITORY, {"plan": plan.pk, "repository_id": pk, "repository": name}, unit="artifacts")
            for pk, name in found
        ]
        if tasks:
            run.add(*tasks)
        else:
            run.log("No rule looks at any repository: nothing goes")
        run.save(launched=True)
        run.result(plan=plan.pk, idle_rules=plan.idle_rules, freed_bytes=plan.freed_bytes)


def plans_forget(policy_id: int) -> None:
    """Of the plans of the policy the newest are left, of other policies those that are there; outside of a transaction.

    A policy is, until its project is deleted and can't be restored any more.
    """
    old = list(Plan.objects.filter(policy_id=policy_id).order_by("-pk").values_list("pk", flat=True)[REMEMBERED:])
    ended = Policy.objects.exclude(project_id__in=Project.objects.values("pk"))
    for policy in ended.exclude(project_id__in=DeletedProject.objects.values("pk")):
        with transaction.atomic(durable=True):
            jobs.schedule_delete(KIND, vendor_id=policy.pk)
            policy.delete()
    for plan_id in (
        *old,
        *Plan.objects.exclude(policy_id__in=Policy.objects.values("pk")).values_list("pk", flat=True),
    ):
        _forget(plan_id)


def _forget(plan_id: int) -> None:
    """The plan is gone, a repository at a time."""
    for repository in PlannedRepository.objects.filter(plan=plan_id):
        with transaction.atomic(durable=True):
            PlannedArtifact.objects.filter(plan=plan_id, repository_id=repository.repository_id).delete()
            repository.delete()
    with transaction.atomic(durable=True):
        PlannedArtifact.objects.filter(plan=plan_id).delete()
        Plan.objects.filter(pk=plan_id).delete()


def _made(run: Run, policy: Policy, project: Project) -> Plan:
    plan = _begun(run, policy)
    rules = rules_of(plan.rules)
    for repository in _repositories(project, run.checkpoint.get("after", 0)):
        if not in_repository(rules, repository.name):
            continue
        run.check()
        evaluation = evaluate(repository, rules)
        outcome = evaluation.outcome
        busy = {rule.id for rule in evaluation.applying} - outcome.idle_rules
        _write(run, plan, repository, outcome)
        with run.step():
            PlannedRepository.objects.create(
                plan=plan,
                repository_id=repository.pk,
                name=repository.name,
                total=len(outcome.decisions),
                going=sum(not decision.is_kept for decision in outcome.decisions),
                would_be_empty=outcome.would_be_empty,
            )
            done = run.checkpoint["done"] + 1
            run.save(after=repository.pk, busy=sorted({*run.checkpoint["busy"], *busy}), done=done)
            run.progress(done=done)
            run.log(f"{repository.name}: {len(outcome.decisions)} artifacts")
    with run.step():
        _complete(plan, {rule.id for rule in rules if not rule.is_disabled} - set(run.checkpoint["busy"]))
        if plan.idle_rules:
            run.log(f"Rules that choose nothing in the whole project: {', '.join(map(str, plan.idle_rules))}")
        run.log(f"{plan.going} of {plan.total} artifacts would go, and {plan.freed_bytes} bytes with them")
    return plan


def _begun(run: Run, policy: Policy) -> Plan:
    if "plan" in run.checkpoint:
        return Plan.objects.get(pk=run.checkpoint["plan"])
    with run.step():
        plan = Plan.objects.create(
            policy_id=policy.pk,
            project_id=policy.project_id,
            execution_id=run.execution.pk,
            version=policy.version,
            rules=policy.rules,
        )
        rules, paths = rules_of(policy.rules), Repository.objects.filter(project=policy.project_id)
        total = sum(bool(in_repository(rules, path)) for path in paths.values_list("name", flat=True).iterator())
        run.save(plan=plan.pk, after=0, busy=[], done=0)
        run.progress(done=0, total=total, unit="repositories")
    plans_forget(policy.pk)
    return plan


def _repositories(project: Project, after: int) -> Iterator[Repository]:
    """Those behind `after`, one at a time: what is made of each may take a while."""
    while (found := Repository.objects.filter(project=project, pk__gt=after).order_by("pk").first()) is not None:
        found.project = project
        yield found
        after = found.pk


def _write(run: Run, plan: Plan, repository: Repository, outcome: Outcome) -> None:
    """What is decided about the repository is written down, some thousand a step; what another worker left is gone."""
    with run.step():
        plan.artifacts.filter(repository_id=repository.pk).delete()
    for start in range(0, len(outcome.decisions), BATCH):
        with run.step():
            PlannedArtifact.objects.bulk_create(
                PlannedArtifact(
                    plan=plan,
                    repository_id=repository.pk,
                    digest=decision.artifact.digest,
                    tags=list(decision.artifact.tags),
                    labels=sorted(decision.artifact.labels),
                    pushed_at=decision.artifact.pushed_at,
                    pulled_at=decision.artifact.pulled_at,
                    is_kept=decision.is_kept,
                    rule=decision.rule,
                    reason=decision.reason,
                    manifest_ids=list(decision.going),
                )
                for decision in outcome.decisions[start : start + BATCH]
            )


def _complete(plan: Plan, idle: set[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '10min'")
        cursor.execute(_FREED, {"plan": plan.pk})
    sums: Mapping[str, Any] = plan.artifacts.aggregate(
        total=Count("pk"), going=Count("pk", filter=Q(is_kept=False)), freed=Sum("freed_bytes")
    )
    plan.total, plan.going, plan.freed_bytes = sums["total"], sums["going"], int(sums["freed"] or 0)
    plan.idle_rules, plan.is_complete = sorted(idle), True
    plan.save(update_fields=["total", "going", "freed_bytes", "idle_rules", "is_complete"])
