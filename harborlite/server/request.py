"""A request as the application sees it: gunicorn's parser, and a body that never waits unbounded.

What a head and a chunk's line mean is decided by gunicorn alone; here is where their bytes come from.
"""

import io
import os
import select
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from gunicorn import util
from gunicorn.http import body, message, unreader
from gunicorn.http.errors import NoMoreData, ParseException

from harborlite.errors import BadRequest, RequestTimeout
from harborlite.http import Disconnected, TransferSlot

SMALL_BODY = 64 * 1024  # a body of at most this length is collected before the application runs
RECEIVE = 256 * 1024
MAX_CHUNK = 1 << 62


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
                size, rest = self._line(source, held[at:])
                if not size:
                    return
                held, at = rest, 0
            else:
                size, _ = self._line(source, held[at : end + 2])
                at = end + 2
            while len(held) - at < size + 2:  # the chunk and its CRLF
                piece = held[at : at + size]
                if piece or ready:
                    yield b"".join([*ready, piece])  # before waiting, so that it is not lost if the client leaves
                    ready.clear()
                size -= len(piece)
                at += len(piece)
                held, at = held[at:] + self._more(source, size + 2), 0
            ready.append(held[at : at + size])
            at += size + 2
            if held[at - 2 : at] != b"\r\n":
                raise body.ChunkMissingTerminator(held[at - 2 : at])

    def _line(self, source: Unreader, begin: bytes) -> tuple[int, bytes]:
        """The size a chunk's line tells, and what was received behind the line."""
        size, rest = self.parse_chunk_size(source, data=begin)
        if size > MAX_CHUNK:
            raise body.InvalidChunkSize(b"over 2**62")
        return size, rest

    @staticmethod
    def _more(source: Unreader, size: int) -> bytes:
        data: bytes = source.read(None, read_ahead=size)
        if not data:
            raise NoMoreData
        return data


class Input(body.Body):  # type: ignore[misc]
    """wsgi.input: raises typed errors instead of ending early, and holds a transfer slot while it waits for bytes."""

    buf: io.BytesIO

    def __init__(self, reader: Any, source: Unreader, start: Callable[[], None]) -> None:
        super().__init__(reader)
        self._source = source
        self._start: Callable[[], None] | None = start
        self._slot: TransferSlot | None = None
        self._chunked = isinstance(reader, ChunkedReader)

    @property
    def missing(self) -> int:
        """Bytes of the declared length that were not collected yet; 0 when no length is declared."""
        if self._chunked or not self.reader.length:
            return 0
        return max(0, int(self.reader.length) - len(self._source))

    def before_receiving(self) -> None:
        """Takes a slot, and lets a client go on that waits for 100 Continue."""
        if self._slot is None:
            self._slot = TransferSlot()
        if self._start is not None:
            start, self._start = self._start, None
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
            self.buf = io.BytesIO()
            return data
        return self._guarded(self._chunk if self._chunked else self._piece)

    def _chunk(self) -> bytes:
        if held := self.reader.buf.getvalue():
            self.reader.buf = io.BytesIO()
            return bytes(held)
        if self.reader.parser is not None:
            for data in self.reader.parser:
                if data:
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
        if not self._chunked and not self.reader.length:
            return True
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
    scheme: str
    _expected_100_continue: bool

    def _peer_is_trusted_proxy(self) -> bool:
        return bool(self.cfg.trusts(self.peer_addr))

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> Any:
        """What gunicorn reads in `data`; once, when a client sends the same lines with its next request.

        Lines with a password are not kept.
        """
        if from_trailer or len(data) > MAX_KNOWN_LENGTH:
            return super().parse_headers(data, from_trailer=from_trailer)
        key = (data, self.version, self._peer_is_trusted_proxy())
        known = _known.get(key)
        if known is None:
            headers = super().parse_headers(data)
            if len(_known) >= MAX_KNOWN:
                _known.clear()
            if not any(name == "AUTHORIZATION" and value[:5].lower() == "basic" for name, value in headers):
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
        environ["SERVER_PROTOCOL"] = f"HTTP/{self.version[0]}.{self.version[1]}"
        for name, value in self.headers:
            key = environ_key(name)
            # Cookies are the one list that commas don't join (RFC 6265, 5.4); Go's clients send each in a line.
            mark = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{mark}{value}" if key in environ else value
        return environ


@lru_cache(maxsize=512)
def environ_key(header: str) -> str:
    key = header.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
