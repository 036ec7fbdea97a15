"""Times by Harbor's cron of six fields, seconds first, in a time zone. Pure.

Where clocks are put forward, a time that does not exist is the first one after the gap. Where they are put back, an
hour comes twice: what runs in every hour runs in both, what names its hour runs once, in the first.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

MOST = 128  # characters
_FIELDS = 6
_HOUR = 2
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_FIELD = re.compile(rf"(?:[0-9*?/,-]|{_NAMES})+", re.IGNORECASE | re.ASCII)


class BadCron(ValueError):
    """It is no cron, or its time never comes; the message says why."""


class BadZone(ValueError):
    """There is no time zone of that name."""


def zone(name: str) -> ZoneInfo:
    """BadZone when there is none so named."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise BadZone(f"there is no time zone {name[:80]!a}") from None


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """The first time of `cron` that is later than `after`, in UTC. BadCron, BadZone."""
    if len(cron) > MOST:
        raise BadCron(f"it is longer than {MOST} characters")
    place = zone(time_zone)
    fields = cron.split()
    if len(fields) != _FIELDS:
        raise BadCron(f"it needs six fields (second minute hour day month weekday), not {len(fields)}")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise BadCron(f"{field[:80]!a} is no field of a cron")
    try:
        times = croniter(" ".join(fields), after.astimezone(place), datetime, second_at_beginning=True)
        found: datetime = times.get_next(datetime)
        while found.fold and not fields[_HOUR].startswith(("*", "?")):
            found = times.get_next(datetime)
    except (CroniterError, ValueError, OverflowError) as error:
        raise BadCron(f"it is never time by {cron[:80]!a}: {error}") from None
    return found.astimezone(UTC)
