"""Facts for the pure rules: short ways to write down artifacts and rules."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from projects.rules import Decoration, Selector
from retention.rules import Artifact, LabelDecoration, LabelSelector, Rule, TagSelector

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def artifact(
    number: int,
    *tags: str,
    pushed: float | None = None,
    pulled: float | None = None,
    labels: Iterable[str] = (),
) -> Artifact:
    """Pushed and pulled so many days ago; unless it is said, a higher number was pushed later."""
    pushed_at = ago(1000 - number if pushed is None else pushed)
    return Artifact(
        number, f"sha256:{number}", tags, pushed_at, None if pulled is None else ago(pulled), frozenset(labels)
    )


def tags(pattern: str = "**", *, excluded: bool = False, untagged: bool = True) -> TagSelector:
    return TagSelector(Decoration.OTHER_TAGS if excluded else Decoration.TAGS, pattern, untagged)


def labelled(*names: str, without: bool = False) -> LabelSelector:
    return LabelSelector(LabelDecoration.WITHOUT if without else LabelDecoration.WITH, frozenset(names))


def rule(
    template: str = "always",
    number: int = 0,
    *selectors: TagSelector | LabelSelector,
    which: int = 1,
    off: bool = False,
) -> Rule:
    everywhere = (Selector(Decoration.REPOSITORIES, "**"),)
    return Rule(which, template, number, selectors or (tags(),), everywhere, is_disabled=off)
