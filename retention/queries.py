"""Reads of retention: policies by who may, their runs, and what these decided."""

from django.db.models import QuerySet

from harborlite.actors import Actor
from harborlite.errors import Denied, NotFound, Unauthorized
from projects import rbac
from projects.models import Project
from retention.models import InUse, Plan, PlannedArtifact, Policy
from system import queries
from system.models import Execution, Task

KIND = "RETENTION"
"""Of a run of a policy, and of its first task, which makes the plan."""
REPOSITORY = "RETENTION_REPOSITORY"
"""The task that carries out what a plan says of one repository."""
_SEES = "tag-retention:read"


def policy_for(actor: Actor, policy_id: int, action: str) -> tuple[Policy, Project]:
    """The policy and its project, in which `actor` may do `action` ("tag-retention:update").

    NotFound when there is none or `actor` sees none there, which answers alike; Unauthorized for who has not signed in.
    """
    policy = Policy.objects.filter(pk=policy_id).first()
    project = Project.objects.filter(pk=policy.project_id).first() if policy else None
    granted = rbac.actions(actor, project) if project else rbac.NOTHING
    if policy is not None and project is not None and action in granted:
        return policy, project
    if actor.kind == "anonymous":
        raise Unauthorized()
    raise Denied() if _SEES in granted else NotFound("there is no such retention policy")


def runs_of(policy: Policy) -> QuerySet[Execution]:
    """The runs of the policy, newest first."""
    return queries.executions_of(KIND, policy.pk)


def run_get(policy: Policy, execution_id: int) -> Execution:
    """The run `execution_id` of the policy; NotFound when it is none of this policy."""
    found = runs_of(policy).filter(pk=execution_id).first()
    if found is None:
        raise NotFound(f"the policy has no execution {execution_id}")
    return found


def tasks_of(execution: Execution) -> QuerySet[Task]:
    """What the run does in each repository."""
    return execution.tasks.filter(name=REPOSITORY)


def task_get(execution: Execution, task_id: int) -> Task:
    """NotFound when it is no task of this run."""
    found = tasks_of(execution).filter(pk=task_id).first()
    if found is None:
        raise NotFound(f"the execution has no task {task_id}")
    return found


def plan_of(execution: Execution) -> Plan | None:
    """The plan that the run made or carries out; None as long as there is none, or when it is forgotten."""
    given = execution.parameters.get("plan")
    which = {"execution_id": execution.pk} if given is None else {"pk": given}
    return Plan.objects.filter(**which).first()


def plan_made_by(policy: Policy, execution_id: int) -> Plan:
    """The plan of that run of the policy; NotFound when there is none."""
    plan = plan_of(run_get(policy, execution_id))
    if plan is None:
        raise NotFound(f"plan: the execution {execution_id} made none")
    return plan


def artifacts_in(plan: Plan | None, repository_id: int | None = None) -> QuerySet[PlannedArtifact]:
    """What the plan says of each artifact, those that go in their order; of one repository, or of all."""
    rows = PlannedArtifact.objects.filter(plan=plan).defer("manifest_ids")
    return rows if repository_id is None else rows.filter(repository_id=repository_id)


def in_use_of(project: Project) -> QuerySet[InUse]:
    """What is reported as running, and since when and until when."""
    return InUse.objects.filter(project=project)
