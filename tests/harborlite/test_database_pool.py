"""The pool of database connections."""

import pytest
from django.db import connection, connections

from harborlite.database.base import release

pytestmark = pytest.mark.django_db(transaction=True)


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_connection_is_used_again() -> None:
    first = _backend()
    release()
    assert _backend() == first


def test_a_connection_that_the_server_has_ended_is_not_given_out() -> None:
    ended = _backend()
    other = connections.create_connection("default")
    with other.cursor() as cursor:  # a connection of its own, while ours is in use
        release()
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
        assert cursor.fetchone() == (True,)
        assert _backend() != ended
    other.close()
