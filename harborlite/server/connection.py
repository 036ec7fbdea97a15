"""One client's connection: what is done when it becomes ready, and what it waits for next.

`stage` is the method to call then. It answers the epoll events to wait for, or 0 to close:

    head      a request's head is being collected, or the connection is kept alive between requests
    body      a small body is being collected
    flush     an answer, or a file, is being taken by the client
    linger    an answer went out before the request was read; what still comes is dropped until the client saw it

None of them waits. Only the thread that holds the connection touches it.
"""

import json
import os
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gunicorn.http import errors as bad
from gunicorn.http.wsgi import FileWrapper

from harborlite.errors import HarborliteError
from harborlite.server.request import SMALL_BODY, Pace, Request, Unreader
from harborlite.server.response import SERVER, Gone, Response, http_date

if TYPE_CHECKING:
    from harborlite.server.worker import Worker

RECEIVE = 64 * 1024
MAX_HEAD = 64 * 1024
MAX_PENDING = 1024 * 1024  # an answer that is longer, and no file, holds its thread until the client took the rest
TURN = 16 * 1024 * 1024  # bytes of a file sent before other connections get their turn
MAX_LINGER = 64 * 1024 * 1024

_BARE_LF = re.compile(rb"(?<!\r)\n")
_ABORT = struct.pack("ii", 1, 0)
_dropped = bytearray(256 * 1024)  # where all threads read what nobody wants
_STATUS = {
    bad.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    bad.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    bad.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    bad.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


class Connection:
    """A client's connection; `deadline` is when it is cut if nothing happens."""

    def __init__(self, worker: "Worker", sock: socket.socket, client: Any) -> None:
        sock.settimeout(worker.idle_seconds)  # non-blocking for os.read and os.write
        self.worker = worker
        self.sock = sock
        self.descriptor = sock.fileno()
        self.stage: Callable[[], int] = self.head
        self.waits_since = time.monotonic()
        self.deadline = self.waits_since + worker.HEAD_SECONDS
        self.claim = threading.Lock()
        """Held by who puts the connection back to wait, and by who takes it."""
        self._client = client
        self._pace = Pace(worker.idle_seconds, worker.min_rate)
        self._unreader = Unreader(self.descriptor, self._pace)
        self._partial = bytearray()
        self._request: Request | None = None
        self._closing = self._lingering = False
        self._pending = bytearray()
        self._file = -1
        self._offset = self._left = self._linger_read = 0
        self._environ = worker.environ_of(sock, client)

    def close(self) -> None:
        """Nothing of the connection is left."""
        self._drop_file()
        self.sock.close()
        self.worker.connections.discard(self)

    def cut(self) -> None:
        """The deadline passed: says so if a request was on its way, and closes. An answer not taken is forgotten."""
        if self._partial or self._request is not None:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request arrived too slowly")
        elif self.stage == self.flush:
            self._abort()
        self.close()

    def is_idle(self) -> bool:
        """No request is on its way and no answer is being taken."""
        return self.stage in (self.head, self.linger)

    # Receiving.

    def head(self) -> int:
        try:
            data = os.read(self.descriptor, RECEIVE)
        except BlockingIOError:
            return select.EPOLLIN
        except OSError:
            return 0
        return self._received(data) if data else 0

    def _received(self, data: bytes) -> int:
        """Takes what came where a head may start, and answers every request that is complete in it."""
        while data:
            if self._partial or b"\r\n\r\n" not in data:
                events = self._collect(data)
                if events is not None:
                    return events
                data = bytes(self._partial)
                self._partial.clear()
            self._unreader.append(data)
            events = self._parse()
            if events is not None:
                return events
            data = self._unreader.take_buffered()
        self.stage = self.head
        self.deadline = time.monotonic() + self.worker.keep_alive_seconds
        return select.EPOLLIN

    def _collect(self, data: bytes) -> int | None:
        """Adds to a head that came in pieces; None once the parser can tell what is in it."""
        partial = self._partial
        if not partial:
            self.deadline = time.monotonic() + self.worker.HEAD_SECONDS
            if data[0] != ord("\r") and not ord("!") <= data[0] <= ord("~"):
                return self._refuse_tls()
        known = len(partial)
        partial += data
        if partial.find(b"\r\n\r\n", max(0, known - 3)) >= 0 or _BARE_LF.search(partial, known):
            return None
        if len(partial) > self.worker.flat.limit_request_line + 2 and b"\r\n" not in partial:
            return None
        if len(partial) > MAX_HEAD:
            return self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too large")
        self.stage = self.head
        return select.EPOLLIN

    def _parse(self) -> int | None:
        """Reads a head, and answers the request unless its body is small and not here yet.

        None when the connection is free for the next request.
        """
        self._unreader.before_receiving = None
        try:
            request = Request(self.worker.flat, self._unreader, self._client)
        except (bad.ParseException, OSError, StopIteration) as error:
            return self._refuse(_STATUS.get(type(error), HTTPStatus.BAD_REQUEST), str(error))
        request.go_on = self._go_on
        if request.body.missing and request.body.reader.length <= SMALL_BODY:
            try:
                request.expected()
            except ConnectionError:
                return 0
            self._request = request
            self.stage = self.body
            self.deadline = time.monotonic() + self.worker.idle_seconds
            return select.EPOLLIN
        return self._answer(request)

    def body(self) -> int:
        request = self._request
        if request is None:
            return 0
        try:
            data = os.read(self.descriptor, RECEIVE)
        except BlockingIOError:
            return select.EPOLLIN
        except OSError:
            return 0
        if not data:
            return self._refuse(HTTPStatus.BAD_REQUEST, "the connection ended before the request's body did")
        self._unreader.append(data)
        if request.body.missing:
            return select.EPOLLIN
        self._request = None
        return self._go_on_after(self._answer(request))

    def _go_on(self) -> None:
        try:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        except Gone as error:  # a request's reader hears it as any other loss of the client
            raise ConnectionResetError(str(error)) from error

    def _go_on_after(self, events: int | None) -> int:
        return self._received(self._unreader.take_buffered()) if events is None else events

    # Answering.

    def _answer(self, request: Request) -> int | None:
        """Runs the application; None when the client took the answer and may send its next request."""
        self._unreader.before_receiving = request.body.before_receiving
        response = Response(request, self, self.worker.flat)
        try:
            self._run(response, request.fill(self._environ.copy()))
        except Gone as error:
            self.worker.log.debug("%s %s: %s", request.method, request.path, error)
            return 0
        except (Exception, SystemExit) as error:
            if not isinstance(error, HarborliteError):
                self.worker.log.exception("%s %s", request.method, request.path)
                error = HarborliteError()
            return 0 if response.headers_sent else self._refuse(error.status, error.message, error.code)
        finally:
            request.body.release()
        self._closing = response.should_close()
        self._lingering = response.must_close
        return self._flush()

    def _run(self, response: Response, environ: dict[str, Any]) -> None:
        items = self.worker.wsgi(environ, response.start_response)
        try:
            if isinstance(items, FileWrapper):
                response.write_file(items)
            else:
                for item in items:
                    response.write(item)
            response.close()
        finally:
            if hasattr(items, "close"):
                items.close()

    def _refuse_tls(self) -> int:
        """Answers bytes that are no HTTP as Go's servers do: clients that try TLS first see that it is plain HTTP."""
        return self._last_words(HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", "400 Bad Request: this is HTTP\n")

    def _refuse(self, status: int, message: str, code: str = "BAD_REQUEST") -> int:
        """Answers an error that the application does not see, and closes."""
        document = {"errors": [{"code": code, "message": message[:200]}]}
        return self._last_words(status, "application/json", json.dumps(document))

    def _last_words(self, status: int, content_type: str, text: str) -> int:
        self._closing = self._lingering = True
        self._request = None
        self._partial.clear()
        try:
            self.send(
                f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}\r\nServer: {SERVER}\r\nDate: {http_date()}\r\n"
                f"Connection: close\r\nContent-Type: {content_type}\r\nContent-Length: {len(text)}\r\n\r\n"
                f"{text}".encode()
            )
        except Gone:
            return 0
        return self._flush() or 0

    # Sending.

    def stays_open(self) -> bool:
        """Another request may follow the one being answered."""
        return self.worker.alive and self.worker.keep_alive_seconds > 0

    def send(self, data: bytes) -> None:
        """Takes `data`, which leaves before anything sent later; Gone when the client does not take it."""
        if not self._pending:
            sent = self._write(data)
            if sent == len(data):
                return
            data = data[sent:]
        self._pending += data
        while len(self._pending) > MAX_PENDING:
            try:
                self._pace.wait(self.descriptor, select.POLLOUT)
            except TimeoutError as error:
                self._abort()
                raise Gone("the answer was taken too slowly") from error
            del self._pending[: self._write(self._pending)]

    def _write(self, data: bytes | bytearray) -> int:
        try:
            sent = os.write(self.descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Gone("the client went away") from error
        self._pace.moved(sent)
        return sent

    def send_file(self, descriptor: int, offset: int, length: int) -> None:
        """Takes `length` bytes of a file as the last of an answer; the caller may close its descriptor at once."""
        if length:
            self._file, self._offset, self._left = os.dup(descriptor), offset, length

    def flush(self) -> int:
        try:
            self._pace.waited(time.monotonic() - self.waits_since)
        except TimeoutError:
            self._abort()
            return 0
        return self._go_on_after(self._flush())

    def _flush(self) -> int | None:
        """Sends what the client takes now; None when that was all and the connection stays open."""
        try:
            done = self._push()
        except Gone as error:
            self.worker.log.debug("%s", error)
            return 0
        if not done:
            self.stage = self.flush
            self.deadline = time.monotonic() + self.worker.idle_seconds
            return select.EPOLLOUT
        return self._hang_up() if self._closing else None

    def _push(self) -> bool:
        if self._pending:
            del self._pending[: self._write(self._pending)]
            if self._pending:
                return False
        if self._left:
            try:
                sent = os.sendfile(self.descriptor, self._file, self._offset, min(self._left, TURN))
            except BlockingIOError:
                return False
            except OSError as error:
                raise Gone("the client went away") from error
            if not sent:
                raise Gone(f"the file ends {self._left} bytes early")
            self._pace.moved(sent)
            self._offset += sent
            self._left -= sent
        if self._left:  # the client has no room for more, or it is others' turn
            return False
        self._drop_file()
        return True

    def _drop_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file, self._left = -1, 0

    # Ending.

    def _hang_up(self) -> int:
        """Ends the answer. Closing while the client still sends would take back what it did not read yet."""
        if not self._lingering and not len(self._unreader):
            return 0
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return 0
        self.stage = self.linger
        self.deadline = time.monotonic() + self.worker.LINGER_SECONDS
        return select.EPOLLIN

    def linger(self) -> int:
        try:
            count = os.readv(self.descriptor, [_dropped])
        except BlockingIOError:
            return select.EPOLLIN
        except OSError:
            return 0
        self._linger_read += count
        return select.EPOLLIN if count and self._linger_read < MAX_LINGER else 0

    def _abort(self) -> None:
        """Lets the kernel forget what it could not send, when the socket is closed."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
