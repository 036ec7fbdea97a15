"""An empty database and store, and a recycle bin."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from registry import fsck
from registry.blobstore import blobstore
from tests.registry.gc.shelf import Shelf


@pytest.fixture(autouse=True)
def _alone(transactional_db: None, settings: Settings) -> Iterator[None]:
    settings.RESTORE_DAYS = 7
    settings.GC_RATE = 0
    yield
    assert [str(violation) for violation in fsck.check(deep=False)] == []
    for name in ("blobs", "uploads"):
        for path in Path(settings.BLOBS_ROOT, name).glob("*"):
            shutil.rmtree(path)
    blobstore.cache_clear()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
