"""A dry run says exactly what a run at that moment does, and can't write."""

import contextlib
import random

import pytest
from django.apps import apps
from django.db import InternalError
from pytest_django import Settings

from harborlite.errors import Precondition
from registry import fsck
from registry.gc.collection import Collection
from registry.models import Tombstone
from registry.services import uploads
from tests.registry.gc.shelf import Shelf, collect, pass_time

EXACT = ("manifests", "links", "blobs", "freed_bytes", "uploads", "deletions", "removed_objects", "removed_bytes")
CONFIGS = [b"{%s}" % (b" " * number) for number in range(3)]
TAGS = (None, None, "a", "b", "c")
LAYERS = [b"layer %d" % number * number for number in range(1, 8)]


def some(shelf: Shelf, chance: random.Random) -> list[str]:
    """One manifest of it, if there is one."""
    here = sorted(shelf.manifests)
    return [chance.choice(here)] if here else []


def image(shelf: Shelf, chance: random.Random) -> None:
    shelf.image(chance.choice(CONFIGS), *chance.sample(LAYERS, chance.randint(0, 3)), tag=chance.choice(TAGS))


def index(shelf: Shelf, chance: random.Random) -> None:
    here = sorted(shelf.manifests)
    shelf.index(*chance.sample(here, min(len(here), 2)), tag=chance.choice(TAGS))


def signature(shelf: Shelf, chance: random.Random) -> None:
    for subject in some(shelf, chance):
        shelf.signature(subject, chance.choice(LAYERS), tag=chance.choice([None, None, "sbom"]))


def cosign(shelf: Shelf, chance: random.Random) -> None:
    for subject in some(shelf, chance):
        shelf.image(chance.choice(CONFIGS), tag=f"{subject.replace(':', '-')}.sig")


def blob(shelf: Shelf, chance: random.Random) -> None:
    shelf.blob(chance.choice([*LAYERS, b"alone %d" % chance.randint(0, 5)]))


def delete(shelf: Shelf, chance: random.Random) -> None:
    with contextlib.suppress(Precondition):  # an index lists it
        for digest in some(shelf, chance):
            shelf.delete_artifact(digest)


def forget(shelf: Shelf, chance: random.Random) -> None:
    uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")


ACTS = (image, image, image, index, signature, cosign, blob, delete, forget)


def scramble(shelves: list[Shelf], chance: random.Random) -> None:
    """Images, indexes and signatures were pushed, tagged, moved, deleted and forgotten, some of it long ago."""
    for _ in range(40):
        chance.choice(ACTS)(chance.choice(shelves), chance)
        if chance.random() < 0.1:
            pass_time(chance.choice([1000.0, 4000.0, 10_000.0, 100_000.0]))


def everything() -> dict[str, list[object]]:
    """All rows of the registry and its projects."""
    models = [model for app in ("registry", "projects") for model in apps.get_app_config(app).get_models()]
    return {model.__name__: list(model._base_manager.order_by("pk").values_list()) for model in models}


@pytest.mark.parametrize("days", [0, 7])
@pytest.mark.parametrize("seed", range(6))
def test_it_says_what_a_run_does(settings: Settings, seed: int, days: int) -> None:
    settings.RESTORE_DAYS = days
    chance = random.Random(seed)
    shelves = [Shelf(), Shelf("other")]
    shelves.append(Shelf(path="second", project=shelves[0].project))
    scramble(shelves, chance)
    if chance.random() < 0.7:
        pass_time(chance.choice([7300.0, 100_000.0, 10 * 86400.0]))
    with_untagged = chance.random() < 0.7
    before = everything()
    told = collect(dry_run=True, delete_untagged=with_untagged)
    assert everything() == before
    done = collect(delete_untagged=with_untagged)
    assert (told["outcome"], done["outcome"]) == ("preview", "complete")
    assert {name: told[name] for name in EXACT} == {name: done[name] for name in EXACT}
    assert [str(violation) for violation in fsck.check(deep=True)] == []


def test_runs_to_the_end_leave_nothing_that_nothing_needs(settings: Settings) -> None:
    """Two runs, each a long time after what was before it (I4)."""
    settings.RESTORE_DAYS = 7
    shelves = [Shelf(), Shelf("other")]
    scramble(shelves, random.Random(17))
    for _ in range(3):
        pass_time()
        collect(delete_untagged=True)
    left = collect(dry_run=True, delete_untagged=True)
    assert {name: left[name] for name in EXACT} == dict.fromkeys(EXACT, 0)
    assert [str(violation) for violation in fsck.check(deep=True)] == []


def test_it_can_not_write(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses, whatever a phase tries."""
    shelf.blob(b"something")
    pass_time()

    def bury(*_: object) -> dict[str, int]:
        Tombstone.objects.create(storage_key="0" * 32, not_before="2020-01-01T00:00:00Z")
        return {}

    monkeypatch.setattr("registry.gc.preview._freed", bury)
    with pytest.raises(InternalError, match="read-only transaction"):
        preview_raising()
    assert not Tombstone.objects.filter(storage_key="0" * 32).exists()


def preview_raising() -> None:
    """A dry run, in which what goes wrong is raised."""
    from registry.gc import preview

    class Nothing:
        parameters: dict[str, object] = {"dry_run": True}
        checkpoint: dict[str, object] = {}

        def check(self) -> None: ...

    preview.blobs(Collection(Nothing()))  # type: ignore[arg-type]
