"""Bytes on a socket: what a hostile or broken client sends, and what it gets."""

import contextlib
import re
import socket

from tests.factories import World

REFUSALS = range(400, 500)


def host_of(world: World) -> str:
    return world.url.removeprefix("http://")


def head_of(world: World, method: str, path: str, token: str, *headers: str) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", f"Host: {host_of(world)}", f"Authorization: Bearer {token}", *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def send(wire: socket.socket, data: bytes) -> None:
    """Sends as much as is taken: a refusal may come first."""
    with contextlib.suppress(OSError):
        wire.sendall(data)


def everything(wire: socket.socket) -> bytes:
    """All the server says until it closes, or falls silent for the socket's timeout."""
    received = b""
    wire.settimeout(1.5)
    with contextlib.suppress(OSError):
        while piece := wire.recv(65536):
            received += piece
    return received


def status_of(wire: socket.socket) -> int | None:
    """The first answer's status; None when the connection was closed without one."""
    received = b""
    try:
        while b"\r\n" not in received and (piece := wire.recv(65536)):
            received += piece
    except ConnectionError:
        pass
    match = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    return int(match[1]) if match else None
