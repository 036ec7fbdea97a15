"""Ends connections whose time is over, whatever they are waiting for: a handshake, headers, the next byte.

A socket's own timeout begins anew with every byte, so a peer that sends one a minute holds its caller for ever. Here
one thread a process looks twice a second at all connections in use, and shuts down the late ones: then the caller's
read ends.
"""

import contextlib
import os
import socket
import threading
import time

INTERVAL = 0.5  # seconds


class Hold:
    """A connection's time, from `Watch.hold` to `release`."""

    def __init__(self, watch: "Watch", wire: socket.socket, seconds: float) -> None:
        self._watch = watch
        self._wire = wire
        self.until = time.monotonic() + seconds
        self.is_over = False

    def extend(self, seconds: float) -> None:
        """It has `seconds` from now."""
        self.until = time.monotonic() + seconds

    def end(self) -> None:
        """Its time is over: who reads from it or writes to it gets no further."""
        self.is_over = True
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Nobody watches it any longer. More calls do nothing."""
        self._watch.drop(self)


class Watch:
    """The connections of this process that are being waited for."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._holds: set[Hold] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def hold(self, wire: socket.socket, seconds: float) -> Hold:
        """From now on `wire` is shut down after `seconds`, unless it is released or gets more time."""
        hold = Hold(self, wire, seconds)
        with self._lock:
            self._holds.add(hold)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbound-watch", daemon=True)
                self._thread.start()
        return hold

    def drop(self, hold: Hold) -> None:
        with self._lock:
            self._holds.discard(hold)

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL)
            now = time.monotonic()
            with self._lock:
                for hold in [hold for hold in self._holds if hold.until < now]:
                    hold.end()
                    self._holds.discard(hold)


watch = Watch()
