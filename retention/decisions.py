"""Which artifacts of a repository stay, and why; and what goes with each of the others. Pure.

    index --child--> image          what an index lists stays as long as it
      ^                ^            what signs or describes something stays as long as that
      '--- signature --'            where it can't go, it stays

Rules keep artifacts: what lists show. Here is what else keeps them:

    in use        somebody reported the digest as running, of itself or of anything that hangs together with it
    immutable     one of its tags may not go, or a tag of something that would go with it
    a companion   a signature or the like with a tag of its own that a rule keeps
    an index      that stays lists it
    just pushed   it has no tag yet: perhaps one is on its way, or an index that lists it
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from retention import rules
from retention.rules import Artifact, Rule


@dataclass(frozen=True, slots=True)
class Fact:
    """A manifest of the repository."""

    artifact: Artifact
    is_listed: bool = True
    """Whether it is an artifact by itself; else it hangs on an index or a subject."""
    children: tuple[int, ...] = ()
    subject: int | None = None
    """What it signs or describes, when the repository holds that."""
    is_in_use: bool = False
    immutable_tag: str = ""
    """One of its tags that may not go, if there is one."""
    is_leased: bool = False
    """It was pushed, or a client was told that it is there, a moment ago."""


@dataclass(frozen=True, slots=True)
class Decision:
    """About an artifact: whether it stays, by which rule if it was one, and why in words."""

    artifact: Artifact
    reason: str
    is_kept: bool
    rule: int | None = None
    going: tuple[int, ...] = ()
    """Ids of the manifests that go when it goes, after those before it in the order of the decisions."""


@dataclass(frozen=True)
class Outcome:
    """Decisions in the order in which they are to be carried out: an index before what it lists."""

    decisions: Sequence[Decision] = ()
    idle_rules: frozenset[int] = frozenset()

    @cached_property
    def going(self) -> frozenset[int]:
        return frozenset(pk for decision in self.decisions for pk in decision.going)

    @property
    def would_be_empty(self) -> bool:
        """Whether there are artifacts, and none of them would stay."""
        return bool(self.decisions) and not any(decision.is_kept for decision in self.decisions)


def decide(
    applying: Sequence[Rule],
    facts: Iterable[Fact],
    *,
    now: datetime,
    are_pulls_known: bool = True,
) -> Outcome:
    """What becomes of the artifacts of a repository at which the rules `applying` look; nothing goes without a rule."""
    graph = _Graph(facts)
    if not applying:
        return Outcome()
    listed = [fact.artifact for fact in graph.listed]
    companions = [fact.artifact for fact in graph.facts.values() if not fact.is_listed and fact.artifact.tags]
    kept = rules.kept(applying, listed, companions, now=now, are_pulls_known=are_pulls_known)
    reasons = {fact.artifact.id: str(rule) for fact in graph.listed if (rule := kept.by.get(fact.artifact.id))}
    for pk, reason in _protections(graph, kept.by):
        reasons.setdefault(pk, reason)
    staying = graph.staying(reasons)
    going = graph.going(staying)
    while more := graph.facts.keys() - staying.keys() - {pk for taken in going.values() for pk in taken}:
        # Nothing takes it along, or there is no order in which it could go; then neither goes what belongs to it.
        staying = graph.staying([*staying, *sorted(more)])
        going = graph.going(staying)
    decisions = []
    for fact in graph.listed:
        if (pk := fact.artifact.id) in staying:
            rule = kept.by.get(pk)
            reason = reasons.get(pk) or staying[pk] or "it could go only after something that needs it"
            decisions.append(Decision(fact.artifact, reason, is_kept=True, rule=rule.id if rule else None))
    for pk, taken in going.items():
        decisions.append(Decision(graph.facts[pk].artifact, "no rule keeps it", is_kept=False, going=taken))
    return Outcome(decisions, kept.idle)


def _id(fact: Fact) -> int:
    return fact.artifact.id


def _protections(graph: "_Graph", by: Mapping[int, Rule]) -> Iterator[tuple[int, str]]:
    """Ids of artifacts that stay whatever the rules say, and why."""
    for fact in graph.facts.values():
        artifact = fact.artifact
        if fact.is_in_use:
            for pk in graph.above(artifact.id, is_wide=True):
                yield pk, "it is in use" if pk == artifact.id else f"{artifact.digest}, which belongs to it, is in use"
        if fact.immutable_tag:
            for pk in graph.above(artifact.id):
                yield pk, f"the tag {fact.immutable_tag} is immutable"
        if not fact.is_listed and (rule := by.get(artifact.id)):
            for pk in graph.above(artifact.id):
                yield pk, f"{artifact.digest}, which belongs to it, is kept by {rule}"
        if fact.is_listed and not artifact.tags and fact.is_leased:
            yield artifact.id, "it was pushed a moment ago and has no tag yet"


class _Graph:
    """The manifests of a repository and how they hang together."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self.facts = {fact.artifact.id: fact for fact in sorted(facts, key=lambda fact: fact.artifact.id)}
        self.parents: dict[int, list[int]] = defaultdict(list)
        self.companions: dict[int, list[int]] = defaultdict(list)
        for pk, fact in self.facts.items():
            for child in fact.children:
                self.parents[child].append(pk)
            if fact.subject in self.facts:
                self.companions[fact.subject].append(pk)
        self._share_pulls()
        self.listed = [fact for fact in reversed(self.facts.values()) if fact.is_listed]
        """An index before what it lists."""

    def _share_pulls(self) -> None:
        """An index was pulled when something that it lists was: clients ask for that by digest."""
        for pk, fact in self.facts.items():  # children first
            times = [self.facts[child].artifact.pulled_at for child in fact.children]
            last = max((time for time in (fact.artifact.pulled_at, *times) if time is not None), default=None)
            if last != fact.artifact.pulled_at:
                self.facts[pk] = replace(fact, artifact=replace(fact.artifact, pulled_at=last))

    def above(self, pk: int, *, is_wide: bool = False) -> Iterator[int]:
        """Ids of the artifacts with which the manifest would go: itself, if it is one; `is_wide`, also those that it
        only belongs to."""
        seen, open_ = {pk}, [pk]
        while open_:
            here = self.facts[open_.pop()]
            if here.is_listed:
                yield here.artifact.id
                if not is_wide:
                    continue
            holders = list(self.parents[here.artifact.id]) if is_wide or not here.artifact.tags else []
            holders += [here.subject] if here.subject in self.facts else []
            open_ += [holder for holder in holders if holder not in seen]
            seen.update(holders)

    def staying(self, kept: Iterable[int]) -> dict[int, str]:
        """By id, everything that stays because `kept` stay, and why."""
        found = dict.fromkeys(kept, "")
        open_ = list(found)
        while open_:
            here = self.facts[open_.pop()]
            why = f"{here.artifact.digest}, which stays, needs it"
            for pk in (*here.children, *self.companions[_id(here)], *self._holder(here, found)):
                if pk not in found:
                    found[pk] = why
                    open_.append(pk)
        return found

    def _holder(self, fact: Fact, found: Collection[int]) -> list[int]:
        """What has to stay too, since `fact`, which hangs on several things, would go with it."""
        parents = self.parents[_id(fact)]
        if fact.is_listed or any(parent in found for parent in parents):
            return []
        if parents and not fact.artifact.tags:
            return parents[-1:]
        return [fact.subject] if fact.subject in self.facts else []

    def going(self, staying: Mapping[int, str]) -> dict[int, tuple[int, ...]]:
        """What goes with each artifact that does not stay (registry.graph.doomed), in an order in which no index is
        left with a hole; without those for which there is no such order."""
        roots = [pk for pk in map(_id, self.listed) if pk not in staying]
        gone: set[int] = set()
        found: dict[int, tuple[int, ...]] = {}
        while roots:
            later = []
            for root in roots:
                taken = self._taken(root, gone, staying)
                if gone.issuperset(set(self.parents[root]) - taken.keys()):
                    found[root] = tuple(taken)
                    gone |= taken.keys()
                else:
                    later.append(root)
            if len(later) == len(roots):
                break
            roots = later
        return found

    def _taken(self, root: int, gone: set[int], staying: Mapping[int, str]) -> dict[int, None]:
        """What goes with `root` when all of `gone` is gone."""
        taken, open_, held = {root: None}, [root], set[int]()
        while open_:
            here = self.facts[open_.pop()]
            untagged = [child for child in here.children if child in held or not self.facts[child].artifact.tags]
            for pk in (*untagged, *self.companions[_id(here)]):
                if pk in taken or pk in gone or pk in staying or self.facts[pk].is_listed:
                    continue
                if all(parent in gone or parent in taken for parent in self.parents[pk]):
                    taken[pk] = None
                    open_.append(pk)
                else:
                    held.add(pk)  # for now: perhaps an index that lists it is taken next
        return taken
