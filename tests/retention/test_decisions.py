"""What stays in a repository besides what rules keep, and what goes: cases by name, and invariants on any graph."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.decisions import Fact, Outcome, decide
from retention.rules import Rule
from tests.retention.facts import NOW, artifact, rule, tags

ONLY_V = rule("always", 0, tags("v*", untagged=False))


def fact(
    number: int,
    *names: str,
    children: Iterable[int] = (),
    of: int | None = None,
    listed: bool = True,
    in_use: bool = False,
    immutable: str = "",
    leased: bool = False,
    pulled: float | None = None,
) -> Fact:
    made = artifact(number, *names, pulled=pulled)
    return Fact(made, listed and of is None, tuple(children), of, in_use, immutable, leased)


def outcome(*facts: Fact, rules: Iterable[Rule] = (ONLY_V,), known: bool = True) -> Outcome:
    return decide(list(rules), facts, now=NOW, are_pulls_known=known)


def stays(*facts: Fact, rules: Iterable[Rule] = (ONLY_V,)) -> set[int]:
    return {one.artifact.id for one in outcome(*facts, rules=rules).decisions if one.is_kept}


def why(found: Outcome, number: int) -> str:
    return next(one.reason for one in found.decisions if one.artifact.id == number)


def going(found: Outcome) -> dict[int, set[int]]:
    return {one.artifact.id: set(one.going) for one in found.decisions if not one.is_kept}


# By name.


def test_without_a_rule_nothing_goes() -> None:
    assert outcome(fact(1), fact(2, "old"), rules=()).decisions == ()


def test_each_decision_names_its_rule_or_its_reason() -> None:
    found = outcome(fact(1, "v1"), fact(2, "old"))
    assert [(one.artifact.id, one.is_kept, one.rule) for one in found.decisions] == [(1, True, 1), (2, False, None)]
    assert why(found, 1) == "rule 1 (always; matches v*)"
    assert why(found, 2) == "no rule keeps it"


def test_tags_of_one_digest_stay_or_go_together() -> None:
    assert stays(fact(1, "v1", "old"), fact(2, "older", "oldest")) == {1}


def test_children_of_an_index_that_stays_stay_tagged_or_not() -> None:
    parts = fact(1, listed=False), fact(2, "amd64"), fact(3, listed=False)
    found = outcome(*parts, fact(4, "v1", children=[1, 2, 3]))
    assert going(found) == {}
    assert why(found, 2) == "sha256:4, which stays, needs it"


def test_children_of_a_nested_index_stay() -> None:
    assert stays(fact(1, "deep"), fact(2, "mid", children=[1]), fact(3, "v1", children=[2])) == {1, 2, 3}


def test_an_index_goes_with_its_untagged_children_and_before_the_tagged() -> None:
    found = outcome(fact(1, listed=False), fact(2, "amd64"), fact(3, "old", children=[1, 2]))
    assert [one.artifact.id for one in found.decisions] == [3, 2]
    assert going(found) == {3: {3, 1}, 2: {2}}


def test_a_child_of_two_indexes_goes_with_the_later() -> None:
    parts = fact(1, listed=False), fact(2, "a", children=[1]), fact(3, "b", children=[1])
    assert going(outcome(*parts)) == {3: {3}, 2: {2, 1}}
    assert going(outcome(*parts, fact(4, "v1", children=[1]))) == {3: {3}, 2: {2}}


def test_signatures_and_their_own_descriptions_stay_with_their_subject_and_go_with_it() -> None:
    signed = fact(2, of=1), fact(3, of=2), fact(4, "sha256-1.sig", of=1)
    assert going(outcome(fact(1, "v1"), *signed)) == {}
    assert going(outcome(fact(1, "old"), *signed)) == {1: {1, 2, 3, 4}}


def test_a_signature_of_a_child_stays_with_the_index() -> None:
    assert going(outcome(fact(1, listed=False), fact(2, of=1), fact(3, "v1", children=[1]))) == {}


def test_what_signs_something_that_is_not_there_stays() -> None:
    found = outcome(fact(1, listed=False), fact(2, "old"))
    assert going(found) == {2: {2}}


def test_an_image_listed_by_an_orphaned_attestation_stays() -> None:
    assert stays(fact(1, "old"), fact(2, children=[1], listed=False)) == {1}


def test_a_companion_with_a_tag_that_a_rule_keeps_keeps_its_subject() -> None:
    found = outcome(fact(1), fact(2, "v1-sbom", of=1))
    assert going(found) == {}
    assert why(found, 1) == "sha256:2, which belongs to it, is kept by rule 1 (always; matches v*)"


@pytest.mark.parametrize("used", [1, 2, 3, 4, 5])
def test_whatever_part_is_in_use_all_of_it_stays(used: int) -> None:
    """A cluster reports the digest of one child of an index."""
    parts = [
        fact(1, listed=False, in_use=used == 1),
        fact(2, "amd64", in_use=used == 2),
        fact(3, "old", children=[1, 2], in_use=used == 3),
        fact(4, of=3, in_use=used == 4),
        fact(5, of=1, in_use=used == 5),
        fact(6, "other"),
    ]
    assert going(outcome(*parts)) == {6: {6}}


def test_immutable_tags_keep_their_artifact_but_not_an_index_that_lists_it() -> None:
    found = outcome(fact(1, "pinned", immutable="pinned"), fact(2, "old", children=[1]))
    assert going(found) == {2: {2}}
    assert why(found, 1) == "the tag pinned is immutable"


def test_an_immutable_tag_of_what_would_go_along_keeps_the_subject() -> None:
    assert going(outcome(fact(1, "old"), fact(2, "pinned", of=1, immutable="pinned"))) == {}


def test_what_was_just_pushed_and_has_no_tag_stays_a_while() -> None:
    assert stays(fact(1), fact(2, leased=True), fact(3, "old", leased=True)) == {2}


def test_a_pull_of_a_child_by_its_digest_is_a_pull_of_the_index() -> None:
    lately = rule("nDaysSinceLastPull", 7)
    parts = [
        fact(1, listed=False, pulled=1),
        fact(2, children=[1], listed=False, pulled=30),
        fact(3, "idx", children=[2]),
    ]
    assert stays(*parts, fact(4, "dead", pulled=8), rules=[lately]) == {3}


def test_a_repository_of_which_nothing_would_stay_is_told() -> None:
    assert outcome(fact(1, "old"), fact(2)).would_be_empty
    assert not outcome(fact(1, "old"), fact(2, "v1")).would_be_empty
    assert not outcome().would_be_empty


def test_an_index_that_goes_with_another_artifact_goes_before_what_it_lists() -> None:
    """An attestation of 1 that lists 2, which was pushed after 1."""
    found = outcome(fact(1, "old"), fact(2, "older"), fact(3, children=[2], of=1))
    assert [one.artifact.id for one in found.decisions] == [1, 2]
    assert going(found) == {1: {1, 3}, 2: {2}}


def test_what_can_go_in_no_order_stays() -> None:
    """Each of two artifacts is listed by an index that belongs to the other."""
    found = outcome(fact(1, "a"), fact(2, "b"), fact(3, children=[1], of=2), fact(4, children=[2], of=1))
    assert going(found) == {}


def test_tags_that_sign_each_other_drag_nothing() -> None:
    """Two manifests with each other's legacy signature tags: neither is an artifact by itself, neither goes."""
    one, other = fact(1, "sha256-2.sig", of=2), fact(2, "sha256-1.sig", of=1)
    assert going(outcome(one, other, fact(3, "old"))) == {3: {3}}


# On any graph.


@st.composite
def graphs(draw: st.DrawFn) -> list[Fact]:
    """Manifests 1..n; children have smaller numbers, subjects any other one or one that is not there."""
    facts: list[Fact] = []
    size = draw(st.integers(1, 9))
    listed_by_an_index: set[int] = set()
    for number in range(1, size + 1):
        children = draw(st.lists(st.integers(1, number - 1), max_size=3, unique=True)) if number > 1 else []
        subject = draw(st.none() | st.none() | st.integers(1, size + 2).filter(lambda n, own=number: n != own))
        names = draw(st.lists(st.sampled_from(["v", "w", "x", "z"]), max_size=2, unique=True))
        immutable = names[0] if names and draw(st.integers(0, 5)) == 0 else ""
        facts.append(
            Fact(
                artifact(number, *(f"{name}{number}" for name in names), pulled=draw(st.none() | st.integers(0, 20))),
                subject is None,
                tuple(children),
                subject,
                draw(st.integers(0, 7)) == 0,
                f"{immutable}{number}" if immutable else "",
            )
        )
        listed_by_an_index.update(children)
    return [
        replace(one, is_listed=False) if one.artifact.id in listed_by_an_index and not one.artifact.tags else one
        for one in facts
    ]


some_rules = st.lists(
    st.sampled_from(
        [
            ONLY_V,
            rule("latestPushedK", 1, which=2),
            rule("latestPushedK", 2, tags("w*"), which=3),
            rule("nDaysSinceLastPull", 5, which=4),
            rule("latestPulledN", 1, tags("x*", untagged=False), which=5),
            rule("always", 0, tags("v*", excluded=True, untagged=False), which=6),
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


def delete(rows: dict[int, Fact], root: int) -> set[int]:
    """What goes when the artifact is deleted, as registry.graph.doomed says it."""
    found = {root}
    while True:
        children = {child for pk in found for child in rows[pk].children if child in rows} - found
        new = {pk for pk, one in rows.items() if one.subject in found} - found
        new |= {child for child in children if not rows[child].artifact.tags}
        while held := {pk for pk in new if any(pk in one.children for n, one in rows.items() if n not in found | new)}:
            new -= held
        if not new:
            return found
        found |= new


@settings(max_examples=150)
@given(facts=graphs(), rules=some_rules)
def test_what_is_planned_is_what_goes_and_nothing_that_is_needed(facts: list[Fact], rules: list[Rule]) -> None:
    found = decide(rules, facts, now=NOW)
    before = {one.artifact.id: one for one in facts}
    left = dict(before)
    for decision in found.decisions:
        if decision.is_kept:
            assert decision.going == ()
            continue
        pk = decision.artifact.id
        gone = delete(left, pk)
        assert gone == set(decision.going)
        assert not any(pk in one.children for n, one in left.items() if n not in gone), "an index would have a hole"
        for one in gone:
            del left[one]
    check_what_is_left(before, left, found)


def check_what_is_left(before: Mapping[int, Fact], left: Mapping[int, Fact], found: Outcome) -> None:
    assert left.keys() == before.keys() - found.going
    kept = {one.artifact.id for one in found.decisions if one.is_kept}
    assert kept == {pk for pk, one in left.items() if one.is_listed}
    for pk, one in before.items():
        if pk in left:
            assert left.keys() >= set(one.children), "a manifest that stays keeps its children"
        else:
            assert not one.is_in_use
            assert not one.immutable_tag
        if one.subject in left:
            assert pk in left, "what stays keeps its signatures"
        if one.is_in_use:
            assert all(n in left for n, other in before.items() if pk in other.children or one.subject == n)


@settings(max_examples=50)
@given(facts=graphs(), rules=some_rules)
def test_every_kept_artifact_says_why(facts: list[Fact], rules: list[Rule]) -> None:
    for decision in decide(rules, facts, now=NOW).decisions:
        assert decision.reason
        assert decision.rule is None or decision.is_kept
