"""What immutable tag rules make immutable: Harbor's own cases in words of ours, and what its console makes of lists."""

import pytest

from projects.rules import ALLOWED, Decoration, ImmutableTags, Selector, change_of_tag, in_repository

NUMBERS = iter(range(1, 1000))


def rule(repositories: str, tags: str, *, is_disabled: bool = False) -> ImmutableTags:
    """Selectors as `matches v*`."""
    return ImmutableTags(next(NUMBERS), selector(repositories), selector(tags), is_disabled)


def selector(text: str) -> Selector:
    decoration, _, pattern = text.partition(" ")
    return Selector(Decoration(decoration), pattern)


REDIS_RELEASES = rule("repoMatches redis", "matches release-**")
MYSQL = rule("repoMatches mysql", "matches **")
ALL_BUT_WORLD = rule("repoMatches **", "excludes world**")
OTHERS = rule("repoExcludes {a,b}", "matches **")
NESTED = rule("repoMatches team/**", "matches v*")
LIST = rule("repoMatches **", "matches {v1,v2*,latest}")
NO_LIST = rule("repoMatches **", "excludes main,latest")
OFF = rule("repoMatches **", "matches **", is_disabled=True)

CASES = [
    # rules, tags that are immutable, tags that are not
    (
        [REDIS_RELEASES, MYSQL],
        "redis:release-1.10 redis:release- mysql:9.4.8",
        "redis:1.10 hello:world redis/a:release-1",
    ),
    ([ALL_BUT_WORLD], "redis:release-1.10 mysql:9.4.8 a/b:hello", "hello:world hello:world2"),
    ([OTHERS], "c:1 a/b:1 ab:1", "a:1 b:latest"),
    ([NESTED], "team/app:v1 team/a/b:v2", "team:v1 other/app:v1 team/app:1"),
    ([LIST], "a:v1 a:v2 a:v21 a:latest", "a:v11 a:v3 a:{v1"),
    ([NO_LIST], "a:main a:latest a:v1", ""),
    ([OFF], "", "a:v1 a/b:v1"),
    ([OFF, MYSQL], "mysql:1", "redis:1"),
    ([OTHERS, REDIS_RELEASES], "redis:release-1 redis:1", "a:release-1"),
    ([rule("repoMatches *", "matches *")], "a:1", "a/b:1"),
    ([rule("repoMatches {**}", "matches *")], "a:1", "a/b:1"),
    ([rule("repoExcludes **", "matches **")], "", "a:1 a/b:1"),
    ([rule("repoMatches **", "excludes **")], "", "a:1"),
    ([rule("repoMatches a", "matches V1")], "a:V1", "a:v1 A:V1"),
    ([], "", "a:1"),
]


@pytest.mark.parametrize(("rules", "immutable", "free"), CASES)
def test_rules_make_these_tags_immutable_and_not_these(rules: list[ImmutableTags], immutable: str, free: str) -> None:
    def decided(image: str) -> bool:
        path, _, tag = image.partition(":")
        return change_of_tag(rules, path, tag).is_allowed

    assert [image for image in immutable.split() if decided(image)] == []
    assert [image for image in free.split() if not decided(image)] == []


def test_a_decision_names_the_first_rule_that_forbids() -> None:
    decision = change_of_tag([OFF, REDIS_RELEASES, ALL_BUT_WORLD], "redis", "release-1")
    assert decision.rule == REDIS_RELEASES.id
    assert decision.reason == (
        f"redis:release-1 is immutable by immutable tag rule {REDIS_RELEASES.id} "
        "(repoMatches redis, matches release-**)"
    )
    assert change_of_tag([OFF], "redis", "release-1") == ALLOWED


def test_rules_of_other_repositories_and_those_switched_off_do_not_hold() -> None:
    assert in_repository([REDIS_RELEASES, MYSQL, OFF, ALL_BUT_WORLD], "mysql") == [MYSQL, ALL_BUT_WORLD]
