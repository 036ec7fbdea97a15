"""A server, and people with browsers."""

from collections.abc import Callable

import pytest

from tests.console.person import Person
from tests.factories import Account, World


@pytest.fixture
def nobody(world: World) -> Person:
    return Person(world.url)


@pytest.fixture
def signed_in(world: World) -> Callable[[Account], Person]:
    return lambda account: Person(world.url).sign_in(account.login, account.secret)
