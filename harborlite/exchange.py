"""One request and its answer, between `harborlite.server`'s connections and the WSGI application.

What a request's head and a chunk's line mean is decided by gunicorn's parser alone. Here is how their bytes are had
without waiting unbounded, and how the answer's are handed over.
"""

import os
import select
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Protocol

from gunicorn import util
from gunicorn.http import body, message, unreader, wsgi
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName, NoMoreData, ParseException

from harborlite.errors import BadRequest, RequestTimeout
from harborlite.http import Disconnected, TransferSlot, holds_transfer_slot

SERVER = "harborlite"
SMALL_BODY = 64 * 1024  # a body of at most this length is collected before the application runs
RECEIVE = 256 * 1024


class Gone(Exception):
    """The client does not take its answer; the connection is of no use."""


class Pace:
    """Tells who is too slow: nothing for `idle` seconds, or less than `rate` bytes a second over `idle` seconds.

    Only the time spent waiting for the client counts.
    """

    def __init__(self, idle: float, rate: int) -> None:
        self.idle, self.rate = idle, rate
        self._moved = 0
        self._waited = 0.0

    def moved(self, count: int) -> None:
        self._moved += count

    def wait(self, descriptor: int, event: int) -> None:
        """Returns when `descriptor` is ready; TimeoutError when the client is too slow."""
        poller = select.poll()
        poller.register(descriptor, event)
        began = time.monotonic()
        if not poller.poll(self.idle * 1000):
            raise TimeoutError("nothing moved")
        self.waited(time.monotonic() - began)

    def waited(self, seconds: float) -> None:
        """Counts time that passed elsewhere; TimeoutError when the client is too slow."""
        self._waited += seconds
        if self._waited >= self.idle:
            if self._moved < self.rate * self._waited:
                raise TimeoutError("too little moved")
            self._moved, self._waited = 0, 0.0


# Requests.


class Unreader(unreader.Unreader):  # type: ignore[misc]  # gunicorn has no types
    """Where gunicorn's parser has its bytes from: what the connection collected, then, when it may, the socket."""

    def __init__(self, descriptor: int, pace: Pace) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._pace = pace
        self.before_receiving: Callable[[], None] | None = None
        """Called before the next bytes are taken from the socket; while None, there are only the collected ones."""

    def __len__(self) -> int:
        return len(self.buf.getbuffer())

    def append(self, data: bytes) -> None:
        self.buf.seek(0, os.SEEK_END)
        self.buf.write(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self.before_receiving is None:
            raise BlockingIOError
        self.before_receiving()
        size = min(max(size_hint or 0, RECEIVE), unreader.SocketUnreader.max_body_chunk)
        while True:
            try:
                data = os.read(self._descriptor, size)
            except BlockingIOError:
                self._pace.wait(self._descriptor, select.POLLIN)
            else:
                self._pace.moved(len(data))
                return data


class ChunkedReader(body.ChunkedReader):  # type: ignore[misc]
    """gunicorn's, which copies what it holds once for every chunk; here once for all chunks that were received."""

    def parse_chunked(self, source: Unreader) -> Iterator[bytes]:
        held, at = b"", 0
        ready: list[bytes] = []
        while True:
            end = held.find(b"\r\n", at)
            if end < 0 or held[at] == ord("0"):  # not all there, or maybe the last one, which its trailers follow
                if ready:
                    yield b"".join(ready)
                    ready.clear()
                size, rest = self.parse_chunk_size(source, data=held[at:])
                if not size:
                    return
                held, at = rest, 0
            else:
                size, _ = self.parse_chunk_size(source, data=held[at : end + 2])
                at = end + 2
            while len(held) - at < size + 2:  # the chunk and its CRLF
                piece = held[at : at + size]
                if piece or ready:
                    yield b"".join([*ready, piece])
                    ready.clear()
                size -= len(piece)
                at += len(piece)
                more = source.read(None, read_ahead=size + 2)
                if not more:
                    raise NoMoreData
                held, at = held[at:] + more, 0
            ready.append(held[at : at + size])
            at += size
            if held[at : at + 2] != b"\r\n":
                raise body.ChunkMissingTerminator(held[at : at + 2])
            at += 2


class Input(body.Body):  # type: ignore[misc]
    """wsgi.input: raises typed errors instead of ending early, and holds a transfer slot while it waits for bytes."""

    def __init__(self, reader: Any, source: Unreader, start: Callable[[], None]) -> None:
        super().__init__(reader)
        self._source = source
        self._start: Callable[[], None] | None = start
        self._slot: TransferSlot | None = None
        self._chunked = isinstance(reader, ChunkedReader)

    @property
    def missing(self) -> int:
        """Bytes of the declared length that were not collected yet; 0 when no length is declared."""
        return 0 if self._chunked else max(0, self.reader.length - len(self._source))

    def before_receiving(self) -> None:
        """Takes a slot, and lets a client go on that waits for 100 Continue."""
        if self._slot is None and not holds_transfer_slot():
            self._slot = TransferSlot()
        if self._start is not None:
            self._start, start = None, self._start
            start()

    def release(self) -> None:
        """The body is not waited for any more."""
        if self._slot is not None:
            self._slot.release()
            self._slot = None

    def read1(self) -> bytes:
        """What there is of the body, once there is something; b"" at its end. For bodies read as they arrive."""
        if self.buf.tell():
            data: bytes = self.buf.getvalue()
            self.buf = type(self.buf)()
            return data
        return self._guarded(self._chunk if self._chunked else self._piece)

    def _chunk(self) -> bytes:
        if held := self.reader.buf.getvalue():
            self.reader.buf = type(self.reader.buf)()
            return bytes(held)
        if self.reader.parser is not None:
            for data in self.reader.parser:
                return bytes(data)
            self.reader.parser = None
        return b""

    def _piece(self) -> bytes:
        length = self.reader.length
        if not length:
            return b""
        data: bytes = self._source.read(None, read_ahead=length)
        if not data:
            raise NoMoreData
        if len(data) > length:
            self._source.unread(data[length:])
            data = data[:length]
        self.reader.length -= len(data)
        return data

    def _read_reader(self, size: int) -> bytes:
        expected = 0 if self._chunked else min(size, self.reader.length)
        data = self._guarded(lambda: self.reader.read(size))
        if len(data) < expected:
            self.failed = True
            raise Disconnected(close=True)
        return data

    def _guarded(self, read: Callable[[], bytes]) -> bytes:
        try:
            data = read()
        except TimeoutError as error:
            self.failed = True
            raise RequestTimeout(close=True) from error
        except (NoMoreData, ConnectionError) as error:
            self.failed = True
            raise Disconnected(close=True) from error
        except ParseException as error:
            self.failed = True
            raise BadRequest(f"malformed request body: {error}", close=True) from error
        except BaseException:
            self.failed = True
            raise
        if not data:
            self.release()
        return data

    def settle(self) -> bool:
        """Drops what is left of the body if all of it was collected; False if the rest would have to be waited for."""
        self.release()
        self._source.before_receiving = None
        if self.failed or self.missing:
            return False
        try:
            while self.read1():
                pass
        except (BadRequest, Disconnected, BlockingIOError):
            return False
        return True


MAX_KNOWN, MAX_KNOWN_LENGTH = 2048, 4096
_known: dict[tuple[bytes, tuple[int, int], bool], tuple[list[tuple[str, str]], str, bool]] = {}


class Request(message.Request):  # type: ignore[misc]
    """gunicorn's request, whose body is our Input."""

    body: Input

    def _peer_is_trusted_proxy(self) -> bool:
        return bool(self.cfg.trusts(self.peer_addr))

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> Any:  # noqa: FBT001, FBT002 - gunicorn's
        """What gunicorn reads in `data`. A client mostly sends the same lines again, which are not read again."""
        if from_trailer or len(data) > MAX_KNOWN_LENGTH:
            return super().parse_headers(data, from_trailer=from_trailer)
        key = (data, self.version, self._peer_is_trusted_proxy())
        known = _known.get(key)
        if known is None:
            headers = super().parse_headers(data)
            if len(_known) >= MAX_KNOWN:
                _known.clear()
            _known[key] = headers, self.scheme, self._expected_100_continue
            return headers
        headers, self.scheme, self._expected_100_continue = known
        return headers

    def set_body_reader(self) -> None:
        super().set_body_reader()
        reader = self.body.reader
        if isinstance(reader, body.ChunkedReader):
            reader = ChunkedReader(self, self.unreader)
        self.body = Input(reader, self.unreader, self.expected)
        self.go_on: Callable[[], None] | None = None
        """Sends 100 Continue; set by the connection."""

    def expected(self) -> None:
        """The body is wanted: tells a client that waits for 100 Continue."""
        if self._expected_100_continue and self.go_on is not None:
            self._expected_100_continue = False
            self.go_on()

    def fill(self, environ: dict[str, Any]) -> dict[str, Any]:
        """`environ` with this request in it (PEP 3333)."""
        environ["wsgi.input"] = self.body
        environ["wsgi.url_scheme"] = self.scheme
        environ["REQUEST_METHOD"] = self.method
        environ["RAW_URI"] = self.uri
        environ["PATH_INFO"] = util.unquote_to_wsgi_str(self.path)
        environ["QUERY_STRING"] = self.query
        environ["SERVER_PROTOCOL"] = "HTTP/%d.%d" % self.version
        for name, value in self.headers:
            key = environ_key(name)
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ


@lru_cache(maxsize=512)
def environ_key(header: str) -> str:
    key = header.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


# Answers.


class Sender(Protocol):
    """The connection, as the answer sees it."""

    sock: Any

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
        if not self.must_close and not self.req.body.settle():
            self.force_close()
        version = "HTTP/%d.%d" % self.req.version
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
