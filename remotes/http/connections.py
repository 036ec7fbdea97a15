"""Connections that resolve a name once, check every address it has, and connect to the checked ones only."""

import socket
import ssl
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from functools import lru_cache
from typing import Any

import certifi
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from remotes.addresses import Allowed, allowed, may_reach
from remotes.errors import RemoteBlocked, RemoteUnavailable
from remotes.origins import origin_of
from remotes.watch import Hold, watch

CONNECT, IDLE, WHOLE = 5.0, 30.0, 60.0  # seconds
LEAST_PATIENCE = 30.0  # seconds that headers may take longer than the wait for their first byte


@lru_cache(maxsize=4)
def _rules(entries: tuple[str, ...]) -> tuple[Allowed, ...]:
    return tuple(allowed(entry) for entry in entries)


def addresses_of(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Where `host` is, by one look-up, each address checked. RemoteBlocked when it may not be reached at `port`.

    RemoteUnavailable when the name has no address, or none is found in time; a look-up itself has no time-out.
    """
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=look_up, name="outbound-name", daemon=True).start()
    try:
        entries = found.result(timeout=CONNECT)
    except (OSError, UnicodeError, TooLate) as error:
        raise RemoteUnavailable() from error
    if not may_reach(host, port, [entry[4][0] for entry in entries], _rules(tuple(settings.OUTBOUND_ALLOW))):
        raise RemoteBlocked()
    return [(entry[0], entry[4]) for entry in entries]


def check_reachable(url: str) -> None:
    """RemoteBlocked when the host of `url` may not be connected to. A name that has no address now is passed."""
    _, host, port = origin_of(url)
    with suppress(RemoteUnavailable):
        addresses_of(host, port)


class Guarded(HTTPConnection):
    """Connects to checked addresses only, and is watched from there to the end of the headers."""

    _wire: socket.socket | None = None
    hold: Hold | None = None

    def _new_conn(self) -> socket.socket:
        failure: OSError = OSError("no address")
        for family, address in addresses_of(self._dns_host, self.port):
            wire = socket.socket(family, socket.SOCK_STREAM)
            try:
                wire.settimeout(CONNECT)
                wire.connect(address)
            except OSError as error:
                failure = error
                wire.close()
                continue
            wire.settimeout(IDLE)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._wire = wire.dup()  # TLS takes the socket itself over
            self.watched(WHOLE)
            return wire
        raise urllib3.exceptions.NewConnectionError(self, str(failure)) from failure

    def watched(self, seconds: float) -> None:
        """The connection has `seconds` from now."""
        if self.hold is None and self._wire is not None:
            self.hold = watch.hold(self._wire, seconds)
        elif self.hold is not None:
            self.hold.extend(seconds)

    def unwatched(self) -> None:
        if self.hold is not None:
            self.hold.release()
            self.hold = None

    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override]  # as in urllib3
        self.watched(max(WHOLE, LEAST_PATIENCE + float(self.timeout or 0)))  # for the headers
        hold, response = self.hold, super().getresponse()
        if hold is not None and hold.is_over:
            response.close()
            raise TimeoutError("its headers take too long")  # http.client takes the end for the end of the headers
        return response

    def close(self) -> None:
        self.unwatched()
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        super().close()


class _Plain(Guarded):
    def connect(self) -> None:
        super().connect()
        self.unwatched()


class _Secure(Guarded, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.unwatched()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure

    def _validate_conn(self, conn: Any) -> None:
        """urllib3's warns of every connection whose certificate is not looked at, which is the operator's wish."""
        if conn.is_closed:
            conn.connect()


class Adapter(HTTPAdapter):
    """requests' own, with our connections and with one way of trusting certificates."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=16)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **_: Any) -> None:
        self.poolmanager = urllib3.PoolManager(connections, maxsize=maxsize, block=block, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        scheme, host, port = origin_of(str(request.url))
        return {"scheme": scheme, "host": host, "port": port}, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context has it all."""


@lru_cache(maxsize=64)
def context_of(*, insecure: bool, ca_certificate: str) -> ssl.SSLContext:
    """Who is trusted: everybody, the given authority alone, or those of the system. ValueError for no certificate."""
    if ca_certificate:
        if not ca_certificate.isascii():
            raise ValueError("no certificate in PEM")
        context = ssl.create_default_context(cadata=ca_certificate)
    else:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
