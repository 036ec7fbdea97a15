"""A proxy in front of the S3 server that fails, lies and breaks off, as the test tells it.

    trouble.on = lambda request: DROP if request.method == "PUT" else None

Decides per request what happens to it; what is None goes through as it is. Answers are kept in memory.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]

    @property
    def completes(self) -> bool:
        """CompleteMultipartUpload."""
        return self.method == "POST" and "uploadId" in self.query

    @property
    def lists(self) -> bool:
        return self.method == "GET" and ("list-type" in self.query or "uploads" in self.query)


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: int | None = None
    """Bytes of the body after which the connection breaks."""


Trouble = Callable[[Callable[[], Answer]], Answer | None]
"""Gets a function that asks the server; gives what the client is answered, None to break the connection."""


def error(status: int, code: str) -> Answer:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>made up</Message></Error>'
    return Answer(status, [("Content-Type", "application/xml")], text.encode())


def drop(_: Callable[[], Answer]) -> Answer | None:
    """The request never arrives."""
    return None


def drop_answer(ask: Callable[[], Answer]) -> Answer | None:
    """The request is done, and nobody hears of it."""
    ask()
    return None


def failing(status: int, code: str) -> Trouble:
    return lambda _: error(status, code)


@dataclass
class Troublemaker:
    """What happens to requests: `on`, which a test sets; `seen` are those that came."""

    endpoint: str
    on: Callable[[Request], Trouble | None] = lambda _: None
    seen: list[Request] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = urlsplit(behind).netloc
        self.made = Troublemaker(f"http://127.0.0.1:{self.server_address[1]}")

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        where = urlsplit(self.path)
        request = Request(self.command, where.path, parse_qs(where.query, keep_blank_values=True))
        self.server.made.seen.append(request)
        trouble = self.server.made.on(request)
        answer = trouble(lambda: self.ask(body)) if trouble else self.ask(body)
        if answer is None:
            self.reset()
        else:
            self.reply(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - the library's names

    def ask(self, body: bytes) -> Answer:
        with closing(http.client.HTTPConnection(self.server.behind, timeout=60)) as connection:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())

    def reply(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        length = str(len(answer.body))
        for name, value in answer.headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            self.reset()

    def reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Tests have no use for it."""


@contextmanager
def troublemaker(behind: str) -> Iterator[Troublemaker]:
    """A proxy that makes no trouble yet, before the server at the URL `behind`."""
    with Server(behind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.made
        finally:
            server.shutdown()
            thread.join()
