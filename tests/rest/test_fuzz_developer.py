"""Schemathesis as a developer in the project."""

import pytest

from tests.effort import effort
from tests.factories import World
from tests.rest import fuzz

own_world = fuzz.own_world


@pytest.fixture(scope="module")
def target(own_world: World) -> fuzz.Target:
    return fuzz.Target.of(own_world, own_world.user(), "developer")


@pytest.mark.parametrize("operation", fuzz.OPERATIONS)
def test_as_a_developer(target: fuzz.Target, operation: str) -> None:
    assert sum(target.examine(operation, effort(50)).values()) >= 1
