"""Writes of quotas: the limit, the ledger, and the fold that keeps the ledger short.

quota_charge    one INSERT in the transaction that links or unlinks; where there is no limit, nothing is locked
quotas_fold     in the background: entries -> Quota.folded, so that what is summed stays a minute's pushes
"""

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite.errors import BadRequest, NotFound
from projects import quota
from projects.models import Project, Quota, QuotaEntry
from projects.quota import UNLIMITED, Usage
from system import config, events

MOST = 2**63 - 1
BATCH = 50_000  # entries a project a run

_CHARGE = """
    WITH entry AS (INSERT INTO projects_quotaentry (project_id, delta) VALUES (%(project)s, %(delta)s))
    SELECT hard FROM projects_quota WHERE project_id = %(project)s
"""
_FOLD = """
    WITH gone AS (
        DELETE FROM projects_quotaentry WHERE id IN (
            SELECT id FROM projects_quotaentry WHERE project_id = %(project)s ORDER BY id LIMIT %(batch)s
        ) RETURNING delta
    )
    UPDATE projects_quota SET folded = folded + (SELECT sum(delta) FROM gone)
    WHERE project_id = %(project)s AND EXISTS (SELECT FROM gone)
"""


def quota_create(*, project: Project, hard: int | None = None) -> None:
    """The new project has a quota: `hard` bytes, or what the configuration says. The caller has a transaction.

    BadRequest for a limit that is none.
    """
    limit = config.get("storage_per_project") if hard is None else hard
    Quota.objects.create(project=project, hard=checked(limit))


@retried
def quota_update(*, quota_id: int, hard: int) -> None:
    """The project may hold `hard` bytes, or UNLIMITED; what it holds already stays. NotFound, BadRequest."""
    checked(hard)
    with transaction.atomic(durable=True):
        held = Quota.objects.select_for_update(of=("self",)).select_related("project").filter(pk=quota_id).first()
        if held is None:
            raise NotFound("there is no such quota")
        Quota.objects.filter(pk=held.pk).update(hard=hard, updated_at=Now())
        events.emit(
            "update",
            "quota",
            held.project.name,
            project_id=held.project_id,
            project=held.project.name,
            extra={"hard": {"from": held.hard, "to": hard}},
        )
        after = quota.of(held.project_id)
        if after.is_near_limit and not Usage(held.hard, after.used).is_near_limit:
            _warned(held.project_id, after)


def quota_charge(*, project_id: int, delta: int) -> None:
    """The project holds `delta` bytes more, or (negative) less. The caller has a transaction and ends it soon.

    QuotaExceeded when they don't fit; fewer bytes always do. One statement where there is no limit. Where there is
    one, those who add to the project take turns from here to their commit, so that they can't pass it together.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CHARGE, {"project": project_id, "delta": delta})
        row = cursor.fetchone()
        if row is None or row[0] == UNLIMITED or delta <= 0 or not quota.is_enforced():
            return
        # In a statement of its own: the next one then sees all that was committed by those who had the lock before.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('quota', %s))", [project_id])
    after = quota.of(project_id)
    before = Usage(after.hard, after.used - delta)
    if after.is_limited and after.used > after.hard:
        raise before.refusal(delta)
    if after.is_near_limit and not before.is_near_limit:
        _warned(project_id, after)


def quota_correct(*, project_id: int, delta: int) -> None:
    """The project is charged `delta` bytes more or less, for what it holds already. The caller has a transaction."""
    QuotaEntry.objects.create(project_id=project_id, delta=delta)


def quota_ensure(*, project_id: int) -> bool:
    """The project has a quota; False when it had one, or is gone. The caller has a transaction."""
    project = Project.objects.filter(pk=project_id, quota=None).first()
    if project is not None:
        quota_create(project=project)
    return project is not None


def quotas_fold() -> int:
    """Entries are folded into their quotas; returns how many projects' were. May run several times at once."""
    entries = QuotaEntry.objects.order_by()
    orphans = entries.exclude(project__in=Project.objects.all())
    if orphans.exists():  # of projects deleted in the moment something was unlinked in them
        orphans.delete()
    folded = 0
    for project_id in list(entries.values_list("project", flat=True).distinct()):
        with transaction.atomic(durable=True):
            # Who folds the same project waits for nothing: it is being done.
            if not list(Quota.objects.select_for_update(skip_locked=True).filter(project=project_id)):
                continue
            with connection.cursor() as cursor:
                cursor.execute(_FOLD, {"project": project_id, "batch": BATCH})
                folded += cursor.rowcount
    return folded


def checked(hard: int) -> int:
    """`hard`, if it is a limit. BadRequest when it is not."""
    if hard != UNLIMITED and not 0 < hard <= MOST:
        raise BadRequest("hard: storage is a number of bytes above 0, or -1 for no limit")
    return hard


def _warned(project_id: int, usage: Usage) -> None:
    """It is written down that the project passed the mark at which those who push are warned."""
    name = Project.objects.values_list("name", flat=True).get(pk=project_id)
    events.emit(
        "warn",
        "quota",
        name,
        project_id=project_id,
        project=name,
        description=usage.warning,
        extra={"used": usage.used, "hard": usage.hard},
    )
