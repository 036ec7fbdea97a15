"""What jobs there are: the table of their kinds. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """Of jobs; `name` is Harbor's vendor type."""

    name: str
    queue: str
    """Of Celery's queues, the one whose workers do it."""
    attempts: int = 5
    """How often a task may fail, or lose its worker, before it is an error."""
    history: int = 50
    """How many ended executions are remembered, of each policy."""
    is_single: bool = True
    """Of each policy one execution at most is under way."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("GARBAGE_COLLECTION", "gc"),
        Kind("SCRUB", "gc"),
        Kind("RETENTION", "retention"),
        Kind("TAG_EXPIRY", "retention"),
        Kind("PURGE_AUDIT_LOG", "system"),
    )
}

SCHEDULER = "SCHEDULER"
"""Harbor's name for what begins jobs by their schedules: it can be paused as if it were a kind."""

DEFAULT_QUEUE = "celery"
"""Of the short work that beat asks for."""


def queues() -> tuple[str, ...]:
    """Those of all kinds, and the default."""
    return (DEFAULT_QUEUE, *sorted({kind.queue for kind in KINDS.values()}))


def of_queue(queue: str) -> list[str]:
    """The names of the kinds whose tasks wait in the queue."""
    return [kind.name for kind in KINDS.values() if kind.queue == queue]
