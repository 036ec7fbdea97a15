"""An empty database and an empty store, and no recycle bin where a test does not ask for one."""

import pytest
from pytest_django import Settings

from tests.registry.gc.shelf import Shelf


@pytest.fixture(autouse=True)
def _alone(empty_store: None, settings: Settings) -> None:
    settings.RESTORE_DAYS = 0
    settings.GC_RATE = 0


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
