"""The jobs of retention: what workers do, by name."""

from retention.queries import KIND, REPOSITORY
from retention.services import expiry, plans, removals
from system.jobs.run import Run, handles


@handles(KIND, finish=removals.finished)
def plan(run: Run) -> None:
    """Makes the plan, or takes one that was made before; adds a task for each repository."""
    plans.plan_run(run)


@handles(REPOSITORY)
def carry_out(run: Run) -> None:
    """Does what the plan says of a repository."""
    removals.repository_run(run)


@handles(expiry.KIND)
def expire(run: Run) -> None:
    """Takes away the tags whose time is over."""
    expiry.expire_run(run)
