"""What the rules keep: Harbor's templates and selectors by tables, and what is true of all of them."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harborlite import patterns
from projects.rules import Decoration, Selector
from retention.rules import (
    MAX_DAYS,
    TEMPLATES,
    Artifact,
    LabelDecoration,
    LabelSelector,
    Rule,
    TagSelector,
    in_repository,
    kept,
    look_at_pulls,
)
from tests.retention.facts import NOW, ago, artifact, labelled, rule, tags

SHELF = [
    artifact(1, "v1", pushed=40, pulled=1),
    artifact(2, "v2", pushed=30),
    artifact(3, "v3", "latest", pushed=20, pulled=5),
    artifact(4, "nightly", pushed=10, pulled=9),
    artifact(5, pushed=5),
]
TABLE: list[tuple[Rule, set[int]]] = [
    (rule("always"), {1, 2, 3, 4, 5}),
    (rule("latestPushedK", 2), {4, 5}),
    (rule("latestPushedK", 0), set()),
    (rule("latestPushedK", 5), {1, 2, 3, 4, 5}),
    (rule("latestPushedK", 99), {1, 2, 3, 4, 5}),
    (rule("latestPushedK", 2, tags("v*", untagged=False)), {2, 3}),
    (rule("latestPulledN", 2), {1, 3}),
    (rule("latestPulledN", 4), {1, 3, 4, 5}),  # of those never pulled, the one pushed later
    (rule("latestPulledN", 1, tags("n*", untagged=False)), {4}),
    (rule("nDaysSinceLastPush", 20), {3, 4, 5}),  # the last moment counts
    (rule("nDaysSinceLastPush", 19), {4, 5}),
    (rule("nDaysSinceLastPush", 0), set()),
    (rule("nDaysSinceLastPush", MAX_DAYS), {1, 2, 3, 4, 5}),
    (rule("nDaysSinceLastPull", 5), {1, 3}),
    (rule("nDaysSinceLastPull", MAX_DAYS), {1, 3, 4}),  # never pulled is not within any number of days
    (rule("always", 0, tags("v*", untagged=False)), {1, 2, 3}),
    (rule("always", 0, tags("v*")), {1, 2, 3, 5}),
    (rule("always", 0, tags("latest", untagged=False)), {3}),  # one tag of two is enough, and the artifact stays
    (rule("always", 0, tags("v*", excluded=True, untagged=False)), {3, 4}),  # 3 has `latest`, which does not match
    (rule("always", 0, tags("{v3,latest}", excluded=True, untagged=False)), {1, 2, 4}),
    (rule("always", 0, tags("v*", excluded=True)), {3, 4, 5}),
    (rule("always", 0, tags("", untagged=False)), {1, 2, 3, 4}),
    (rule("always", 0, tags("", excluded=True)), {5}),
    (rule("always", 0, tags("v*", untagged=False), tags("v3", excluded=True, untagged=False)), {1, 2, 3}),
    (rule("always", 0, tags("v?", untagged=False), tags("v3", untagged=False)), {3}),
    (rule("always", 0, tags("relase-*", untagged=False)), set()),
]


@pytest.mark.parametrize(("only", "expected"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_a_rule_keeps(only: Rule, expected: set[int]) -> None:
    assert set(kept([only], SHELF, now=NOW).by) == expected


LABELLED = [artifact(1, "a", labels=["gold"]), artifact(2, "b", labels=["gold", "old"]), artifact(3, "c")]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (labelled("gold"), {1, 2}),
        (labelled("gold", "old"), {2}),
        (labelled("glod"), set()),
        (labelled("gold", without=True), {3}),
        (labelled("old", "gold", without=True), {3}),
        (labelled("old", without=True), {1, 3}),
    ],
)
def test_labels_choose(selector: LabelSelector, expected: set[int]) -> None:
    assert set(kept([rule("always", 0, tags(), selector)], LABELLED, now=NOW).by) == expected


def test_of_several_rules_one_is_enough_and_the_first_is_told() -> None:
    rules = [
        rule("latestPushedK", 1, which=7),
        rule("nDaysSinceLastPush", 20, which=8),
        rule("latestPulledN", 1, which=9),
    ]
    found = kept(rules, SHELF, now=NOW).by
    assert {pk: only.id for pk, only in found.items()} == {5: 7, 4: 8, 3: 8, 1: 9}


def test_a_rule_that_chooses_nothing_is_told() -> None:
    rules = [rule("always", 0, tags("relase-*", untagged=False), which=1), rule("latestPushedK", 0, which=2)]
    assert kept(rules, SHELF, now=NOW).idle == {1}


def test_what_was_pushed_at_the_same_moment_is_told_apart() -> None:
    same = [artifact(number, f"t{number}", pushed=1) for number in range(1, 6)]
    assert set(kept([rule("latestPushedK", 2)], same, now=NOW).by) == {4, 5}


def test_rules_look_at_their_repositories_and_not_when_disabled() -> None:
    def at(*selectors: Selector, off: bool = False, which: int = 1) -> Rule:
        return Rule(which, "always", 0, (tags(),), selectors, is_disabled=off)

    rules = [
        at(Selector(Decoration.REPOSITORIES, "team/**"), which=1),
        at(Selector(Decoration.OTHER_REPOSITORIES, "team/**"), which=2),
        at(Selector(Decoration.REPOSITORIES, "**"), which=3, off=True),
        at(Selector(Decoration.REPOSITORIES, "**"), Selector(Decoration.OTHER_REPOSITORIES, "team/b"), which=4),
    ]
    assert [only.id for only in in_repository(rules, "team/a")] == [1, 4]
    assert [only.id for only in in_repository(rules, "team/b")] == [1]
    assert [only.id for only in in_repository(rules, "app")] == [2, 4]


def test_rules_that_ask_for_pulls_keep_all_they_choose_when_pulls_are_not_written_down() -> None:
    rules = [rule("nDaysSinceLastPull", 1, tags("v*", untagged=False)), rule("latestPulledN", 1, tags("n*"), which=2)]
    assert set(kept(rules, SHELF, now=NOW, are_pulls_known=False).by) == {1, 2, 3, 4, 5}
    assert set(kept([rule("latestPushedK", 1)], SHELF, now=NOW, are_pulls_known=False).by) == {5}


@pytest.mark.parametrize("template", TEMPLATES)
def test_which_templates_look_at_pulls(template: str) -> None:
    assert look_at_pulls([rule(template, 1)]) == ("ull" in template)


def test_others_are_compared_and_not_counted() -> None:
    others = [artifact(9, "sbom-1", pushed=25), artifact(10, "sbom-2", pushed=7)]
    found = kept([rule("latestPushedK", 2)], SHELF, others, now=NOW).by
    assert set(found) == {4, 5, 10}, "of the artifacts the first two, and what is newer than the second"


# What is true of all rules.

names = st.sampled_from(["v1", "v2", "v10", "latest", "rc-1", "nightly"])
moments = st.integers(0, 40).map(ago)
shelves = st.lists(
    st.tuples(
        st.lists(names, max_size=3, unique=True).map(tuple),
        moments,
        st.none() | moments,
        st.frozensets(st.sampled_from(["gold", "old"])),
    ),
    max_size=12,
).map(lambda rows: [Artifact(n, f"sha256:{n}", *row[:3], row[3]) for n, row in enumerate(rows, 1)])
selectors = st.builds(
    TagSelector,
    st.sampled_from([Decoration.TAGS, Decoration.OTHER_TAGS]),
    st.sampled_from(["**", "v*", "v1", "{latest,rc-*}", "x"]),
    st.booleans(),
) | st.builds(
    LabelSelector,
    st.sampled_from(list(LabelDecoration)),
    st.frozensets(st.sampled_from(["gold", "old", "glod"]), min_size=1),
)
some_rules = st.builds(
    Rule,
    st.integers(1, 9),
    st.sampled_from(list(TEMPLATES)),
    st.integers(0, 45),
    st.lists(selectors, min_size=1, max_size=2).map(tuple),
)
many_rules = st.lists(some_rules, max_size=4)


def by_hand(only: Rule, shelf: Sequence[Artifact]) -> set[int]:
    """The same, said in the plainest way."""
    chosen = [one for one in shelf if all(_is_chosen(selector, one) for selector in only.selectors)]
    pushed = sorted(chosen, key=lambda one: (one.pushed_at, one.id))
    pulled = sorted((one for one in chosen if one.pulled_at), key=lambda one: (one.pulled_at, one.pushed_at, one.id))
    never = [one for one in pushed if not one.pulled_at]
    start = NOW - timedelta(days=only.number)
    match only.template:
        case "always":
            stay = chosen
        case "latestPushedK":
            stay = pushed[::-1][: only.number]
        case "latestPulledN":
            stay = (never + pulled)[::-1][: only.number]
        case "nDaysSinceLastPush":
            stay = [one for one in chosen if one.pushed_at >= start]
        case _:
            stay = [one for one in pulled if one.pulled_at and one.pulled_at >= start]
    return {one.id for one in stay}


def _is_chosen(selector: TagSelector | LabelSelector, one: Artifact) -> bool:
    if isinstance(selector, LabelSelector):
        has = [label in one.labels for label in selector.labels]
        return all(has) if selector.decoration == LabelDecoration.WITH else not any(has)
    if not one.tags:
        return selector.untagged
    found = [patterns.matches(selector.pattern, tag) for tag in one.tags]
    return any(found) if selector.decoration == Decoration.TAGS else not all(found)


@given(only=some_rules, shelf=shelves)
def test_a_rule_keeps_what_it_says(only: Rule, shelf: list[Artifact]) -> None:
    assert set(kept([only], shelf, now=NOW).by) == by_hand(only, shelf)


@given(rules=many_rules, shelf=shelves)
def test_rules_together_keep_what_each_of_them_keeps(rules: list[Rule], shelf: list[Artifact]) -> None:
    alone = [set(kept([only], shelf, now=NOW).by) for only in rules]
    assert set(kept(rules, shelf, now=NOW).by) == set().union(*alone)


@given(rules=many_rules, shelf=shelves, data=st.data())
def test_the_order_of_what_is_read_does_not_matter(
    rules: list[Rule], shelf: list[Artifact], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(shelf))
    assert kept(rules, shelf, now=NOW).by == kept(rules, shuffled, now=NOW).by


@given(rules=many_rules, shelf=shelves)
def test_not_to_know_pulls_keeps_no_less(rules: list[Rule], shelf: list[Artifact]) -> None:
    assert kept(rules, shelf, now=NOW).by.keys() <= kept(rules, shelf, now=NOW, are_pulls_known=False).by.keys()


@given(rules=many_rules, shelf=shelves)
def test_one_rule_more_keeps_no_less(rules: list[Rule], shelf: list[Artifact]) -> None:
    more = [*rules, rule("latestPushedK", 1, tags("v*", untagged=False), which=99)]
    assert kept(rules, shelf, now=NOW).by.keys() <= kept(more, shelf, now=NOW).by.keys()
