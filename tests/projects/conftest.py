"""Fixtures of the tests of projects."""

import pytest

from tests.projects.caller import Caller
from tests.projects.company import Company, build


@pytest.fixture
def company(db: None) -> Company:
    return build()


@pytest.fixture
def call(company: Company) -> Caller:
    return Caller(company)
