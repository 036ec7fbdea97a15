"""What projects are charged for."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from projects import quota as projects_quota
from projects.models import Project
from registry.fsck.violations import Violation
from registry.models import ProjectBlob, RepositoryBlob
from registry.services import repairs


def holdings() -> Iterator[Violation]:
    elsewhere = ~Q(holding__project=F("repository__project")) | ~Q(holding__blob=F("blob"))
    for link in RepositoryBlob.objects.filter(elsewhere).select_related("blob").order_by("pk"):
        problem = f"repository {link.repository_id} has something else charged for it"
        yield Violation("quota", link.blob.digest, problem, partial(repairs.link_mend, link_id=link.pk))
    rows = ProjectBlob.objects.order_by("pk").select_related("project", "blob")
    for holding in rows.exclude(size=F("blob__size")):
        problem = f"{holding.project} is charged {holding.size} bytes for it"
        yield Violation("quota", holding.blob.digest, problem, partial(repairs.holding_mend, holding_id=holding.pk))
    for holding in rows.filter(links=None):
        problem = f"{holding.project} is charged for it and does not link it"
        yield Violation("quota", holding.blob.digest, problem, partial(repairs.holding_mend, holding_id=holding.pk))


def quotas() -> Iterator[Violation]:
    # One statement, so that pushes that are under way don't come between what is charged and what is held.
    held = (
        ProjectBlob.objects.filter(project=OuterRef("project")).order_by().values("project").annotate(sum=Sum("size"))
    )
    rows: QuerySet[Any] = projects_quota.quotas_list()
    for quota in rows.annotate(held=Coalesce(Subquery(held.values("sum")), 0)).exclude(used=F("held")):
        problem = f"it is charged {quota.used} bytes and holds {quota.held}"
        mend = partial(repairs.quota_mend, project_id=quota.project_id)
        yield Violation("quota", quota.project.name, problem, mend)
    for pk, name in Project.objects.filter(quota=None).values_list("pk", "name"):
        yield Violation("quota", name, "it has none", partial(repairs.quota_make, project_id=pk))
