"""Schemathesis as an administrator."""

import pytest

from tests.factories import World
from tests.rest import fuzz

own_world = fuzz.own_world


@pytest.fixture(scope="module")
def target(own_world: World) -> fuzz.Target:
    return fuzz.Target.of(own_world, own_world.user(is_admin=True))


@pytest.mark.parametrize("operation", fuzz.OPERATIONS)
def test_as_an_administrator(target: fuzz.Target, operation: str) -> None:
    got = target.examine(operation)
    assert sum(got.values()) >= 1
    if operation.startswith("GET") and operation != "GET /systeminfo/getcert":
        assert got[200], got
