"""Requests that are none, or more than one (S-140, S-166, S-169)."""

import re
import time
from collections.abc import Iterator

import pytest

from tests.factories import World
from tests.images import (
    Image,
    sha256,
    unique,
)
from tests.protocol.sockets import REFUSALS, everything, head_of, host_of, send, status_of
from tests.wire import bearer, connect, raw


@pytest.fixture(autouse=True)
def server_stays_well(world: World) -> Iterator[None]:
    """After each attack the next client is served as before."""
    yield
    started = time.monotonic()
    assert raw(world.url, "GET", "/v2/").status == 401
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "request_line",
    ["GET /" + "a" * 65_536, "GET /v2/?" + "a=1&" * 20_000, "GET /v2/" + "a/" * 30_000, "A" * 10_000 + " /"],
    ids=["path", "query", "depth", "method"],
)
def test_very_long_request_line(world: World, request_line: str) -> None:
    """S-140"""
    with connect(world.url, timeout=10) as wire:
        send(wire, f"{request_line} HTTP/1.1\r\nHost: {host_of(world)}\r\n\r\n".encode())
        status = status_of(wire)
        assert status is None or status in REFUSALS


@pytest.mark.parametrize("header", ["X-{0}: a", "X-Same: a", "Cookie: a{0}=b"])
def test_five_thousand_headers(world: World, header: str) -> None:
    """S-140"""
    lines = "".join(header.format(number) + "\r\n" for number in range(5000))
    with connect(world.url, timeout=10) as wire:
        send(wire, f"GET /v2/ HTTP/1.1\r\nHost: {host_of(world)}\r\n{lines}\r\n".encode())
        status = status_of(wire)
        assert status is None or status in REFUSALS


def test_header_that_does_not_end(world: World) -> None:
    """S-140"""
    with connect(world.url, timeout=10) as wire:
        send(wire, f"GET /v2/ HTTP/1.1\r\nHost: {host_of(world)}\r\nX: ".encode() + b"a" * 1_000_000)
        status = status_of(wire)
        assert status is None or status in REFUSALS


FRAMINGS = {
    "S-166 both framings": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "S-166 both framings, other order": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "S-166 two lengths": "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "S-166 two encodings": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "S-166 chunked twice": "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "S-166 an unknown encoding": "Transfer-Encoding: x\r\n\r\nhello",
    "S-166 hidden encoding": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "S-166 encoding after a vertical tab": "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "S-166 a folded header": "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "S-166 no header name": ": a\r\nContent-Length: 0\r\n\r\n",
    "S-166 a NUL in a header": "X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "S-166 a bare carriage return": "X: a\rContent-Length: 9\r\nContent-Length: 0\r\n\r\n",
    "a bad chunk size": "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size of 100 digits": f"Transfer-Encoding: chunked\r\n\r\n{'f' * 100}\r\nhello\r\n0\r\n\r\n",
    "a chunk size in other digits": "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk without its end": "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("row", FRAMINGS)
def test_ambiguous_framing_is_refused(world: World, image: Image, row: str) -> None:
    """S-166: and the connection ends, so nothing behind it is taken for a request."""
    client = world.player()
    location = client.session_of(image.repository)
    held = client.token_text(f"repository:{image.repository}:pull,push")
    start = f"PATCH {location} HTTP/1.1\r\nHost: {host_of(world)}\r\nAuthorization: Bearer {held}\r\n"
    behind = f"GET /v2/ HTTP/1.1\r\nHost: {host_of(world)}\r\n\r\n"
    with connect(world.url, timeout=10) as wire:
        send(wire, (start + FRAMINGS[row] + behind).encode("latin-1"))
        answers = everything(wire)
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answers)]
    assert len(statuses) <= 1, answers
    assert all(status in (*REFUSALS, 501) for status in statuses)  # 501: RFC 9112 6.1, for an encoding not known
    if statuses:  # else the stream was cut: what had come of it may be kept
        assert client.request("GET", location).headers["Range"] == "0-0"


def test_bare_line_feeds_do_not_smuggle(world: World) -> None:
    """S-166"""
    text = f"GET /v2/ HTTP/1.1\nHost: {host_of(world)}\n\nGET /healthz HTTP/1.1\r\nHost: {host_of(world)}\r\n\r\n"
    with connect(world.url, timeout=5) as wire:
        send(wire, text.encode())
        wire.shutdown(1)
        assert b"HTTP/1.1 200" not in everything(wire)


@pytest.mark.parametrize(
    "line",
    [
        "GET /v2/",
        "GET /v2/ HTTP/9.9",
        "GET  /v2/ HTTP/1.1",
        "G\x00T /v2/ HTTP/1.1",
        "\x16\x03\x01\x02\x00",
        "get /v2/ http/1.1",
    ],
)
def test_what_is_no_request_line(world: World, line: str) -> None:
    """A TLS greeting among them: clients try that first (clients.md 6.1) and must be told at once."""
    started = time.monotonic()
    with connect(world.url, timeout=10) as wire:
        send(wire, f"{line}\r\nHost: {host_of(world)}\r\n\r\n".encode("latin-1"))
        status = status_of(wire)
        assert status is None or status in (*REFUSALS, 505)
    assert time.monotonic() - started < 2


def test_tls_greeting_is_answered_at_once(world: World) -> None:
    greeting = bytes.fromhex("16030100c8010000c40303") + unique(189)
    started = time.monotonic()
    with connect(world.url, timeout=10) as wire:
        wire.sendall(greeting)
        status_of(wire)
    assert time.monotonic() - started < 1


def test_request_without_a_host(world: World) -> None:
    for text in ("GET /v2/ HTTP/1.1\r\n\r\n", "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        with connect(world.url, timeout=5) as wire:
            send(wire, text.encode())
            status = status_of(wire)
            assert status is None or status in (*REFUSALS, 200)


def test_old_http(world: World) -> None:
    with connect(world.url, timeout=5) as wire:
        send(wire, f"GET /healthz HTTP/1.0\r\nHost: {host_of(world)}\r\n\r\n".encode())
        assert b" 200 " in everything(wire)[:20]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_other_origins_get_no_access(world: World, origin: str) -> None:
    """S-169"""
    for method in ("OPTIONS", "GET"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        answer = raw(world.url, method, "/v2/", headers)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_requests_in_a_row_get_answers_in_a_row(world: World, image: Image, token: str) -> None:
    """Pipelining: HEAD has no body, whatever GET would have."""
    paths = ["manifests/v1", "tags/list", f"blobs/{sha256(image.layers[0])}", f"referrers/{image.digest}"]
    text = b"".join(head_of(world, "HEAD", f"/v2/{image.repository}/{path}", token) for path in paths)
    text += head_of(world, "GET", f"/v2/{image.repository}/manifests/v1", token, "Connection: close")
    with connect(world.url, timeout=10) as wire:
        wire.sendall(text)
        answers = everything(wire)
    parts = answers.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(parts) == len(paths) + 1, answers
    assert all(part.endswith(b"\r\n\r\n") for part in parts[:-1])
    assert parts[-1].endswith(image.content)


def test_body_of_a_read_is_not_the_next_request(world: World, image: Image, token: str) -> None:
    inner = head_of(world, "DELETE", f"/v2/{image.repository}/manifests/v1", token)
    outer = head_of(world, "GET", f"/v2/{image.repository}/tags/list", token, f"Content-Length: {len(inner)}")
    last = head_of(world, "GET", f"/v2/{image.repository}/tags/list", token, "Connection: close")
    with connect(world.url, timeout=10) as wire:
        send(wire, outer + inner + last)
        everything(wire)
    assert raw(world.url, "HEAD", f"/v2/{image.repository}/manifests/v1", bearer(token)).status == 200
