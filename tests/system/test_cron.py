"""Times by cron: what is none is refused by name, and what the clocks do twice a year does not lose or double a run."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.jobs.cron import BadCron, BadZone, next_time, zone

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def times(cron: str, time_zone: str, after: datetime, count: int) -> list[str]:
    """So many times in a row, as clocks in that zone show them."""
    found = []
    for _ in range(count):
        after = next_time(cron, time_zone, after)
        found.append(after.astimezone(zone(time_zone)).strftime("%d %H:%M:%S %z"))
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 0 * * * *", "2026-11-24 13:00:00"),
        ("0 0 0 * * *", "2026-11-25 00:00:00"),
        ("0 0 0 * * 0", "2026-11-29 00:00:00"),
        ("0 0 0 * * 7", "2026-11-29 00:00:00"),
        ("0 0 0 * * SUN", "2026-11-29 00:00:00"),
        ("*/10 * * * * *", "2026-11-24 12:00:10"),
        ("30 15 10 ? * *", "2026-11-25 10:15:30"),
        ("0 0 2 1 * ?", "2026-12-01 02:00:00"),
        ("0 0 0 1 jan *", "2027-01-01 00:00:00"),
        ("0 0 12 * * *", "2026-11-25 12:00:00"),
        ("0  0  0  29 2 *", "2028-02-29 00:00:00"),
        ("0 0 0 13 * 5", "2026-11-27 00:00:00"),
        ("0 0/15 9-17 * * mon-fri", "2026-11-24 12:15:00"),
    ],
)
def test_the_next_time(cron: str, expected: str) -> None:
    assert next_time(cron, "UTC", NOON).strftime("%Y-%m-%d %H:%M:%S") == expected


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * * *",
        "0 0 0 * * * *",
        "@daily",
        "R R * * * *",
        "H H * * * *",
        "0 60 * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 * 13 *",
        "0 0 0 30 2 *",
        "0 0 0 L * *",
        "0 0 0 * * mon#1",
        "*/0 * * * * *",
        "0 0 0 * * \u0661",
        "\u0661 0 0 * * *",
        "0 0 0 * * x",
        "0,, 0 0 * * *",
        "1-99999999999999999999 * * * * *",
        "-1 0 0 * * *",
        ",".join(["0"] * 60) + " 0 0 * * *",
    ],
)
def test_what_is_no_cron(cron: str) -> None:
    with pytest.raises(BadCron):
        next_time(cron, "UTC", NOON)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "a\0b", "x" * 5000, "utc\n"])
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(BadZone):
        next_time("0 0 0 * * *", name, NOON)


@given(st.text(max_size=40))
def test_any_text_is_a_cron_or_refused(text: str) -> None:
    with contextlib.suppress(BadCron):
        assert next_time(text, "UTC", NOON) > NOON


FORWARD = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
"""23:30 in Berlin; at 02:00 it will be 03:00."""
BACK = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
"""23:30 in Berlin; at 03:00 it will be 02:00."""


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 30 2 * * *", FORWARD, ["29 03:00:00 +0200", "30 02:30:00 +0200"]),
        ("0 0 3 * * *", FORWARD, ["29 03:00:00 +0200", "30 03:00:00 +0200"]),
        ("0 0 * * * *", FORWARD, ["29 00:00:00 +0100", "29 01:00:00 +0100", "29 03:00:00 +0200", "29 04:00:00 +0200"]),
        ("0 30 2 * * *", BACK, ["25 02:30:00 +0200", "26 02:30:00 +0100"]),
        ("0 0 2,3 * * *", BACK, ["25 02:00:00 +0200", "25 03:00:00 +0100", "26 02:00:00 +0100"]),
        (
            "0 0 * * * *",
            BACK,
            ["25 00:00:00 +0200", "25 01:00:00 +0200", "25 02:00:00 +0200", "25 02:00:00 +0100", "25 03:00:00 +0100"],
        ),
    ],
)
def test_when_the_clocks_are_changed(cron: str, after: datetime, expected: list[str]) -> None:
    assert times(cron, "Europe/Berlin", after, len(expected)) == expected


@given(
    st.sampled_from(["0 0 * * * *", "0 30 2 * * *", "0 15 */2 * * *", "0 0 0 * * *", "0 59 1 * * 0"]),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_a_time_is_later_and_the_same_from_any_moment_before_it(cron: str, name: str, naive: datetime) -> None:
    after = naive.replace(tzinfo=UTC)
    found = next_time(cron, name, after)
    assert after < found < after + timedelta(days=8)
    middle = after + (found - after) / 2
    assert next_time(cron, name, middle) == found
    assert next_time(cron, name, found) > found


@given(
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - as above
)
def test_what_names_its_hour_runs_once_a_day(name: str, naive: datetime) -> None:
    after, days = naive.replace(tzinfo=UTC), []
    for _ in range(4):
        after = next_time("0 30 2 * * *", name, after)
        days.append(after.astimezone(zone(name)).date())
    assert days == [days[0] + timedelta(days=number) for number in range(4)]
