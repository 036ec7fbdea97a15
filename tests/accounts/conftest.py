"""People for the tests of accounts."""

import pytest

from accounts import services
from accounts.models import User

PASSWORD = "Correct-Horse-7"


@pytest.fixture
def alice(db: None) -> User:
    return services.user_create(username="Alice", password=PASSWORD, email="alice@example.com")


@pytest.fixture
def root(db: None) -> User:
    return services.user_create(username="root", password=PASSWORD, is_admin=True)
