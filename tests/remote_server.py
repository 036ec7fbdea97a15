"""The wire of tests.remote_fake: an HTTP server that can also send half an answer, or hang up."""

import socket
import struct
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.remote_acts import Asked, Given


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    unread = 0
    """Of the next longer body so many bytes are read, and then the connection is reset."""

    def __init__(self, host: str, answer: Callable[[Asked], Given | None]) -> None:
        super().__init__((host, 0), _Handler)
        self.answer = answer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are the tests' doing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 30

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        body = self._body()
        given = self.server.answer(
            Asked(self.command, self.path, dict(self.headers.items()), body, self.client_address[1])
        )
        if given is None:
            self.close_connection = True
            return
        self.send_response(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        if given.status not in (204, 304):
            self.send_header("Content-Length", str(len(given.body) if given.length is None else given.length))
        self.end_headers()
        if self.command == "HEAD" or given.status in (204, 304):
            return
        content = given.body if given.cut is None else given.body[: given.cut]
        if given.drip:
            for number in range(len(content)):
                self.wfile.write(content[number : number + 1])
                time.sleep(given.drip)
        else:
            self.wfile.write(content)
        if len(content) != (len(given.body) if given.length is None else given.length):
            self.close_connection = True

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):  # whatever the method
            return self._serve
        raise AttributeError(name)

    def _body(self) -> bytes:
        """As much as comes."""
        left, parts = int(self.headers.get("Content-Length") or 0), []
        if 0 < self.server.unread < left:
            left, self.server.unread = self.server.unread, 0
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while left and (part := self.rfile.read1(min(left, 1 << 16))):  # type: ignore[attr-defined]  # a BufferedReader
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
