"""The configuration as it is now: what is stored, over the defaults, and under what the environment fixes.

    environment (locked)  >  Configuration rows  >  the defaults in system.keys

A process remembers it for up to two seconds; with the embedded database it knows of a change at once
(harborlite.generations). It is written by system.services.configuration_update.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harborlite import generations
from system.keys import BY_NAME, TABLE, BadValue, Value, fixed
from system.models import Configuration

FRESH = generations.MAX_AGE  # seconds
_SLOT = generations.slot("configuration", 0)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    values: Mapping[str, Value]
    mark: int
    good_until: float


_read: _Read | None = None


def get(name: str) -> Any:
    """The value of one key; KeyError for a name that is none. At most one query in two seconds, mostly none."""
    return everything()[name]


def everything() -> Mapping[str, Value]:
    """The values of all keys, secrets too."""
    global _read  # noqa: PLW0603 - the one place where it is remembered
    read, mark = _read, generations.value(_SLOT) if generations.ENABLED else 0
    if read is None or read.mark != mark or time.monotonic() > read.good_until:
        _read = read = _Read(_load(), mark, time.monotonic() + FRESH)
    return read.values


def forget() -> None:
    """The next who asks reads the database."""
    global _read  # noqa: PLW0603 - as above
    _read = None


def changed_on_commit() -> None:
    """Once the caller's transaction has committed, every process of this machine knows it."""
    generations.bump_on_commit("configuration", 0)


def _load() -> Mapping[str, Value]:
    values: dict[str, Value] = {key.name: key.default for key in TABLE}
    for name, value in Configuration.objects.values_list("key", "value"):
        key = BY_NAME.get(name)
        if key is None:
            continue  # of another version of this program
        try:
            values[name] = key.kind.check(value)
        except BadValue as error:
            logger.warning("the stored setting %s %s; its default counts", name, error)
    return MappingProxyType({**values, **fixed()})
