"""Writes of what is in use: digests that clusters and the like report as running."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite.errors import BadRequest
from projects.models import Project
from retention.locks import decisions_hold_alone
from retention.models import InUse
from system.events import emit

MAX_DIGESTS = 10_000
"""Of one source."""
MAX_SOURCES = 100
"""Of a project."""
_GONE = "the project is gone"


@retried
def in_use_report(*, project: Project, source: str, digests: Collection[str], seconds: int) -> datetime | None:
    """`source` has these digests running, and no others: they stay, with what belongs to them, until so long from now.

    Returns until when, by the database; None when there are none. From the answer on no retention run and no expiry
    takes them. BadRequest when the project has too many sources.
    """
    with refusals(_GONE, _GONE), transaction.atomic(durable=True):
        decisions_hold_alone(project.pk)
        rows = InUse.objects.filter(project=project)
        rows.filter(expires_at__lte=Now()).delete()
        before = set(rows.filter(source=source).values_list("digest", flat=True))
        if not before and rows.values("source").distinct().count() >= MAX_SOURCES:
            raise BadRequest(f"source: a project has at most {MAX_SOURCES}")
        rows.filter(source=source).delete()
        until = Now() + timedelta(seconds=seconds)
        InUse.objects.bulk_create(
            [InUse(project=project, source=source, digest=digest, expires_at=until) for digest in sorted(set(digests))],
            batch_size=1000,
        )
        if before != set(digests):
            _told(project, source, len(set(digests)))
        return rows.filter(source=source).values_list("expires_at", flat=True).first()


def _told(project: Project, source: str, count: int) -> None:
    name = f"{project.name}/{source}"
    emit("update", "in_use", name, project_id=project.pk, project=project.name, extra={"digests": count})
