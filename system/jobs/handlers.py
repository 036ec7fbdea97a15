"""Who does what: the handlers of the tasks, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from system.jobs.run import Run
    from system.models import Execution

Work = Callable[["Run"], None]
Finish = Callable[["Execution"], None]


@dataclass(frozen=True, slots=True)
class Handler:
    work: Work
    finish: Finish | None


HANDLERS: dict[str, Handler] = {}


def handles(name: str, *, finish: Finish | None = None) -> Callable[[Work], Work]:
    """The decorated function does the tasks of that name. To be used in an app's tasks.py, or in what that imports.

    It may be called again for a task that another worker left, and goes on from `run.checkpoint`. `finish`, given with
    the name of a kind, is called with the execution when its last task ends, in the transaction in which it does.
    """

    def register(work: Work) -> Work:
        HANDLERS[name] = Handler(work, finish)
        return work

    return register


@cache
def load() -> None:
    """All handlers of the installed apps are in HANDLERS."""
    autodiscover_modules("tasks")


def handler(name: str) -> Handler:
    """LookupError when nobody does tasks of that name."""
    load()
    if name not in HANDLERS:
        raise LookupError(f"this worker knows no task {name!r}")
    return HANDLERS[name]


def finish_of(kind: str) -> Finish | None:
    load()
    return HANDLERS[kind].finish if kind in HANDLERS else None
