"""A real server process over the site in `served`, and clients that behave badly."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

THREADS = 8
SLOTS = 4
IDLE = 1  # seconds, as the server is told


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client(socket.socket):
    """A connection to the server."""

    def say(self, text: str, body: bytes = b"") -> None:
        """Sends a head, whose lines end as Python's do, and what follows it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sendall(text.replace("\n", "\r\n").encode() + body)

    def answer(self, method: str = "GET") -> Answer:
        response = HTTPResponse(self, method=method)
        response.begin()
        body = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        received = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := self.recv(65536):
                received += data
        return bytes(received)

    def is_closed(self) -> bool:
        """The server closes, having said nothing."""
        return self.rest() == b""

    def reset(self) -> None:
        """Vanishes with a RST."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log: Path

    def connect(self, timeout: float = 10, **options: int) -> Client:
        client = Client(socket.AF_INET, socket.SOCK_STREAM)
        for name, value in options.items():
            client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        client.settimeout(timeout)
        client.connect(self.address)
        return client

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """One request on its own connection."""
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with self.connect() as client:
            client.say("\n".join(lines) + "\n\n", body)
            return client.answer(method)

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask("GET", "/state").body)
        return answer

    def until(self, **expected: Any) -> dict[str, Any]:
        """The process's state once it is as expected; what it is then, when that does not come true."""
        seen: list[str] = []
        deadline = time.monotonic() + 5
        while True:
            state = self.state()
            state["outcomes"] = seen = seen + state["outcomes"]
            if all(state[name] == value for name, value in expected.items()) or time.monotonic() > deadline:
                return state
            time.sleep(0.02)

    def latency(self) -> float:
        """Seconds a small request takes on a new connection."""
        began = time.monotonic()
        assert self.ask("GET", "/hello").body == b"hello"
        return time.monotonic() - began

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextlib.contextmanager
def running(directory: Path, *options: str, **variables: str) -> Iterator[Server]:
    """A server with one process; it is gone afterwards, and must not have logged an error."""
    log = directory / "log"
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    environment = {
        **os.environ,
        "HARBORLITE_WEB_PROCESSES": "1",
        "HARBORLITE_WEB_THREADS": str(THREADS),
        "HARBORLITE_IDLE_SECONDS": str(IDLE),
        "HARBORLITE_BIND": f"fd://{listener.fileno()}",
        **variables,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:harborlite.gunicorn_conf"]
    command += ["--worker-class", "tests.harborlite.served.HastyWorker", *options, "tests.harborlite.served"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()], stderr=output)
    server = Server(process, listener.getsockname(), log)
    try:
        with listener:
            assert server.latency() < 10
        yield server
    finally:
        server.stop()
    logged = log.read_text(encoding="utf-8")
    assert "Traceback" not in logged, logged
