"""Bodies in both directions: reading a request's, answering with a file's. Knows no app.

Under `harborlite.server` the socket's limits (idle time, least rate, transfer slots) are kept by the server itself,
whoever reads `wsgi.input`; what is here adds the length, the cap and the typed errors, under any WSGI server.
"""

import os
import stat
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase

from harborlite import env
from harborlite.errors import HarborliteError, TooLarge, TooManyRequests

CHUNK = 256 * 1024
SMALL = 1024 * 1024  # what is at most this long is no transfer


class Disconnected(HarborliteError):
    """The client went away, or closed its side, before the body's end. Hardly ever seen by anybody."""

    code, status, message = "BLOB_UPLOAD_INVALID", 400, "the connection ended before the request's body did"


# Transfer slots: what moves bytes for long may not fill the thread pool.


@lru_cache(maxsize=1)
def _slots() -> threading.BoundedSemaphore:
    threads = env.integer("HARBORLITE_WEB_THREADS")
    return threading.BoundedSemaphore(max(1, threads - min(8, threads // 2)))


class TransferSlot:
    """One of this process's threads - 8 places for long transfers; TooManyRequests when all are taken."""

    def __init__(self) -> None:
        self._taken = False
        if not _slots().acquire(blocking=False):
            raise TooManyRequests(
                "too many transfers at a time; try again later", headers={"Retry-After": "5"}, close=True
            )
        self._taken = True

    def release(self) -> None:
        """The place is free. More calls do nothing."""
        if self._taken:
            self._taken = False
            _slots().release()

    __del__ = release  # whoever holds a response that is never closed drops its place too


# Requests.


def external_url(request: HttpRequest) -> str:
    """Scheme and host under which this client reaches us: EXT_ENDPOINT, else the request's own, checked, host."""
    return settings.EXT_ENDPOINT or f"{request.scheme}://{request.get_host()}"


def client_address(environ: Mapping[str, Any]) -> str:
    """The address that a request comes from. Only trusted proxies are believed about whom they speak for.

    The rightmost address in X-Forwarded-For that is no trusted proxy: what stands left of it, a client can invent.
    """
    address, trusted = str(environ.get("REMOTE_ADDR", "")), tuple(settings.TRUSTED_PROXIES)
    if not trusted:
        return address
    hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    while hops and _is_address(hops[-1]) and _is_one_of(address, trusted):
        address = hops.pop()
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_one_of(address: str, proxies: tuple[str, ...]) -> bool:
    """Whether `proxies`, addresses and networks, or * for all, have `address` among them, as the web server has it."""
    if not _is_address(address):
        return False
    return any(text == "*" or ip_address(address) in ip_network(text, strict=False) for text in proxies)


class Body:
    """A request's body, read past Django, which gives an empty one when the length is not declared.

    Iterating gives chunks as they arrive, of at most 1 MiB. It raises Disconnected when the client left before the
    end, TooLarge past `max_bytes` (at once when more is declared), RequestTimeout when nothing or too little arrives,
    BadRequest for broken chunk framing and TooManyRequests when this process has no transfer slot left.
    """

    def __init__(self, request: HttpRequest | Mapping[str, Any], max_bytes: int | None = None) -> None:
        environ: Mapping[str, Any] = request if isinstance(request, Mapping) else request.META
        self._input = environ["wsgi.input"]
        self.max_bytes = max_bytes
        self.received = 0
        """Bytes read so far."""
        self.declared: int | None = None
        """Content-Length; None when the body is chunked."""
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            self.declared = int(environ.get("CONTENT_LENGTH") or 0)

    def __iter__(self) -> Iterator[bytes]:
        if self.max_bytes is not None and (self.declared or 0) > self.max_bytes:
            raise TooLarge(close=True)
        while chunk := self._next():
            self.received += len(chunk)
            if self.max_bytes is not None and self.received > self.max_bytes:
                raise TooLarge(close=True)
            yield chunk
        if self.declared is not None and self.received < self.declared:
            raise Disconnected(close=True)

    def _next(self) -> bytes:
        size = CHUNK if self.declared is None else min(CHUNK, self.declared - self.received)
        read1 = getattr(self._input, "read1", None)  # what has arrived, instead of waiting for all of `size`
        try:
            chunk: bytes = read1() if read1 else self._input.read(size)
        except OSError as error:
            raise Disconnected(close=True) from error
        return chunk

    def read_all(self, limit: int, error: type[HarborliteError] = TooLarge) -> bytes:
        """The whole body; `error` when it is longer than `limit`, before reading when the declared length is."""
        self.max_bytes = limit
        try:
            return b"".join(self)
        except TooLarge:
            raise error(close=True) from None


# Answers.


class Readable(Protocol):
    """What a blob's bytes come from: an open file, or a stream such as an S3 object's body."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Span:
    """`length` bytes of `source`. Of a regular file, from `start`, without moving the file's own position.

    Any other source is a stream that is already where the span begins; a long one holds a transfer slot.
    """

    def __init__(self, source: Readable, start: int, length: int) -> None:
        self._source = source
        self.descriptor = _regular_file(source)
        self.offset = start
        self.left = length
        self._slot = TransferSlot() if self.descriptor is None and length > SMALL else None

    def read(self, size: int = CHUNK) -> bytes:
        size = min(size, self.left)
        if size <= 0:
            return b""
        data = self._source.read(size) if self.descriptor is None else os.pread(self.descriptor, size, self.offset)
        self.offset += len(data)
        self.left -= len(data)
        return data

    def close(self) -> None:
        self._source.close()
        if self._slot is not None:
            self._slot.release()


def _regular_file(source: Readable) -> int | None:
    """The descriptor of a regular file. A stream over a socket has one too, whose bytes are not the stream's."""
    try:
        descriptor: int = source.fileno()  # type: ignore[attr-defined]  # asked for, not promised
        return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (AttributeError, OSError):
        return None


class SpanResponse(FileResponse):
    """A response whose file the server sees, to send it itself, as long as no middleware replaces the content."""

    block_size = CHUNK

    def set_headers(self, filelike: object) -> None:
        """Every header is the caller's."""


def file_response(
    request: HttpRequest,
    source: Readable | None,
    *,
    length: int,
    total: int,
    start: int = 0,
    content_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
) -> HttpResponseBase:
    """200 with all `total` bytes, or 206 with `length` of them from `start`; the response closes `source`.

    A regular file is sent by the server without a thread or a database connection waiting for the client. A stream
    begins at `start` already; it is read as the client takes it. HEAD gets the same headers, and needs no source.
    TooManyRequests when a stream finds no transfer slot; `source` is closed then.
    """
    status = 200 if length == total else 206
    lines = {"Accept-Ranges": "bytes", "Content-Length": str(length), "Content-Type": content_type, **(headers or {})}
    if status == 206:
        lines["Content-Range"] = f"bytes {start}-{start + length - 1}/{total}"
    if request.method == "HEAD" or source is None:
        if source is not None:
            source.close()
        return HttpResponse(status=status, headers=lines)
    try:
        span = Span(source, start, length)
    except BaseException:
        source.close()
        raise
    return SpanResponse(span, status=status, headers=lines)
