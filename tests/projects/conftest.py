"""Fixtures of the tests of projects."""

import pytest

from tests.projects.company import Company, build


@pytest.fixture
def company(db: None) -> Company:
    return build()
