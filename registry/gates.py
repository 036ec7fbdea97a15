"""What may refuse a change of content, in the order in which it is asked.

    read-only mode         system.middleware, before anything else
    who may                registry.access, projects.rbac: in the faces
    quota                  projects.quota, when a push makes the project hold more
    immutable tags         here, for every tag that would move or go
    what is still needed   registry.services: an index keeps its manifests, a project its repositories

A push of a tag moves it, and so do tags given with a push by digest, a copy, and the restoring of a tag. A tag goes by
itself, with its manifest by digest, with its repository; a project that has repositories stays. A tag that is new, or
points already where it shall, does not move.

All of these are called in the transaction of the change after it has locked the tags (registry.services.locks), which
also keeps the rules as they are: what is decided here holds until the commit. One query each.
"""

from collections.abc import Callable, Iterable

from harborlite.errors import Precondition
from projects import immutability, rules
from projects.models import ImmutableRule
from registry.models import Repository

Check = Callable[[int, Iterable[str]], None]
"""Takes the repository's id and the tags in question."""


def check_push(repository_id: int, tags: Iterable[str]) -> None:
    """Precondition when a push would move a tag that is immutable."""
    if found := _immutable(repository_id, tags):
        path, tag = found
        raise Precondition(f"Failed to process request due to '{path}:{tag}' configured as immutable.")


def check_move(repository_id: int, tags: Iterable[str]) -> None:
    """Precondition when one of these tags, which would move otherwise than by a push, is immutable."""
    if found := _immutable(repository_id, tags):
        raise Precondition(f"the tag {found[1]} configured as immutable, cannot be updated")


def check_delete(repository_id: int, tags: Iterable[str]) -> None:
    """Precondition when one of these tags, which would go, is immutable."""
    if found := _immutable(repository_id, tags):
        raise Precondition(f"the tag {found[1]} configured as immutable, cannot be deleted")


def check_rename(repository_id: int, tags: Iterable[str]) -> None:
    """Precondition when one of the tags of a repository that would get another name is immutable: rules are about
    names, and under the new one perhaps none covers it."""
    if found := _immutable(repository_id, tags):
        raise Precondition(f"the tag {found[1]} configured as immutable, the repository cannot be renamed")


def _immutable(repository_id: int, tags: Iterable[str]) -> tuple[str, str] | None:
    """The first of the tags that a rule makes immutable, with the repository's path."""
    rows = ImmutableRule.objects.filter(project__repositories=repository_id, is_disabled=False).order_by("pk")
    facts = immutability.facts_of(rows)
    if not facts:
        return None
    path = Repository.objects.values_list("name", flat=True).get(pk=repository_id)
    here = rules.in_repository(facts, path)
    return next(((path, tag) for tag in tags if any(rule.tags.chooses(tag) for rule in here)), None)
