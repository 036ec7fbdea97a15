"""The database decides who was first; here its refusals become our errors, and deadlocks another try."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connection
from psycopg2 import errorcodes

from harborlite.errors import Conflict, NotFound

P = ParamSpec("P")
R = TypeVar("R")
TRIES = 4
_PASSING = frozenset({errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE})


@contextmanager
def refusals(taken: str, gone: str = "not found") -> Iterator[None]:
    """Around a transaction: Conflict(`taken`) when a row is there already, NotFound(`gone`) when one it needs is gone.

    Outside and not inside, since foreign keys are checked at commit.
    """
    try:
        yield
    except IntegrityError as error:
        match getattr(error.__cause__, "pgcode", None):
            case errorcodes.UNIQUE_VIOLATION:
                raise Conflict(taken) from error
            case errorcodes.FOREIGN_KEY_VIOLATION:
                raise NotFound(gone) from error
        raise


def retried(service: Callable[P, R]) -> Callable[P, R]:
    """A `service` that is one durable transaction is run again when PostgreSQL ended it to undo a deadlock."""

    @wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, TRIES):
            try:
                return service(*args, **kwargs)
            except OperationalError as error:
                if getattr(error.__cause__, "pgcode", None) not in _PASSING or connection.in_atomic_block:
                    raise
                time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311 - so that the two don't meet again
        return service(*args, **kwargs)

    return run
