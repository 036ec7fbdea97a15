"""Fixtures of the tests of projects."""

import pytest
from company import Company, build


@pytest.fixture
def company(db: None) -> Company:
    return build()
