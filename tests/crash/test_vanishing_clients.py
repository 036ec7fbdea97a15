"""Clients and workers that are gone in the middle of an upload or a download (F-01, F-19).

Nothing short is taken for whole, the session tells what it holds and goes on from there, and the server keeps
answering.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.crash.conftest import IDLE
from tests.crash.scene import Scene, Sending, assert_blob, offset_of
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.product import wait_for

HELD = 10_000  # bytes acknowledged before
SENT = 100_000  # bytes of the request whose end never comes
CONTENT = HELD + 2 * SENT
CLOSE_WAIT = "08"  # /proc/net/tcp: the client closed, we did not


class Upload:
    """A blob on its way: HELD bytes are acknowledged, the next SENT are under way, of a request that has twice that."""

    def __init__(self, scene: Scene, client: Client, repository: str, method: str, *, is_chunked: bool) -> None:
        self.scene, self.client, self.repository = scene, client, repository
        self.content = unique(CONTENT)
        self.digest = sha256(self.content)
        self.held = HELD if method != "POST" else 0
        rest = self.content[self.held :]
        if method == "POST":
            self.location = ""
            path = f"/v2/{repository}/blobs/uploads/?digest={self.digest}"
        else:
            self.location = client.session_of(repository)
            assert client.append(self.location, self.content[:HELD]).status == 202
            path = self.location if method == "PATCH" else f"{self.location}?digest={self.digest}"
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(rest)}"
        before = scene.stored(self.location)
        self.sending = Sending(client, method, path, client.tokens[repository, "push"], framing)
        self.sending.send(f"{len(rest):x}\r\n".encode() if is_chunked else b"")
        self.sending.send(rest[:SENT])
        wait_for("it is being written", lambda: scene.stored(self.location) > before)

    def assert_absent(self) -> None:
        assert self.client.head_blob(self.repository, self.digest).status == 404

    def complete(self, offset: int) -> None:
        """The client goes on behind `offset`, and the blob is what it should be."""
        rest = self.content[offset:]
        where = {"content_range": f"{offset}-{CONTENT - 1}"} if offset else {}
        location = self.location or self.client.session_of(self.repository)
        answer = self.client.finish(location, self.digest, rest, **where)
        assert answer.status == 201, answer
        assert_blob(self.client, self.repository, self.digest, self.content)


@pytest.fixture
def client(scene: Scene, repository: str) -> Client:
    return scene.crowd(repository, 1)[0]


@pytest.fixture(autouse=True)
def _sound_and_tidy(scene: Scene) -> Iterator[None]:
    yield
    scene.assert_tidy()


@pytest.mark.parametrize(("method", "is_chunked"), [("PATCH", True), ("PATCH", False), ("PUT", True), ("POST", False)])
def test_worker_killed_in_the_middle_of_a_trickle(
    scene: Scene, client: Client, repository: str, method: str, is_chunked: bool
) -> None:
    """F-01"""
    upload = Upload(scene, client, repository, method, is_chunked=is_chunked)
    with upload.sending as sending:
        scene.server.kill_web_workers()
        assert sending.answer() is None
    upload.assert_absent()
    if upload.location:
        assert offset_of(client, upload.location) == HELD
    upload.complete(upload.held)
    scene.wait_until_whole()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
@pytest.mark.parametrize("how", ["half-closed", "closed", "reset"])
def test_client_gone_in_the_middle(
    scene: Scene, client: Client, repository: str, how: str, method: str, is_chunked: bool
) -> None:
    """F-19: FIN, with and without somebody who still listens, and RST."""
    upload = Upload(scene, client, repository, method, is_chunked=is_chunked)
    with upload.sending as sending:
        if how == "reset":
            sending.reset()
        elif how == "half-closed":
            sending.half_close()
            answer = sending.answer()
            assert answer is not None
            assert (answer.status, answer.codes) == (400, ["BLOB_UPLOAD_INVALID"])
    upload.assert_absent()
    offset = upload.held
    if method == "PATCH":  # what had arrived is kept
        wait_for("the offset is written", lambda: offset_of(client, upload.location) > HELD)
        offset = offset_of(client, upload.location)
        assert offset <= HELD + SENT
    upload.complete(offset)


CUTS = {
    "in a chunk": b"1000\r\n" + b"x" * 100,
    "behind a chunk": b"10\r\n" + b"x" * 16 + b"\r\n",
    "in the line of a chunk": b"10\r\n" + b"x" * 16 + b"\r\n1",
    "before the last line": b"10\r\n" + b"x" * 16 + b"\r\n0\r\n",
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_chunked_body_without_its_end(client: Client, repository: str, method: str, cut: str) -> None:
    """F-19: never a success, though for a PUT all bytes of the digest may be there."""
    received = b"x" * CUTS[cut].count(b"x")
    location = client.session_of(repository)
    path = location if method == "PATCH" else f"{location}?digest={sha256(received)}"
    token = client.tokens[repository, "push"]
    with Sending(client, method, path, token, "Transfer-Encoding: chunked") as sending:
        sending.send(CUTS[cut])
        sending.half_close()
        answer = sending.answer()
        assert answer is None or answer.status == 400, answer
    assert client.head_blob(repository, sha256(received)).status == 404
    offset = offset_of(client, location)
    assert offset in (0, len(received)) if method == "PATCH" else offset == 0
    assert client.finish(location, sha256(received), received[offset:]).status == 201
    assert client.get_blob(repository, sha256(received)).body == received


def test_silent_clients_are_cut(scene: Scene, client: Client, repository: str) -> None:
    """F-19, half-open: nothing says that they are gone."""
    with ExitStack() as stack:
        uploads = []
        for method in ("PATCH", "PUT", "POST"):
            for is_chunked in (False, True):
                upload = Upload(scene, client, repository, method, is_chunked=is_chunked)
                stack.enter_context(upload.sending).wire.settimeout(3 * IDLE)
                uploads.append((method, upload))
        for method, upload in uploads:
            answer = upload.sending.answer()
            assert answer is None or answer.status == 408, answer
            upload.assert_absent()
            if method == "PATCH":
                assert offset_of(client, upload.location) == HELD + SENT
            upload.complete(upload.held if method != "PATCH" else HELD + SENT)


def test_gone_clients_leave_room_for_others(scene: Scene, client: Client, repository: str) -> None:
    """More of them than the server takes at a time, one crowd after the other: none keeps a thread or a connection."""
    for _ in range(3):
        crowd_comes_and_goes(scene, client, repository)
    port = urlsplit(scene.server.url).port
    wait_for("no connection is left half closed", lambda: not connections_of(port, CLOSE_WAIT))
    assert client.push_blob(repository, unique(CONTENT))


def crowd_comes_and_goes(scene: Scene, client: Client, repository: str) -> None:
    """50 clients are in the middle of a request at a time, then gone, and the server is through with them."""
    sendings = {}
    for _ in range(50):
        location, token = client.session_of(repository), client.tokens[repository, "push"]
        sendings[location] = Sending(client, "PATCH", location, token, f"Content-Length: {2 * SENT}")
        sendings[location].send(unique(SENT))
    wait_for("all are being written", lambda: all(scene.stored(location) for location in sendings))
    for number, sending in enumerate(sendings.values()):
        sending.reset() if number % 2 else sending.wire.close()
    wait_for("the offsets are written", lambda: all(offset_of(client, location) for location in sendings))


def test_client_gone_in_the_middle_of_a_download(scene: Scene, client: Client, repository: str) -> None:
    content = unique(8 << 20)
    path = f"/v2/{repository}/blobs/{client.push_blob(repository, content)}"
    for number in range(20):
        sending = Sending(client, "GET", path, client.tokens[repository, "push"])
        assert sending.wire.recv(1000).startswith(b"HTTP/1.1 200 ")
        sending.reset() if number % 2 else sending.wire.close()
    wait_for("no connection is left half closed", lambda: not connections_of(urlsplit(client.url).port, CLOSE_WAIT))
    assert_blob(client, repository, sha256(content), content)


def connections_of(port: int | None, state: str) -> list[str]:
    """This machine's IPv4 connections whose own end has this port, in this state."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [row[2] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == state]
