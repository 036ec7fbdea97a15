"""What the rules of a retention policy keep in a repository. Pure: facts in, verdicts out.

An artifact is kept when one rule keeps it, whatever the others say. A rule looks at the repositories that all its
repository selectors choose, there at the artifacts that all its artifact selectors choose, and of these its template
keeps some. As in Harbor, an artifact is chosen when one of its tags is, and goes or stays with all of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from heapq import nlargest
from typing import Any

from harborlite import patterns
from projects.rules import Decoration, Selector

NEVER = datetime.min.replace(tzinfo=UTC)
COUNT, DAYS = "COUNT", "DAYS"
MAX_COUNT, MAX_DAYS = 2**15 - 2, 20_190_904
"""Harbor's."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of a manifest. Ids grow: the children of an index have smaller ones."""

    id: int
    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime
    """When it or one of its tags came last."""
    pulled_at: datetime | None
    """When it was pulled last, by one of its tags or by its digest."""
    labels: frozenset[str] = frozenset()


# Which artifacts a rule looks at.


@dataclass(frozen=True, slots=True)
class TagSelector:
    """Chooses artifacts of which one tag matches the pattern (or, by OTHER_TAGS, does not match it).

    Of artifacts without a tag it chooses all or none. Harbor writes that down as what the pattern applies to, so when
    nothing is said, both `matches` and `excludes` choose them.
    """

    decoration: Decoration
    pattern: str
    untagged: bool
    """Whether artifacts without a tag are chosen."""

    def chooses(self, artifact: Artifact) -> bool:
        if not artifact.tags:
            return self.untagged
        wanted = self.decoration == Decoration.TAGS
        if self.pattern in ("", "*", "**"):  # a tag has no slash
            return wanted
        return any(patterns.matches(self.pattern, tag) == wanted for tag in artifact.tags)

    def __str__(self) -> str:
        return f"{self.decoration} {self.pattern}"


class LabelDecoration(StrEnum):
    """Whether a selector chooses artifacts that have all of its labels, or such as have none of them."""

    WITH = "withLabels"
    WITHOUT = "withoutLabels"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Chooses artifacts by the names of their labels."""

    decoration: LabelDecoration
    labels: frozenset[str]

    def chooses(self, artifact: Artifact) -> bool:
        if self.decoration == LabelDecoration.WITH:
            return self.labels <= artifact.labels
        return not self.labels & artifact.labels

    def __str__(self) -> str:
        return f"{self.decoration} {','.join(sorted(self.labels))}"


# Which of them it keeps.

Keeps = Callable[[Artifact], bool]
Key = Callable[[Artifact], tuple[Any, ...]]


def _pushed(artifact: Artifact) -> tuple[Any, ...]:
    return artifact.pushed_at, artifact.id


def _pulled(artifact: Artifact) -> tuple[Any, ...]:
    return artifact.pulled_at or NEVER, artifact.pushed_at, artifact.id


@dataclass(frozen=True, slots=True)
class Template:
    """A way to keep some of the artifacts that a rule looks at, by when they were pushed or pulled; or all of them."""

    name: str
    text: str
    """With # for the number."""
    key: Key | None = None
    """The time, and what tells apart those of the same time; None when it keeps all."""
    unit: str = ""
    """Of the number: COUNT, as many with the highest keys; DAYS, those of so many days. Empty when there is none."""

    @property
    def most(self) -> int:
        return MAX_COUNT if self.unit == COUNT else MAX_DAYS

    @property
    def looks_at_pulls(self) -> bool:
        return self.key is _pulled

    def line(self, chosen: Sequence[Artifact], number: int, now: datetime) -> Keeps:
        """What is true of those of `chosen` that stay. It may be asked of others: they are compared with these."""
        if (key := self.key) is None:
            return lambda _: True
        if self.unit == DAYS:
            start = now - timedelta(days=number) if number < (now - NEVER).days else NEVER
            return lambda artifact: NEVER < key(artifact)[0] >= start
        first = nlargest(number, map(key, chosen))
        if len(first) < number:
            return lambda _: True
        return lambda artifact: bool(first) and key(artifact) >= first[-1]


TEMPLATES: Mapping[str, Template] = {
    template.name: template
    for template in (
        Template("latestPushedK", "the most recently pushed # artifacts", _pushed, COUNT),
        Template("latestPulledN", "the most recently pulled # artifacts", _pulled, COUNT),
        Template("nDaysSinceLastPush", "pushed within the last # days", _pushed, DAYS),
        Template("nDaysSinceLastPull", "pulled within the last # days", _pulled, DAYS),
        Template("always", "always"),
    )
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Of the artifacts that all `selectors` choose, in the repositories that all `repositories` choose, some stay."""

    id: int
    template: str
    number: int = 0
    selectors: tuple[TagSelector | LabelSelector, ...] = ()
    repositories: tuple[Selector, ...] = ()
    is_disabled: bool = False

    def chooses(self, artifact: Artifact) -> bool:
        return all(selector.chooses(artifact) for selector in self.selectors)

    def __str__(self) -> str:
        how = TEMPLATES[self.template].text.replace("#", str(self.number))
        return f"rule {self.id} ({how}; {', '.join(map(str, self.selectors))})"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the rules say of the artifacts of a repository."""

    by: Mapping[int, Rule]
    """By the id of each artifact that is kept, the first rule that keeps it."""
    idle: frozenset[int]
    """Rules that chose no artifact at all: perhaps their patterns say something else than was meant."""


def in_repository(rules: Iterable[Rule], path: str) -> list[Rule]:
    """Those of the rules that look at the repository, by its path in the project. Where none does, nothing goes."""
    return [rule for rule in rules if not rule.is_disabled and all(one.chooses(path) for one in rule.repositories)]


def look_at_pulls(rules: Iterable[Rule]) -> bool:
    """Whether what they keep depends on pulls."""
    return any(TEMPLATES[rule.template].looks_at_pulls for rule in rules)


def kept(
    rules: Iterable[Rule],
    artifacts: Sequence[Artifact],
    others: Sequence[Artifact] = (),
    *,
    now: datetime,
    are_pulls_known: bool = True,
) -> Kept:
    """What `rules`, which all look at the repository, keep of its `artifacts`.

    Also of `others`, which are not counted: one of them is kept when it would be, were it among the artifacts. When
    pulls are not written down, rules that ask for them keep whatever they choose.
    """
    by: dict[int, Rule] = {}
    idle = set()
    for rule in rules:
        template = TEMPLATES[rule.template]
        chosen = [artifact for artifact in artifacts if rule.chooses(artifact)]
        is_blind = template.looks_at_pulls and not are_pulls_known
        keeps = TEMPLATES["always" if is_blind else rule.template].line(chosen, rule.number, now)
        if not chosen:
            idle.add(rule.id)
        for artifact in (*chosen, *(other for other in others if rule.chooses(other))):
            if keeps(artifact):
                by.setdefault(artifact.id, rule)
    return Kept(by, frozenset(idle))
