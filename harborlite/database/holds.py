"""A hold on stored bytes: while one is kept, no collection removes any.

A backup takes it before its snapshot of the database, and lets go when it has copied every blob which that names. It is
an advisory lock of an open transaction: it ends with the process that has it, however that goes, and also behind a
connection pooler it stays with it. The transaction reads nothing, so it does not keep VACUUM from anything.

Who removes bytes reads first what is to be removed, asks `is_held()` then, and removes it only when the answer is no.
What was to be removed before the answer is named by no snapshot that is taken after it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import connection

SECONDS = 10.0  # in which who asks whether there is a hold lets go of the lock

_LOCK = 4_841_224_651_873_294  # any number that no other lock has


class HeldByAnother(Exception):
    """Another holds the bytes already."""


class HoldLost(Exception):
    """The connection that kept the hold broke."""


@contextmanager
def held(keeper: Any) -> Iterator[None]:
    """Inside, bytes are held over the psycopg2 connection `keeper`, which is used for nothing else.

    HeldByAnother when another holds them; at the end HoldLost when the connection did not live as long.
    """
    with keeper.cursor() as cursor:
        deadline = time.monotonic() + SECONDS
        while not _locked(cursor):
            keeper.rollback()
            if time.monotonic() > deadline:
                raise HeldByAnother
            time.sleep(0.2)
        yield
        try:
            cursor.execute("SELECT 1")
            keeper.rollback()
        except psycopg2.Error as error:
            raise HoldLost from error


def _locked(cursor: Any) -> bool:
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
    return bool(cursor.fetchone()[0])


def is_held() -> bool:
    """Whether somebody holds stored bytes now. One query."""
    with connection.cursor() as cursor:
        # Shared: who asks is in nobody's way but for that moment in a hold's.
        cursor.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", [_LOCK])
        return not cursor.fetchone()[0]
