"""Which tags are immutable, by the rules in the database. Reads, and the lock that keeps the rules as they are.

    who moves or deletes a tag       holds the rules (rules_held), then reads them, then changes the tag
    who changes the rules            holds them alone (rules_hold_alone): waits for the former, and they for it

So from the answer to who made a rule on, no tag that it covers moves, whatever was under way.
"""

from collections.abc import Callable, Iterable
from functools import cache

from django.db import connection
from django.db.models import BigIntegerField, F, Func, QuerySet, TextField, Value

from harborlite.errors import NotFound
from projects import rules
from projects.models import ImmutableRule, Project
from projects.rules import Decision, Decoration, ImmutableTags, Selector

_LOCKS = 0x1AB1E << 40  # a range of PostgreSQL's advisory locks: with a project's id, that project's rules


def rules_of(project: Project) -> QuerySet[ImmutableRule]:
    """The rules of the project, oldest first."""
    return ImmutableRule.objects.filter(project=project).order_by("pk")


def rule_get(project: Project, rule_id: int) -> ImmutableRule:
    """The rule `rule_id` of the project; NotFound when it is none of this project."""
    rule = rules_of(project).filter(pk=rule_id).first()
    if rule is None:
        raise NotFound(f"the project has no immutable tag rule {rule_id}")
    return rule


def matcher_for(project: Project) -> Callable[[str, str], bool]:
    """Says of a repository's path in the project, and a tag, whether the tag is immutable. One query, made here."""
    facts = facts_of(rules_of(project).filter(is_disabled=False))
    here = cache(lambda path: rules.in_repository(facts, path))
    return lambda path, tag: any(rule.tags.chooses(tag) for rule in here(path))


def change_of_tag(project: Project, path: str, tag: str) -> Decision:
    """Whether the tag of the repository may be moved or deleted, and by which rule not."""
    return rules.change_of_tag(facts_of(rules_of(project)), path, tag)


def facts_of(rows: Iterable[ImmutableRule]) -> list[ImmutableTags]:
    """What the rules say, without the database."""
    return [
        ImmutableTags(
            row.pk, _selector(row.scope_selectors["repository"]), _selector(row.tag_selectors), row.is_disabled
        )
        for row in rows
    ]


def _selector(stored: list[dict[str, str]]) -> Selector:
    (only,) = stored
    return Selector(Decoration(only["decoration"]), only["pattern"])


def rules_held(project_id: str) -> Func:
    """To annotate a query with, `project_id` being a column of it: nobody changes the rules of the projects of the
    rows it gives before the caller's transaction ends. The rules have to be read by a later statement."""
    key = Value(_LOCKS, BigIntegerField()) + F(project_id)
    return Func(key, function="pg_advisory_xact_lock_shared", output_field=TextField())


def rules_hold_alone(project_id: int) -> None:
    """Until the caller's transaction ends nobody else changes the rules of the project, nor holds them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCKS + project_id])
