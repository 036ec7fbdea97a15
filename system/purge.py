"""The purge of the audit trail, a job: events of chosen types that are older than so many hours are removed.

It goes through the events of one operation after the other by an index, oldest first, some thousand in a transaction;
where it is, it keeps in the task's checkpoint. That it was done is an event itself.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from harborlite.errors import BadRequest
from system import queries
from system.events import TYPES, emit, types_in
from system.jobs.run import Run, handles
from system.models import Event
from system.services.events import BEGINNING, events_purge

KIND = "PURGE_AUDIT_LOG"
MAX_HOURS = 240_000
"""Harbor's: 27 years."""
OTHER = "other"
"""Harbor's word for every type but those of artifacts."""
OPERATIONS = ("create", "delete", "pull")
"""What Harbor's clients before 2.13 name instead of types."""
BATCH = 5000
_ARTIFACTS = frozenset(TYPES[:3])


def chosen(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    """The event types that go: the resource types of each operation. BadRequest names the word that is none."""
    named = types_in(parameters.get("include_event_types", ""))
    operations = types_in(parameters.get("include_operations", ""))
    for field, words, known in (
        ("include_event_types", named, {*TYPES, OTHER}),
        ("include_operations", operations, set(OPERATIONS)),
    ):
        if unknown := sorted(words - known):
            raise BadRequest(f"{field}: {unknown[0][:80]!a} is none that there is")
    found: dict[str, list[str]] = {}
    for event_type in sorted(TYPES):
        operation, _, resource_type = event_type.partition("_")
        is_other = OTHER in named and event_type not in _ARTIFACTS
        if event_type in named or is_other or operation in operations:
            found.setdefault(operation, []).append(resource_type)
    return found


@handles(KIND)
def purge(run: Run) -> None:
    """Events older than `audit_retention_hour` when the run was asked for, of the chosen types, are gone.

    The result says how many of each type; of a dry run, how many would have gone.
    """
    wanted = chosen(run.parameters)
    is_dry = bool(run.parameters.get("dry_run"))
    before = (run.execution.created_at - timedelta(hours=run.parameters["audit_retention_hour"])).isoformat()
    if not run.checkpoint:
        _begin(run, wanted, before)
    for operation, types in wanted.items():
        while operation >= run.checkpoint["operation"] and _go_on(run, operation, types, before, is_dry=is_dry):
            pass
    _end(run, is_dry=is_dry)


def _begin(run: Run, wanted: Mapping[str, list[str]], before: str) -> None:
    """What is to be done is written down; beyond some thousand events their number is the database's estimate."""
    total = sum(
        queries.count(
            Event.objects.filter(operation=operation, resource_type__in=types, at__lt=before), 0, is_more=True
        )
        for operation, types in wanted.items()
    )
    with run.step():
        run.save(operation="", at=BEGINNING[0], id=BEGINNING[1], by_type={})
        run.progress(done=0, total=total, unit="events")
        named = ", ".join(f"{operation}_{kind}" for operation, types in wanted.items() for kind in types)
        run.log(f"Events before {before} of these types: {named}" if wanted else "There is no type to remove")


def _go_on(run: Run, operation: str, types: list[str], before: str, *, is_dry: bool) -> bool:
    """The next events of the operation are gone; whether there may be more."""
    at = run.checkpoint
    after = (at["at"], at["id"]) if at["operation"] == operation else BEGINNING
    with run.step():
        batch = events_purge(operation=operation, types=types, before=before, after=after, limit=BATCH, is_dry=is_dry)
        if batch is None:
            return False
        by_type = dict(at["by_type"])
        for kind, many in batch.counts.items():
            by_type[f"{operation}_{kind}"] = by_type.get(f"{operation}_{kind}", 0) + many
        run.save(operation=operation, at=batch.last[0], id=batch.last[1], by_type=by_type)
        run.progress(done=sum(by_type.values()))
    return True


def _end(run: Run, *, is_dry: bool) -> None:
    """What came of it is told, once, also when a worker dies before it has said that it is done."""
    by_type = run.checkpoint["by_type"]
    purged = sum(by_type.values())
    if run.checkpoint.get("is_told"):
        return
    with run.step():
        run.save(is_told=True)
        run.progress(done=purged, total=purged)
        run.result(purged=purged, by_type=by_type, dry_run=is_dry)
        for event_type, many in by_type.items():
            run.log(f"{event_type}: {many}")
        run.log(f"{purged} events would be removed" if is_dry else f"{purged} events removed")
        if purged and not is_dry:
            told = {"execution": run.execution.pk, "purged": purged, "by_type": by_type}
            emit("purge", "audit_log", KIND, extra=told)
