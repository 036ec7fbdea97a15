"""Schemathesis without credentials: nothing is changed, whatever is sent."""

import pytest

from tests.effort import effort
from tests.factories import World
from tests.rest import fuzz

own_world = fuzz.own_world


@pytest.fixture(scope="module")
def target(own_world: World) -> fuzz.Target:
    return fuzz.Target.of(own_world, None)


@pytest.mark.parametrize("operation", fuzz.OPERATIONS)
def test_as_nobody(target: fuzz.Target, operation: str) -> None:
    got = target.examine(operation, effort(30))
    if not operation.startswith("GET"):
        assert not [status for status in got if status < 300], got
