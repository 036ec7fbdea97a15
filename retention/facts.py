"""What the decisions about a repository are made from, read from the database: four queries, however much there is.

They are no snapshot. Whoever acts on them reads them again for what is to go, under its locks (services.removals).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from projects import immutability
from projects import rules as project_rules
from projects.models import ImmutableRule
from registry.models import Repository
from retention.decisions import Fact, Outcome, decide
from retention.models import InUse
from retention.rules import Artifact, Rule, in_repository, look_at_pulls
from system import config

# `only` is NULL for all of the repository.
_MANIFESTS = """
    SELECT id, digest, is_listed, pushed_at, pulled_at, accessory_of,
        is_listed AND greatest(leased_until, pushed_at + %(lease)s) > now()
    FROM registry_manifest
    WHERE repository_id = %(repository)s AND (%(only)s::bigint[] IS NULL OR id = ANY (%(only)s))
"""
_TAGS = """
    SELECT tag.manifest_id, tag.name, tag.moved_at, tag.pulled_at
    FROM registry_tag AS tag
    WHERE tag.repository_id = %(repository)s AND (%(only)s::bigint[] IS NULL OR tag.manifest_id = ANY (%(only)s))
    ORDER BY tag.name
"""
_LABELS = """
    SELECT link.manifest_id, label.name
    FROM registry_manifestlabel AS link
    JOIN registry_manifest AS manifest ON manifest.id = link.manifest_id
    JOIN projects_label AS label ON label.id = link.label_id
    WHERE manifest.repository_id = %(repository)s
        AND (%(only)s::bigint[] IS NULL OR link.manifest_id = ANY (%(only)s))
"""
_CHILDREN = """
    SELECT reference.manifest_id, reference.child_id
    FROM registry_manifestreference AS reference
    JOIN registry_manifest AS child ON child.id = reference.child_id
    WHERE child.repository_id = %(repository)s
        AND (%(only)s::bigint[] IS NULL OR reference.manifest_id = ANY (%(only)s))
    ORDER BY reference.manifest_id, reference.position
"""


@dataclass(frozen=True)
class Evaluation:
    """A repository and what the rules say of it at this moment."""

    facts: Mapping[int, Fact]
    outcome: Outcome
    applying: Collection[Rule]
    at: datetime
    updated_at: datetime
    """When the repository was changed last, before it was looked at."""


def evaluate(repository: Repository, rules: Iterable[Rule]) -> Evaluation:
    """The decisions about everything in `repository`."""
    applying = in_repository(rules, repository.name)
    now, updated_at = Repository.objects.values_list(Now(), "updated_at").get(pk=repository.pk)
    facts = facts_of(repository)
    are_pulls_known = not config.get("pull_time_update_disable")
    outcome = decide(applying, facts.values(), now=now, are_pulls_known=are_pulls_known)
    return Evaluation(facts, outcome, applying, now, updated_at)


def facts_of(repository: Repository, only: Collection[int] | None = None) -> dict[int, Fact]:
    """By id, the manifests of `repository`, or `only` some of them."""
    values: dict[str, Any] = {
        "repository": repository.pk,
        "only": None if only is None else list(only),
        "lease": timedelta(seconds=settings.LEASE_SECONDS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MANIFESTS, values)
        rows = cursor.fetchall()
        cursor.execute(_TAGS, values)
        tags = _grouped(cursor.fetchall())
        cursor.execute(_LABELS, values)
        labels = _grouped(cursor.fetchall())
        cursor.execute(_CHILDREN, values)
        children = _grouped(cursor.fetchall())
    in_use = in_use_in(repository.project_id)
    rules = immutability.facts_of(ImmutableRule.objects.filter(project=repository.project_id, is_disabled=False))
    immutable = project_rules.in_repository(rules, repository.name)
    ids = {row[1]: row[0] for row in rows}
    found = {}
    for pk, digest, is_listed, pushed_at, pulled_at, subject, is_leased in rows:
        mine = tags.get(pk, ())
        names = tuple(tag[0] for tag in mine)
        found[pk] = Fact(
            Artifact(
                pk,
                digest,
                names,
                max([pushed_at, *(tag[1] for tag in mine)]),
                max((at for at in [pulled_at, *(tag[2] for tag in mine)] if at is not None), default=None),
                frozenset(label[0] for label in labels.get(pk, ())),
            ),
            is_listed,
            tuple(child[0] for child in children.get(pk, ())),
            ids.get(subject) if only is None else None,
            digest in in_use,
            next((name for name in names if any(rule.tags.chooses(name) for rule in immutable)), "")
            if immutable
            else "",
            is_leased and not names,
        )
    return found


def in_use_in(project_id: int) -> set[str]:
    """The digests that are reported as running, and whose reports have not expired."""
    return set(InUse.objects.filter(project=project_id, expires_at__gt=Now()).values_list("digest", flat=True))


def is_unchanged(evaluation: Evaluation, repository: Repository, going: Collection[int]) -> bool:
    """Whether the manifests `going` are as `evaluation` found them: tags, labels, reports, and pulls if a rule asks."""
    if not evaluation.outcome.going.issuperset(going):
        return False
    now = facts_of(repository, only=going)
    with_pulls = look_at_pulls(evaluation.applying)
    return all(_said(now.get(pk), with_pulls) == _said(evaluation.facts.get(pk), with_pulls) for pk in going)


def _said(fact: Fact | None, with_pulls: bool) -> tuple[Any, ...] | None:
    if fact is None:
        return None
    one = fact.artifact
    pulled_at = one.pulled_at if with_pulls else None
    return one.tags, one.labels, one.pushed_at, pulled_at, fact.is_in_use, fact.immutable_tag, fact.is_leased


def _grouped(rows: Iterable[tuple[Any, ...]]) -> Mapping[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for key, *rest in rows:
        found[key].append(tuple(rest))
    return found
