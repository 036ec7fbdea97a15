"""The fixtures of tests that hurt workers: one database and broker for all, no worker left by the test before."""

from collections.abc import Iterator

import pytest

from tests.workers.yard import Yard


@pytest.fixture(scope="session")
def _yard() -> Iterator[Yard]:
    with Yard() as yard:
        yield yard


@pytest.fixture
def yard(_yard: Yard) -> Iterator[Yard]:
    """Without workers and jobs under way."""
    _yard.clerk("forget")
    yield _yard
    _yard.rest()
