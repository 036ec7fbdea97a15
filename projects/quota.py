"""What a project holds and may hold, in bytes. Reads only; projects.services.quotas writes.

holds = Quota.folded + the sum of its QuotaEntry rows, read by one statement: a fold moves bytes between the two
"""

from dataclasses import dataclass

from django.db import connection
from django.db.models import BigIntegerField, Case, F, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from harborlite.errors import NotFound, QuotaExceeded
from projects.models import Quota
from system import config

UNLIMITED = Quota.UNLIMITED
WARN_AT = 85  # percent
UNIT = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_USAGE = """
    SELECT hard, folded + coalesce((SELECT sum(delta) FROM projects_quotaentry WHERE project_id = %(project)s), 0)
    FROM projects_quota WHERE project_id = %(project)s
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a project may hold (`hard`, or UNLIMITED) and what it holds, in bytes."""

    hard: int
    used: int

    @property
    def is_limited(self) -> bool:
        return self.hard != UNLIMITED

    @property
    def room(self) -> int | None:
        """How many bytes may still come; None when any number may."""
        return max(self.hard - self.used, 0) if self.is_limited else None

    @property
    def is_near_limit(self) -> bool:
        return self.is_limited and self.used * 100 >= self.hard * WARN_AT

    @property
    def warning(self) -> str:
        """What to tell who pushes; empty while there is no need to."""
        if not self.is_near_limit:
            return ""
        return f"the project uses {amount(self.used)} of its quota of {amount(self.hard)}"

    def refusal(self, adding: int) -> QuotaExceeded:
        """The error for so many bytes that don't fit, in Harbor's words, by which its clients know it."""
        return QuotaExceeded(
            f"Quota exceeded when processing the request of adding {amount(adding)} of storage resource, which when"
            f" updated to current usage of {amount(self.used)} will exceed the configured upper limit of"
            f" {amount(self.hard)}.",
            # With a detail: without one, Docker takes the error for a passing fault and tries again for a minute.
            detail={"adding": adding, "used": self.used, "hard": self.hard},
        )


def of(project_id: int) -> Usage:
    """What the project holds now and may hold. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, {"project": project_id})
        row = cursor.fetchone()
    return Usage(row[0], int(row[1])) if row else Usage(UNLIMITED, 0)


def is_enforced() -> bool:
    """Whether limits count at all (Harbor's quota_per_project_enable)."""
    return bool(config.get("quota_per_project_enable"))


def require(project_id: int, adding: int = 0) -> Usage:
    """What the project holds, with room for `adding` more bytes; QuotaExceeded when there is none. One query.

    Without `adding`, QuotaExceeded when it holds more than it may already, which a lowered limit makes it.
    """
    usage = of(project_id)
    if usage.is_limited and usage.used + adding > usage.hard and is_enforced():
        raise usage.refusal(adding)
    return usage


def quotas_list() -> QuerySet[Quota]:
    """All quotas with their projects and owners, what each project holds as `used` and its limit as a number to
    sort by as `limit`: none is the highest.
    """
    return Quota.objects.select_related("project__owner").annotate(
        used=F("folded") + Coalesce(Sum("project__quota_entries__delta", output_field=BigIntegerField()), Value(0)),
        limit=Case(When(hard=UNLIMITED, then=Value(2**63 - 1)), default=F("hard"), output_field=BigIntegerField()),
    )


def quota_get(quota_id: int) -> Quota:
    """The quota of this id, as `quotas_list` has it; NotFound when there is none."""
    quota = quotas_list().filter(pk=quota_id).first()
    if quota is None:
        raise NotFound("there is no such quota")
    return quota


def amount(size: int) -> str:
    """A number of bytes as Harbor writes it: 10.0 MiB."""
    if size < UNIT:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / UNIT**power:.1f} {_UNITS[power - 1]}"
