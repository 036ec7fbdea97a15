"""What the rules of a project decide. Pure: facts in, decision out."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from harborlite import patterns


class Decoration(StrEnum):
    """How Harbor spells what a selector looks at, and whether it chooses what its pattern matches or all the rest."""

    REPOSITORIES = "repoMatches"
    OTHER_REPOSITORIES = "repoExcludes"
    TAGS = "matches"
    OTHER_TAGS = "excludes"


_OTHERS = frozenset({Decoration.OTHER_REPOSITORIES, Decoration.OTHER_TAGS})


@dataclass(frozen=True, slots=True)
class Selector:
    """Chooses names by a doublestar pattern."""

    decoration: Decoration
    pattern: str

    def chooses(self, name: str) -> bool:
        return patterns.matches(self.pattern, name) != (self.decoration in _OTHERS)

    def __str__(self) -> str:
        return f"{self.decoration} {self.pattern}"


@dataclass(frozen=True, slots=True)
class ImmutableTags:
    """The tags that `tags` chooses, in the repositories that `repositories` chooses (by their path in the project)."""

    id: int
    repositories: Selector
    tags: Selector
    is_disabled: bool = False

    def __str__(self) -> str:
        return f"immutable tag rule {self.id} ({self.repositories}, {self.tags})"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be, and when it may not, the rule that says so and the reason in words."""

    is_allowed: bool
    rule: int | None = None
    reason: str = ""


ALLOWED = Decision(is_allowed=True)


def in_repository(rules: Iterable[ImmutableTags], path: str) -> list[ImmutableTags]:
    """Those of the rules that hold in the repository."""
    return [rule for rule in rules if not rule.is_disabled and rule.repositories.chooses(path)]


def change_of_tag(rules: Iterable[ImmutableTags], path: str, tag: str) -> Decision:
    """Whether the tag may be moved or deleted: not when one rule makes it immutable, whatever the others say."""
    for rule in in_repository(rules, path):
        if rule.tags.chooses(tag):
            return Decision(is_allowed=False, rule=rule.id, reason=f"{path}:{tag} is immutable by {rule}")
    return ALLOWED
