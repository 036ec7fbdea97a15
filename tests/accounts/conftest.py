"""People for the tests of accounts."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from accounts import services
from accounts.models import User
from harborlite.actors import ANONYMOUS
from harborlite.origin import Origin, began
from system import config
from tests.accounts.browser import PASSWORD, Browser

_addresses = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in itertools.count(1))


@pytest.fixture
def alice(db: None) -> User:
    return services.user_create(username="Alice", password=PASSWORD, email="alice@example.com")


@pytest.fixture
def root(db: None) -> User:
    return services.user_create(username="root", password=PASSWORD, is_admin=True)


@pytest.fixture
def elsewhere() -> Callable[[], AbstractContextManager[None]]:
    """What happens inside one of these comes from an address from which nothing came before."""
    return lambda: began(Origin(ANONYMOUS, next(_addresses)))


@pytest.fixture
def browser(db: None) -> Browser:
    """A browser that has been nowhere yet, with an address of its own."""
    return Browser(next(_addresses))


@pytest.fixture
def configured(db: None) -> Iterator[Callable[..., None]]:
    """Gives keys of the configuration other values."""

    def configure(**values: object) -> None:
        from system.services import configuration_update

        configuration_update(values=values)
        config.forget()

    yield configure
    config.forget()


@pytest.fixture
def warm(db: None) -> None:
    """The configuration was read a moment ago, as in every process that serves."""
    config.forget()
    config.everything()
