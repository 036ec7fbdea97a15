"""An empty database and store, and a recycle bin."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from registry import fsck
from tests.registry.gc.shelf import Shelf


@pytest.fixture(autouse=True)
def _alone(empty_store: None, settings: Settings) -> Iterator[None]:
    settings.RESTORE_DAYS = 7
    settings.GC_RATE = 0
    yield
    assert [str(violation) for violation in fsck.check(deep=False)] == []


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
