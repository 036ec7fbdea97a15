"""Writes of immutable tag rules."""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite.errors import BadRequest, NotFound
from projects import immutability
from projects.models import ImmutableRule, Project
from projects.rules import Selector
from system.events import emit

MAX_RULES = 100
"""A push looks at all of them."""
_TAKEN = "the project has an immutable tag rule with these patterns already"


@retried
def rule_create(
    *, project: Project, repositories: Selector, tags: Selector, is_disabled: bool = False, priority: int = 0
) -> ImmutableRule:
    """The tags that the rule covers don't move and don't go from here on; pushes under way were waited for.

    Conflict when the project has a rule with these patterns, BadRequest when it has 100, NotFound when it is gone.
    """
    with refusals(_TAKEN, "the project is gone"), transaction.atomic(durable=True):
        immutability.rules_hold_alone(project.pk)
        if ImmutableRule.objects.filter(project=project).count() >= MAX_RULES:
            raise BadRequest(f"a project has at most {MAX_RULES} immutable tag rules")
        values = _values(repositories, tags, is_disabled, priority)
        rule = ImmutableRule.objects.create(project=project, **values)
        _told("create", project, rule)
    return rule


@retried
def rule_update(
    *,
    rule: ImmutableRule,
    repositories: Selector | None = None,
    tags: Selector | None = None,
    is_disabled: bool | None = None,
    priority: int | None = None,
) -> None:
    """The rule says what is given, and the rest as before.

    Conflict when another rule of its project has these patterns, NotFound when the rule is gone.
    """
    with refusals(_TAKEN), transaction.atomic(durable=True):
        immutability.rules_hold_alone(rule.project_id)
        values = _values(repositories, tags, is_disabled, priority)
        if not ImmutableRule.objects.filter(pk=rule.pk).update(updated_at=Now(), **values):
            raise NotFound("there is no such rule")
        rule.refresh_from_db()
        _told("update", rule.project, rule)


@retried
def rule_delete(*, rule: ImmutableRule) -> None:
    """The rule is gone. NotFound when it was already."""
    with transaction.atomic(durable=True):
        immutability.rules_hold_alone(rule.project_id)
        if not ImmutableRule.objects.filter(pk=rule.pk).delete()[0]:
            raise NotFound("there is no such rule")
        _told("delete", rule.project, rule)


def _values(
    repositories: Selector | None, tags: Selector | None, is_disabled: bool | None, priority: int | None
) -> dict[str, Any]:
    values = {
        "scope_selectors": {"repository": [_stored(repositories)]} if repositories else None,
        "tag_selectors": [_stored(tags)] if tags else None,
        "is_disabled": is_disabled,
        "priority": priority,
    }
    return {name: value for name, value in values.items() if value is not None}


def _stored(selector: Selector) -> dict[str, str]:
    return {"kind": "doublestar", "decoration": str(selector.decoration), "pattern": selector.pattern}


def _told(operation: str, project: Project, rule: ImmutableRule) -> None:
    (facts,) = immutability.facts_of([rule])
    emit(
        operation,
        "immutable_rule",
        f"{project.name}/{rule.pk}",
        project_id=project.pk,
        project=project.name,
        description=f"{operation} {facts}{' (disabled)' if rule.is_disabled else ''}",
    )
