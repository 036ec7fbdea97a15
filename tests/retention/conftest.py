"""An empty database and store, checked by fsck when the test is over."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from registry import fsck
from tests.retention.shop import Shop


@pytest.fixture
def shop(empty_store: None, settings: Settings) -> Iterator[Shop]:
    """Without a recycle bin, so that what goes is gone."""
    settings.RESTORE_DAYS = 0
    settings.GC_RATE = 0
    yield Shop()
    violations = [str(violation) for violation in fsck.check(deep=False)]
    assert violations == []
