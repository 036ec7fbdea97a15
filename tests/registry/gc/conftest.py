"""An empty database and an empty store, and no recycle bin where a test does not ask for one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from registry.blobstore import blobstore
from tests.registry.gc.shelf import Shelf


@pytest.fixture(autouse=True)
def _alone(transactional_db: None, settings: Settings) -> Iterator[None]:
    settings.RESTORE_DAYS = 0
    settings.GC_RATE = 0
    yield
    for name in ("blobs", "uploads"):
        for path in Path(settings.BLOBS_ROOT, name).glob("*"):
            shutil.rmtree(path)
    blobstore.cache_clear()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
