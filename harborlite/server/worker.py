"""The worker process: one epoll with all connections, the threads that wait there, and the main thread's clock."""

import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from gunicorn.http.message import _ip_in_allow_list
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.base import Worker as BaseWorker

from harborlite import env
from harborlite.server.connection import Connection
from harborlite.server.response import SERVER

PAUSE = 0.05  # seconds between two tries when nothing can be accepted


class Worker(BaseWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker process. Speaks plain HTTP/1 only; runs no per-request hooks and keeps no access log."""

    HEAD_SECONDS = 10.0
    """A request's head must arrive within this time, from its first byte or the connection's start."""
    LINGER_SECONDS = 5.0
    """A client that was answered early has this long to see it."""
    STOP_SECONDS = 2.0
    """A stopping worker keeps idle connections this long, for requests that are on their way."""

    ROOM_SECONDS = 1.0
    """A connection idle for this long may be closed to make room for a new one."""
    TICK_SECONDS = 1.0
    """Deadlines are looked at this often."""

    alive: bool

    def init_process(self) -> None:
        self.idle_seconds = float(env.integer("HARBORLITE_IDLE_SECONDS"))
        self.min_rate = env.integer("HARBORLITE_MIN_RATE")
        self.keep_alive_seconds = float(self.cfg.keepalive)
        self.flat = self._flat_settings()
        self.base_environ = base_environ(self.cfg) | {
            "wsgi.multithread": True,
            "SERVER_SOFTWARE": SERVER,
            "SCRIPT_NAME": "",
        }
        self.connections: set[Connection] = set()
        self._waiting: dict[int, Connection] = {}
        self._epoll = select.epoll()
        self._next_look = 0.0
        self._listening = False
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        super().init_process()

    def _flat_settings(self) -> SimpleNamespace:
        """gunicorn's settings as plain attributes, which its parser looks up a dozen times a request."""
        flat = SimpleNamespace(**{name: setting.get() for name, setting in self.cfg.settings.items()}, is_ssl=False)
        networks = self.cfg.forwarded_allow_networks()

        @lru_cache(maxsize=4096)
        def trusted(address: str) -> bool:
            return bool(_ip_in_allow_list(address, flat.forwarded_allow_ips, networks))

        flat.trusts = lambda client: not isinstance(client, tuple) or trusted(client[0])
        return flat

    def environ_of(self, sock: socket.socket, client: Any) -> dict[str, Any]:
        """What all requests of a connection have in their environ."""
        server = sock.getsockname()
        host, port = server[:2] if isinstance(server, tuple) else ("localhost", 80)
        address = {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1])} if client else {"REMOTE_ADDR": ""}
        return {
            **self.base_environ,
            **address,
            "gunicorn.socket": sock,
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
        }

    # The threads.

    def _work(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll(-1, 1):
                connection = self._waiting.get(descriptor)
                if connection is not None and self._take(connection):
                    self._advance(connection)

    def _take(self, connection: Connection) -> bool:
        """Makes this thread the one that holds a waiting connection; False if another one was faster.

        An event may be older than the connection, when its descriptor was another's before. Then the connection is
        just looked at once for nothing.
        """
        with connection.claim:
            if self._waiting.get(connection.descriptor) is not connection:
                return False
            del self._waiting[connection.descriptor]
            return True

    def _advance(self, connection: Connection) -> None:
        """Does what can be done, and puts the connection back or closes it."""
        try:
            events = connection.stage()
            if events:
                connection.waits_since = now = time.monotonic()
                if not self.alive and connection.is_idle():
                    connection.deadline = min(connection.deadline, now + self.STOP_SECONDS)
                self._put_back(connection, self._epoll.modify, events)
                return
        except Exception:
            self.log.exception("error on a connection")
        connection.close()

    def _put_back(self, connection: Connection, arm: Callable[[int, int], None], events: int) -> None:
        with connection.claim:
            self._waiting[connection.descriptor] = connection
            arm(connection.descriptor, events | select.EPOLLONESHOT)

    # The main thread.

    def run(self) -> None:
        """Serves until told to stop, then until the last answer is taken or the graceful timeout is over."""
        for number in range(self.cfg.threads):
            threading.Thread(target=self._work, name=f"web-{number}", daemon=True).start()
        self._poll = select.poll()
        self._poll.register(self.PIPE[0], select.POLLIN)
        self._listeners = {listener.fileno(): listener for listener in self.sockets}
        self._listen(on=True)
        while self.alive and self.ppid == os.getppid():
            self._turn(self.TICK_SECONDS)
        self.alive = False
        self._listen(on=False)
        now = time.monotonic()
        for connection in list(self._waiting.values()):
            if connection.is_idle():
                connection.deadline = min(connection.deadline, now + self.STOP_SECONDS)
        while self.connections and time.monotonic() < now + self.cfg.graceful_timeout:
            self._turn(PAUSE)
        for listener in self.sockets:
            listener.close()

    def _turn(self, seconds: float) -> None:
        """Waits at most `seconds` for something to do, and does it."""
        self.notify()
        self._cut_overdue()
        if self.alive and not self._listening:
            seconds = PAUSE
            self._listen(on=True)
        for descriptor, _ in self._poll.poll(seconds * 1000):
            if descriptor in self._listeners:
                self._accept(self._listeners[descriptor])
            else:
                os.read(descriptor, 4096)  # the signal's handler ran already

    def _listen(self, *, on: bool) -> None:
        for descriptor, listener in self._listeners.items():
            if on:
                listener.settimeout(0)
                self._poll.register(descriptor, select.POLLIN)
            else:
                self._poll.unregister(descriptor)
        self._listening = on

    def _accept(self, listener: Any) -> None:
        """Takes one new client in; when there is no room, closes the connection that has been idle for longest."""
        if len(self.connections) >= self.cfg.worker_connections and not self._make_room():
            self._listen(on=False)
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self.log.warning("cannot accept connections: %s", error)
            if not self._make_room():
                self._listen(on=False)
            return
        connection = Connection(self, sock, client)
        self.connections.add(connection)
        self._put_back(connection, self._epoll.register, select.EPOLLIN)

    def _make_room(self) -> bool:
        longest = time.monotonic() - self.ROOM_SECONDS
        for connection in list(self._waiting.values()):  # in the order of `waits_since`
            if connection.waits_since > longest:
                break
            if connection.is_idle() and self._take(connection):
                connection.close()
                return True
        return False

    def _cut_overdue(self) -> None:
        """Cuts the connections whose deadline passed. Looks at all of them, but once a tick."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + (self.TICK_SECONDS if self.alive else PAUSE)
        for connection in list(self._waiting.values()):
            if connection.deadline <= now and self._take(connection):
                connection.cut()
