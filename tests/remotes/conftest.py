"""Fixtures of the tests of other registries."""

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from remotes.client import RegistryClient
from tests.projects.caller import Caller
from tests.projects.company import Company, build
from tests.remote_fake import FakeRegistry
from tests.remotes.certificates import Authority
from tests.remotes.targets import target


@pytest.fixture
def loopback(settings: Settings) -> None:
    """The operator allows every port of this machine."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8:*"]


@pytest.fixture
def fake(loopback: None) -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Signs certificates for this machine; nobody trusts it unless told to."""
    return Authority()


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that a client of `client_of` would have waited."""
    return []


@pytest.fixture
def client(fake: FakeRegistry, pauses: list[float]) -> Iterator[RegistryClient]:
    """Nobody, at `fake`; who does not wait, but notes how long it would."""
    with RegistryClient(target(fake), pauses.append) as made:
        yield made


@pytest.fixture
def company(transactional_db: None) -> Company:
    """Whole transactions, since services let go of the database while they ask another registry."""
    return build()


@pytest.fixture
def call(company: Company) -> Caller:
    return Caller(company)
