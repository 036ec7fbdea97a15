"""A project with repositories that tests fill by the product's services, a policy for it, and its runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from projects.models import Label
from registry.models import Manifest, ManifestLabel, Repository, Tag
from retention.models import Plan, PlannedArtifact, Policy
from retention.queries import plan_of
from retention.services.policies import policy_create, policy_update, retention_start
from system.models import Execution
from tests.registry.gc.shelf import Shelf
from tests.system.worker import run_jobs

EVERYWHERE = {"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}


def chosen(pattern: str = "**", decoration: str = "matches", *, untagged: bool = False) -> dict[str, str]:
    extras = '{"untagged":true}' if untagged else '{"untagged":false}'
    return {"kind": "doublestar", "decoration": decoration, "pattern": pattern, "extras": extras}


def with_label(name: str, decoration: str = "withLabels") -> dict[str, str]:
    return {"kind": "label", "decoration": decoration, "pattern": name}


def rule(template: str = "always", number: int = 0, *selectors: Mapping[str, str], **further: object) -> dict[str, Any]:
    return {
        "id": 1,
        "priority": 0,
        "disabled": False,
        "action": "retain",
        "template": template,
        "params": {} if template == "always" else {template: number},
        "tag_selectors": list(selectors or [chosen()]),
        "scope_selectors": {"repository": [EVERYWHERE]},
        **further,
    }


KEEP_V = rule("always", 0, chosen("v*"))


class Shop:
    def __init__(self) -> None:
        self.shelf = Shelf("shop", "app")
        self.project = self.shelf.project
        self._number = 0

    def more(self, path: str) -> Shelf:
        """Another repository of the project."""
        return Shelf(path=path, project=self.project)

    def image(self, *names: str, shelf: Shelf | None = None) -> str:
        """An image nobody pushed before, with a layer of its own and one that all share."""
        shelf = shelf or self.shelf
        self._number += 1
        digest = shelf.image(
            f"config {self._number}".encode(), f"layer {self._number}".encode() * self._number, b"shared", tag=None
        )
        for name in names:
            self.tag(digest, name, shelf)
        return digest

    def tag(self, digest: str, name: str, shelf: Shelf | None = None) -> None:
        shelf = shelf or self.shelf
        row = Manifest.objects.get(repository=shelf.repository, digest=digest)
        shelf.put(json.loads(bytes(row.content)), row.media_type, tag=name)

    def label(self, digest: str, name: str) -> None:
        label, _ = Label.objects.get_or_create(project=self.project, name=name)
        ManifestLabel.objects.create(manifest=Manifest.objects.get(digest=digest), label=label)

    def age(self, days: float, *digests: str) -> None:
        """The artifacts, or all, were pushed and pulled so many days before they were."""
        self._shift(f"pushed_at = pushed_at - {days} * interval '1 day', leased_until = NULL", "manifest", digests)
        self._shift(f"pulled_at = pulled_at - {days} * interval '1 day'", "manifest", digests)
        self._shift(f"moved_at = moved_at - {days} * interval '1 day'", "tag", digests)

    def pull(self, digest: str, tag: str | None = None, days: float = 0) -> None:
        """As if it had been pulled so many days ago: by the tag, or else by its digest."""
        change = f"pulled_at = now() - {days} * interval '1 day'"
        if tag is None:
            self._shift(change, "manifest", [digest])
            return
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE registry_tag SET {change} WHERE name = %s", [tag])

    def _shift(self, change: str, table: str, digests: Sequence[str]) -> None:
        column = {"manifest": "id", "tag": "manifest_id"}[table]
        ids = list(Manifest.objects.filter(**({"digest__in": digests} if digests else {})).values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE registry_{table} SET {change} WHERE {column} = ANY (%s)", [ids])

    # What is there.

    def digests(self, shelf: Shelf | None = None) -> set[str]:
        """Of all manifests, listed or not."""
        return set(
            Manifest.objects.filter(repository=(shelf or self.shelf).repository).values_list("digest", flat=True)
        )

    def tags(self, shelf: Shelf | None = None) -> set[str]:
        return set(Tag.objects.filter(repository=(shelf or self.shelf).repository).values_list("name", flat=True))

    def repository(self) -> Repository:
        return Repository.objects.select_related("project").get(pk=self.shelf.repository.pk)

    # What is done.

    def policy(self, *rules: Mapping[str, Any], may_empty: bool = False, cron: str = "") -> Policy:
        numbered = [{**row, "id": number} for number, row in enumerate(rules, 1)]
        found = Policy.objects.filter(project_id=self.project.pk).first()
        values: dict[str, Any] = {"rules": numbered, "may_empty": may_empty, "cron": cron}
        if found is None:
            return policy_create(project=self.project, **values)
        policy_update(policy=found, project=self.project, **values)
        return found

    def start(self, policy: Policy, *, dry: bool = False, plan: Plan | None = None, confirm: bool = False) -> Execution:
        return retention_start(policy=policy, project=self.project, is_dry=dry, plan=plan, is_confirmed=confirm)

    def run(self, policy: Policy, *, dry: bool = False, plan: Plan | None = None, confirm: bool = False) -> Execution:
        execution = self.start(policy, dry=dry, plan=plan, confirm=confirm)
        run_jobs()
        execution.refresh_from_db()
        assert execution.status == "Success", execution.status_message
        return execution


def plan_from(execution: Execution) -> Plan:
    plan = plan_of(execution)
    assert plan is not None
    return plan


def fates(execution: Execution) -> dict[str, str]:
    """By digest, what was decided: kept, or going, or what came of that."""
    rows = PlannedArtifact.objects.filter(plan=plan_from(execution))
    return {row.digest: "kept" if row.is_kept else row.outcome or "going" for row in rows}


def reasons(execution: Execution) -> dict[str, str]:
    rows = PlannedArtifact.objects.filter(plan=plan_from(execution))
    return {row.digest: row.outcome_reason or row.reason for row in rows}
