"""PostgreSQL over psycopg2, with one pool of connections a process.

Django keeps a connection per thread; with 64 threads a process, most of which move bytes and need no database,
that is far too many. Here `close()` puts a healthy connection back and `connect()` takes one, so `CONN_MAX_AGE=0`
costs nothing and "let go of the database while bytes move" is one call: `release()`.

At most `DATABASE_POOL` connections are open; who finds none free waits up to `WAIT` seconds, then gets
OperationalError, which the faces answer with 503. A connection on whose socket something waits to be read is thrown
away, for what PostgreSQL says unasked is farewell; one idle for over `FRESH` seconds is tried besides, before it is
given out. So a restart of PostgreSQL heals by itself.
"""

import os
import select
import threading
import time
from typing import Any

from django.conf import settings
from django.db import OperationalError, connections
from django.db.backends.postgresql import base
from psycopg2 import Error
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

FRESH = 5.0  # seconds
WAIT = 10.0  # seconds


class Pool:
    """Idle connections to one database, newest first; a child process starts with an empty pool."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._idle: list[tuple[float, Any]] = []
        self._places = threading.BoundedSemaphore(self.size)
        self._lock = threading.Lock()

    @property
    def in_use(self) -> int:
        """How many places are taken now."""
        return self.size - self._places._value

    def take(self, connect: Any) -> Any:
        if not self._places.acquire(timeout=WAIT):
            raise OperationalError(f"all {self.size} database connections of this process are busy")
        try:
            while True:
                with self._lock:
                    idle = self._idle.pop() if self._idle else None
                if idle is None:
                    return connect()
                returned, connection = idle
                if _is_silent(connection) and (time.monotonic() - returned < FRESH or self._alive(connection)):
                    return connection
                connection.close()
        except BaseException:
            self._places.release()
            raise

    def put_back(self, connection: Any) -> None:
        healthy = not connection.closed and connection.info.transaction_status == TRANSACTION_STATUS_IDLE
        if healthy:
            with self._lock:
                self._idle.append((time.monotonic(), connection))
        else:
            connection.close()
        self._places.release()

    def empty(self) -> None:
        """No connection is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    @staticmethod
    def _alive(connection: Any) -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.rollback()
        except Error:
            return False
        return True


def _is_silent(connection: Any) -> bool:
    """Nothing waits to be read from the server, not even the end."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


_pools: dict[str, Pool] = {}
_pools_lock = threading.Lock()


def pool_of(params: dict[str, Any]) -> Pool:
    """The pool of one set of connection parameters."""
    key = repr(sorted((name, str(value)) for name, value in params.items()))
    with _pools_lock:
        if key not in _pools:
            _pools[key] = Pool(settings.DATABASE_POOL)
        return _pools[key]


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper, whose connections come from and go back to the pool."""

    _pool: Pool | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        pool = pool_of(conn_params)
        connection = pool.take(lambda: super(DatabaseWrapper, self).get_new_connection(conn_params))
        self._pool = pool
        return connection

    def _close(self) -> None:
        if self.connection is None:
            return
        pool, self._pool = self._pool, None
        with self.wrap_database_errors:
            if pool is None:
                self.connection.close()
                return
            try:
                if not self.connection.closed:
                    self.connection.rollback()
                    self.connection.autocommit = True
            except Error:
                self.connection.close()
            pool.put_back(self.connection)

    def close_pool(self) -> None:
        """Django's hook before it drops a database: nothing is connected to it any more."""
        for pool in _pools.values():
            pool.empty()


def release() -> None:
    """Puts this thread's connections back into the pool; to be called before bytes move. No transaction is open."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise RuntimeError("a transaction is open while bytes are about to move")
        connection.close()
