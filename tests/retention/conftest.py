"""An empty database and store, checked by fsck when the test is over."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from registry import fsck
from registry.blobstore import blobstore
from tests.retention.shop import Shop


@pytest.fixture
def shop(transactional_db: None, settings: Settings) -> Iterator[Shop]:
    """Without a recycle bin, so that what goes is gone."""
    settings.RESTORE_DAYS = 0
    settings.GC_RATE = 0
    yield Shop()
    violations = [str(violation) for violation in fsck.check(deep=False)]
    for name in ("blobs", "uploads"):
        for path in Path(settings.BLOBS_ROOT, name).glob("*"):
            shutil.rmtree(path)
    blobstore.cache_clear()
    assert violations == []
