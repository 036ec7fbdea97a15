"""An answer on its way to the client: gunicorn's checks of what the application says, framed for few packets."""

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Protocol

from gunicorn import util
from gunicorn.http import message, wsgi
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName

from harborlite.server.request import Request

SERVER = "harborlite"


class Gone(Exception):
    """The client does not take its answer; the connection is of no use."""


class Sender(Protocol):
    """The connection, as the answer sees it."""

    sock: Any

    def stays_open(self) -> bool:
        """Another request may follow the one being answered."""

    def send(self, data: bytes) -> None:
        """Takes `data`, which goes out before anything sent later; Gone when the client does not take it."""

    def send_file(self, descriptor: int, offset: int, length: int) -> None:
        """Takes `length` bytes of a file, as the last of an answer. The descriptor may be closed at once."""


_HOP_BY_HOP = frozenset(util.hop_headers) | {"server", "date"}
_second, _date = 0, ""


def http_date() -> str:
    """Now, formatted once a second."""
    global _second, _date  # noqa: PLW0603 - a race only formats it twice
    now = int(time.time())
    if now != _second:
        _date = formatdate(now, usegmt=True)
        _second = now
    return _date


@lru_cache(maxsize=1024)
def header_name(name: str) -> str:
    """A response header's name in lower case; InvalidResponseHeaderName when it is none."""
    if not message.TOKEN_RE.fullmatch(name):
        raise InvalidResponseHeaderName(repr(name))
    return name.lower()


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response: head and first bytes leave together, `Connection: close` of the application is heard."""

    def __init__(self, request: Request, sender: Sender, cfg: Any) -> None:
        super().__init__(request, sender.sock, cfg)
        self._sender = sender

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        for name, value in headers:
            lower = header_name(name)
            if not isinstance(value, str):
                raise TypeError(f"{value!r} is not a string")
            if not wsgi.HEADER_VALUE_RE.fullmatch(value):
                raise InvalidResponseHeader(repr(name))
            if lower in _HOP_BY_HOP:
                if lower == "connection" and value.strip().lower() == "close":
                    self.force_close()
                continue
            if lower == "content-length":
                self.response_length = int(value)
            self.headers.append((name, value.strip(" \t")))

    def _head(self) -> bytes:
        """The head, to be sent now. A body that is not all here can't be told from a next request: close then."""
        self.headers_sent = True
        if not self.must_close and not (self._sender.stays_open() and self.req.body.settle()):
            self.force_close()
        version = f"HTTP/{self.req.version[0]}.{self.req.version[1]}"
        connection = "close" if self.should_close() else "keep-alive"
        chunked = "Transfer-Encoding: chunked\r\n" if self.chunked else ""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        return (
            f"{version} {self.status}\r\nServer: {SERVER}\r\nDate: {http_date()}\r\nConnection: {connection}\r\n"
            f"{chunked}{lines}\r\n"
        ).encode("latin-1")

    def write(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"{data!r} is not bytes")
        if self._omits_body:
            data = b""
        elif self.response_length is not None and len(data) > self.response_length - self.sent:
            data = data[: self.response_length - self.sent]
        self.sent += len(data)
        if self.chunked and data:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        if not self.headers_sent:
            data = self._head() + data
        if data:
            self._sender.send(data)

    def write_file(self, wrapper: Any) -> None:
        """Sends the file itself when its descriptor and length are known, else what it reads."""
        source = wrapper.filelike
        descriptor = getattr(source, "descriptor", None)
        if descriptor is None or self.response_length is None:
            for data in wrapper:
                self.write(data)
            return
        self.write(b"")
        if not self._omits_body:
            length = min(self.response_length, source.left)
            self._sender.send_file(descriptor, source.offset, length)
            self.sent += length

    def close(self) -> None:
        """The answer is complete; Gone when it is shorter than its head says, which closing the connection tells."""
        if not self.headers_sent:
            self.write(b"")
        if self.chunked:
            self._sender.send(b"0\r\n\r\n")
        if self.response_length is not None and not self._omits_body and self.sent < self.response_length:
            raise Gone(f"the answer ended after {self.sent} of {self.response_length} bytes")
