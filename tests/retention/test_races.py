"""F-26: rules, tags, reports and policies change while a run deletes; what was answered first holds."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from harborlite.errors import HarborliteError
from projects.models import ImmutableRule
from projects.rules import Decoration, Selector
from projects.services import immutability
from registry.models import Manifest, Tag
from retention.services import removals
from retention.services.in_use import in_use_report
from tests.retention.shop import KEEP_V, Shop, chosen, fates, reasons, rule
from tests.together import together


def in_between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` happens in another connection after the run has decided, before it deletes the first artifact."""
    real = removals._Removals._check
    done = threading.Event()

    def check(self: removals._Removals, item: object) -> None:
        real(self, item)  # type: ignore[arg-type]
        if not done.is_set():
            done.set()
            together(act)

    monkeypatch.setattr(removals._Removals, "_check", check)


def make_immutable(shop: Shop, pattern: str) -> ImmutableRule:
    return immutability.rule_create(
        project=shop.project,
        repositories=Selector(Decoration.REPOSITORIES, "**"),
        tags=Selector(Decoration.TAGS, pattern),
    )


def test_a_tag_made_immutable_after_the_decision_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.image("v1")
    pinned = shop.image("pinned")
    in_between(monkeypatch, lambda: make_immutable(shop, "pinned"))
    execution = shop.run(shop.policy(KEEP_V))
    assert fates(execution)[pinned] == "skipped"
    assert shop.tags() == {"v1", "pinned"}


def test_a_digest_reported_after_the_decision_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.image("v1")
    child = shop.image()
    index = shop.shelf.index(child, tag="old")
    in_between(monkeypatch, lambda: in_use_report(project=shop.project, source="k8s", digests=[child], seconds=600))
    execution = shop.run(shop.policy(KEEP_V))
    assert {child, index} <= shop.digests()
    assert "reported as running" in reasons(execution)[index]


@pytest.mark.parametrize("what", ["tag", "pull", "label", "index"])
def test_what_is_touched_after_the_decision_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    shop.image("v1")
    touched = shop.image("old")
    shop.age(60)
    acts: dict[str, Callable[[], object]] = {
        "tag": lambda: shop.tag(touched, "v2"),
        "pull": lambda: shop.pull(touched),
        "label": lambda: shop.label(touched, "gold"),
        "index": lambda: shop.shelf.index(touched, tag="v3"),
    }
    in_between(monkeypatch, acts[what])
    shop.run(shop.policy(KEEP_V, rule("nDaysSinceLastPull", 7)))
    assert touched in shop.digests()


def test_a_policy_that_changes_after_the_decision_deletes_nothing_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.image("v1")
    for name in ("a", "b", "c"):
        shop.image(name)
    policy = shop.policy(KEEP_V)
    in_between(monkeypatch, lambda: shop.policy(KEEP_V, rule("always", 0, chosen("?"))))
    shop.run(policy)
    assert shop.tags() == {"v1", "a", "b", "c"}


def pushed(shop: Shop) -> list[tuple[str, str]]:
    """Images get tags of which the rule keeps the second; what came to pass."""
    found = []
    for number in range(1, 25):
        digest = shop.image(f"x{number}")
        with suppress(HarborliteError, Manifest.DoesNotExist):  # the run may be first
            shop.tag(digest, f"v{number}")
            found.append((f"v{number}", digest))
    return found


def pinned(shop: Shop) -> list[tuple[str, str]]:
    """Tags are made immutable; those that were there still."""
    found = []
    for number in range(3):
        digest = shop.image(f"pin-{number}")
        make_immutable(shop, f"pin-{number}")
        if Tag.objects.filter(name=f"pin-{number}").exists():
            found.append((f"pin-{number}", digest))
    return found


def test_what_is_promised_in_a_storm_is_kept(shop: Shop) -> None:
    """While runs delete what has no tag v*, others push, tag and pin."""
    policy = shop.policy(KEEP_V)
    shop.image("v0")
    is_over = threading.Event()

    def clean() -> None:
        while not is_over.is_set():
            shop.run(policy)

    def work() -> list[tuple[str, str]]:
        try:
            return [*pushed(shop), *pinned(shop)]
        finally:
            is_over.set()

    _, promised = together(clean, work)
    assert isinstance(promised, list)
    assert len(promised) > 3
    found = dict(Tag.objects.filter(repository=shop.shelf.repository).values_list("name", "manifest__digest"))
    assert {name: found.get(name) for name, _ in promised} == dict(promised)
