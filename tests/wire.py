"""Requests and bytes exactly as given: below the client, for what no HTTP library would send."""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict

TIMEOUT = 60.0  # seconds

_LINK = re.compile(r'<([^>]*)>; rel="next"')


def basic(username: str, secret: str) -> dict[str, str]:
    """The Authorization header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The codes of the error envelope; none when there is no envelope."""
        try:
            return [str(entry["code"]) for entry in self.json()["errors"]]
        except (ValueError, KeyError, TypeError):
            return []

    @property
    def next_page(self) -> str | None:
        match = _LINK.fullmatch(self.headers.get("Link", ""))
        return match[1] if match else None

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.body[:2000]!r}"


def raw(
    url: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] = b"",
) -> Answer:
    """One request on a connection of its own; `path` goes out verbatim, an iterable `body` in chunks."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in pairs:
            connection.putheader(name, value)
        is_chunked = not isinstance(body, bytes)
        if is_chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before the body's end
            connection.endheaders(body or None, encode_chunked=is_chunked)
        return _answer(connection.getresponse())


def connect(url: str, timeout: float = TIMEOUT) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on a connection; http.client.RemoteDisconnected when it was closed instead."""
    response = http.client.HTTPResponse(connection, method=method)
    with contextlib.closing(response):
        response.begin()
        return _answer(response)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side ends the connection (within the socket's timeout) without saying more."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def _answer(response: http.client.HTTPResponse) -> Answer:
    return Answer(response.status, CaseInsensitiveDict(response.getheaders()), response.read())


@dataclass
class KeepAlive:
    """One connection of its own that stays open, so that all its requests reach the same web process."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)

    def get(self, path: str, method: str = "GET") -> Answer:
        self.connection.request(method, path, headers=dict(self.headers))
        return _answer(self.connection.getresponse())

    def process(self, candidates: Iterable[int]) -> int | None:
        """Which of these processes of this machine holds the other end; None when none does."""
        wire = self.connection.sock
        assert wire is not None
        ends = [f"{_hex_address(*address)}" for address in (wire.getpeername(), wire.getsockname())]
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        inodes = {f"socket:[{row[9]}]" for row in rows if row[1:3] == ends}
        for process in candidates:
            for link in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(link) in inodes:
                        return process
        return None

    def close(self) -> None:
        self.connection.close()


def _hex_address(host: str, port: int) -> str:
    """An IPv4 address as /proc/net/tcp has it."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
