"""How many bytes there are in words, and when there are too many of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects import quota
from projects.quota import UNLIMITED, Usage

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (3 * MIB, "3.0 MiB"),
        (int(9.5 * MIB), "9.5 MiB"),
        (5 << 30, "5.0 GiB"),
        (2**63 - 1, "8.0 EiB"),
    ],
)
def test_amounts_are_written_as_harbor_writes_them(size: int, text: str) -> None:
    assert quota.amount(size) == text


@given(st.integers(0, 2**63 - 1))
def test_every_amount_can_be_written(size: int) -> None:
    number, unit = quota.amount(size).split()
    power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].index(unit)
    assert abs(float(number) * 1024**power - size) <= 0.06 * 1024**power


@pytest.mark.parametrize(
    ("hard", "used", "is_near"),
    [(100, 84, False), (100, 85, True), (1000, 849, False), (100, 120, True), (UNLIMITED, 1 << 60, False)],
)
def test_warnings_begin_at_85_percent(hard: int, used: int, is_near: bool) -> None:
    usage = Usage(hard, used)
    assert usage.is_near_limit == is_near
    assert bool(usage.warning) == is_near
