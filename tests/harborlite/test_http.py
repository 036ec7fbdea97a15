"""Bodies and files over a real server: what arrives, what is cut, what is held (F-18, F-19, S-131)."""

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.harborlite.running import SLOTS, THREADS, Client, Server, running

PROMPT = 0.25  # seconds a healthy client may wait while others misbehave
SIZE = 48 * 1024 * 1024  # more than the sockets' buffers hold
GIB = 1 << 30
PUT = "PUT /upload HTTP/1.1\nHost: x\n"
CHUNKED = PUT + "Transfer-Encoding: chunked\n\n"


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(1).randbytes(SIZE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("http")
    file = directory / "blob"
    file.write_bytes(content)
    with running(directory, SERVED_FILE=str(file)) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    """After each test no file is open, no transfer slot is taken, and the next client is served at once."""
    server.state()
    yield
    state = server.until(slots=SLOTS, files=0)
    assert (state["slots"], state["files"], state["threads"]) == (SLOTS, 0, THREADS + 1)
    assert server.latency() < PROMPT


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# Uploads.


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 1_000_000, 10_000_000])
def test_body_with_a_length_arrives(server: Server, content: bytes, length: int) -> None:
    data = content[:length]
    answer = json.loads(server.ask("PUT", "/upload", data).body)
    assert answer == {"received": length, "declared": length, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(
    ("length", "size"),
    [(0, 1), (1, 1), (3_000, 1), (100_000, 7), (1_000_000, 32_768), (5_000_000, 65_535), (9_000_000, 3_000_000)],
)
def test_chunked_body_arrives_and_the_next_request_is_read(
    server: Server, content: bytes, length: int, size: int
) -> None:
    data = content[:length]
    with server.connect() as client:
        client.say(CHUNKED, chunked(data, size) + b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = client.rest()
    assert hashlib.sha256(data).hexdigest().encode() in said
    assert said.endswith(b"hello")


def test_body_is_read_by_any_wsgi_application(server: Server, content: bytes) -> None:
    assert json.loads(server.ask("PUT", "/read", content[:3_000_000]).body) == {"received": 3_000_000}
    with server.connect() as client:
        client.say("PUT /read HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", chunked(content[:3_000_000], 32_768))
        assert json.loads(client.answer().body) == {"received": 3_000_000}


def test_declared_length_over_the_limit_is_refused_unread(server: Server) -> None:
    """S-131: the terabyte is only announced."""
    with server.connect() as client:
        client.say("PUT /upload?limit=1000 HTTP/1.1\nHost: x\nContent-Length: 1000000000000\n\n")
        answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_chunked_body_over_the_limit_is_refused_where_it_passes_it(server: Server) -> None:
    with server.connect() as client:
        client.say("PUT /upload?limit=1000 HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", b"3e9\r\n" + bytes(1001))
        answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(("target", "length", "status"), [("/manifest", 100_000, 200), ("/manifest", 100_001, 413)])
def test_whole_body_up_to_its_limit(server: Server, target: str, length: int, status: int) -> None:
    assert server.ask("PUT", target, bytes(length)).status == status


@pytest.mark.parametrize(
    "body",
    [b"x\r\n", b"-1\r\n", b"3\r\nabcd\r\n", b"3;\x00\r\n", b"0x3\r\nabc\r\n", b"\r\n", b"3 \r\nabc\r\n", b"1" * 9000],
)
def test_broken_chunk_framing_is_refused(server: Server, body: bytes) -> None:
    with server.connect() as client:
        client.say(CHUNKED, b"2\r\nab\r\n" + body + b"0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        said = client.rest()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"Server: ") == 1


# Clients that leave, or stall (F-19).


def leave_by_fin(client: Client) -> None:
    client.close()


def leave_by_reset(client: Client) -> None:
    client.reset()


@pytest.mark.parametrize("leave", [leave_by_fin, leave_by_reset])
@pytest.mark.parametrize(
    ("head", "part", "outcome"),
    [
        (PUT + "Content-Length: 5000000\n\n", bytes(100_000), "Disconnected"),
        (CHUNKED, b"186a0\r\n" + bytes(100_000), "Disconnected"),
        (CHUNKED, b"186a0\r\n" + bytes(90_000), "Disconnected"),
        (CHUNKED, b"3\r\nabc\r\n", "Disconnected"),
        (CHUNKED, b"3\r\nabc\r\n0\r\n", "BadRequest"),
    ],
    ids=["length", "before CRLF", "in chunk", "between chunks", "in trailers"],
)
def test_client_that_leaves_mid_body_is_noticed(
    server: Server, leave: Callable[[Client], None], head: str, part: bytes, outcome: str
) -> None:
    client = server.connect()
    client.say(head, part)
    assert server.until(slots=SLOTS - 1)["slots"] == SLOTS - 1
    leave(client)
    if leave is leave_by_reset:
        outcome = "Disconnected"
    assert server.until(outcomes=[outcome])["outcomes"] == [outcome]


def test_client_that_ends_its_side_mid_body_is_told(server: Server) -> None:
    with server.connect() as client:
        client.say(PUT + "Content-Length: 5000000\n\n", bytes(100_000))
        client.shutdown(1)
        answer = client.answer()
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (400, "BLOB_UPLOAD_INVALID")


@pytest.mark.parametrize(
    "request_text",
    [PUT + "Content-Length: 5000000\n\n", CHUNKED, CHUNKED + "5\nab"],
    ids=["length", "chunked", "chunk"],
)
def test_stalled_body_is_cut(server: Server, request_text: str) -> None:
    with server.connect() as client:
        began = time.monotonic()
        client.say(request_text)
        assert client.answer().status == 408
        assert 0.9 < time.monotonic() - began < 2


def test_body_below_the_least_rate_is_cut(server: Server) -> None:
    with server.connect() as client:
        client.say(CHUNKED)
        began = time.monotonic()
        client.settimeout(0.1)
        while time.monotonic() - began < 4:
            client.say("1\na\n")
            with contextlib.suppress(TimeoutError):
                assert client.answer().status == 408
                break
        assert 0.9 < time.monotonic() - began < 2


def test_slow_body_above_the_least_rate_is_taken(server: Server) -> None:
    with server.connect() as client:
        client.say(PUT + "Content-Length: 100000\n\n")
        for _ in range(20):
            client.sendall(bytes(5000))
            time.sleep(0.1)
        assert json.loads(client.answer().body)["received"] == 100_000


def test_stalled_uploads_leave_threads_for_others(server: Server) -> None:
    """Slots: as many stalled uploads as threads. The first keep their places, the others are told to come again."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(THREADS)]
        for client in clients:
            client.say(CHUNKED)
        assert server.latency() < PROMPT
        assert server.until(slots=0)["slots"] == 0
        answers = [client.answer() for client in clients]
    refused = [answer for answer in answers if answer.status == 429]
    assert sorted(answer.status for answer in answers) == [408] * SLOTS + [429] * (THREADS - SLOTS)
    assert {(answer.headers["connection"], answer.headers["retry-after"]) for answer in refused} == {("close", "5")}


# Refusals before the body was read.


def test_client_that_expects_a_go_ahead_gets_it_once_the_body_is_read(server: Server) -> None:
    with server.connect() as client:
        client.say(PUT + "Content-Length: 100000\nExpect: 100-continue\n\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(bytes(100_000))
        assert json.loads(client.answer().body)["received"] == 100_000
        client.say(PUT + "Content-Length: 3\nExpect: 100-continue\n\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert json.loads(client.answer().body)["received"] == 3


def test_client_that_expects_a_go_ahead_is_refused_without_one(server: Server) -> None:
    with server.connect() as client:
        client.say("PUT /refuse HTTP/1.1\nHost: x\nContent-Length: 100000\nExpect: 100-continue\n\n")
        said = client.rest()
    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"Connection: close\r\n" in said


def test_connection_goes_on_after_a_small_body_nobody_read(server: Server) -> None:
    with server.connect() as client:
        client.say("PUT /refuse HTTP/1.1\nHost: x\nContent-Length: 60000\n\n", bytes(60_000))
        assert client.answer().headers["connection"] == "keep-alive"
        client.say("PUT /refuse HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n5\nabcde\n0\n\n")
        assert client.answer().headers["connection"] == "keep-alive"
        client.say("GET /hello HTTP/1.1\nHost: x\n\n")
        assert client.answer().body == b"hello"


@pytest.mark.parametrize("framing", [f"Content-Length: {GIB}\n\n", "Transfer-Encoding: chunked\n\n40000000\n"])
def test_client_that_sends_a_long_body_sees_its_refusal(server: Server, framing: str) -> None:
    """It has megabytes on the way when the answer comes, and must see the answer, not a reset."""
    with server.connect() as client:
        client.say("PUT /refuse HTTP/1.1\nHost: x\n" + framing, bytes(8_000_000))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_client_that_never_stops_sending_is_cut(server: Server) -> None:
    with server.connect() as client:
        client.say(f"PUT /refuse HTTP/1.1\nHost: x\nContent-Length: {GIB}\n\n")
        began, sent = time.monotonic(), 0
        with contextlib.suppress(ConnectionError):
            while sent < GIB:
                sent += client.send(bytes(1_000_000))
        assert sent < 200_000_000
        assert time.monotonic() - began < 3


# Downloads.


@pytest.mark.parametrize(
    ("query", "status", "start", "length"),
    [
        ("", 200, 0, SIZE),
        ("?start=0&length=1", 206, 0, 1),
        (f"?start=1000&length={SIZE - 1000}", 206, 1000, SIZE - 1000),
        (f"?start={SIZE - 1}", 206, SIZE - 1, 1),
        ("?start=70001&length=9000001", 206, 70001, 9_000_001),
    ],
)
def test_file_is_sent_exactly(server: Server, content: bytes, query: str, status: int, start: int, length: int) -> None:
    before = server.state()["sendfile"]
    answer = server.ask("GET", "/file" + query)
    assert (answer.status, answer.headers["content-length"]) == (status, str(length))
    assert answer.body == content[start : start + length]
    expected = None if status == 200 else f"bytes {start}-{start + length - 1}/{SIZE}"
    assert answer.headers.get("content-range") == expected
    assert server.state()["sendfile"] > before


def test_head_of_a_file_has_its_length_and_no_body(server: Server) -> None:
    with server.connect() as client:
        client.say("HEAD /file HTTP/1.1\nHost: x\n\n")
        answer = client.answer("HEAD")
        assert (answer.headers["content-length"], answer.headers["connection"]) == (str(SIZE), "keep-alive")
        client.say("GET /hello HTTP/1.1\nHost: x\n\n")
        assert client.answer().body == b"hello"


def test_empty_file_is_sent(server: Server) -> None:
    answer = server.ask("GET", "/file?length=0&total=0")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")


def test_requests_behind_a_download_are_answered_after_it(server: Server, content: bytes) -> None:
    with server.connect() as client:
        client.say("GET /file HTTP/1.1\nHost: x\n\n" * 2 + "GET /leave HTTP/1.1\nHost: x\n\n")
        said = client.rest()
    assert said.count(content) == 2
    assert said.endswith(b"bye")


def test_file_shorter_than_announced_ends_the_connection(server: Server, content: bytes) -> None:
    with server.connect() as client:
        client.say(f"GET /file?start={SIZE - 10}&total={SIZE + 10} HTTP/1.1\nHost: x\n\n")
        assert client.rest().endswith(b"\r\n\r\n" + content[-10:])


def test_stalled_downloads_hold_no_thread_and_are_cut(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * THREADS):
            client = stack.enter_context(server.connect(SO_RCVBUF=65536))
            client.say("GET /file HTTP/1.1\nHost: x\n\n")
            client.recv(1)
        state = server.until(files=2 * THREADS)
        assert (state["files"], state["slots"]) == (2 * THREADS, SLOTS)
        assert server.latency() < PROMPT
        assert server.until(files=0)["files"] == 0


def test_download_below_the_least_rate_is_cut(server: Server) -> None:
    with server.connect(SO_RCVBUF=2048) as client:
        client.say("GET /file HTTP/1.1\nHost: x\n\n")
        assert server.until(files=1)["files"] == 1
        deadline = time.monotonic() + 5
        while server.state()["files"] and time.monotonic() < deadline:
            client.recv(10)
            time.sleep(0.05)
        assert time.monotonic() < deadline


@pytest.mark.parametrize("leave", [leave_by_fin, leave_by_reset])
def test_downloader_that_vanishes_leaves_nothing(server: Server, leave: Callable[[Client], None]) -> None:
    client = server.connect(SO_RCVBUF=65536)
    client.say("GET /file HTTP/1.1\nHost: x\n\n")
    client.recv(1000)
    assert server.until(files=1)["files"] == 1
    leave(client)
    assert server.until(files=0)["files"] == 0


# Streams that are no files.


def test_stream_is_sent_with_flat_memory(server: Server) -> None:
    before = server.state()["peak_kib"]
    with server.connect() as client:
        client.say(f"GET /stream?length={GIB // 4} HTTP/1.1\nHost: x\nConnection: close\n\n")
        received = 0
        while data := client.recv(1 << 20):
            received += len(data)
    assert GIB // 4 < received < GIB // 4 + 1000
    state = server.until(outcomes=["stream", "closed"])
    assert state["outcomes"] == ["stream", "closed"]
    assert state["peak_kib"] - before < 16_384


def test_stalled_streams_leave_threads_for_others(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(SO_RCVBUF=65536)) for _ in range(THREADS)]
        statuses = []
        for client in clients:
            client.say(f"GET /stream?length={SIZE} HTTP/1.1\nHost: x\n\n")
            statuses.append(client.recv(12)[-3:])
        assert sorted(statuses) == [b"200"] * SLOTS + [b"429"] * (THREADS - SLOTS)
        assert server.latency() < PROMPT
        state = server.until(slots=SLOTS)
    assert state["outcomes"].count("closed") == THREADS


def test_stream_shorter_than_announced_ends_the_connection(server: Server) -> None:
    with server.connect() as client:
        client.say("GET /stream?length=100000&real=99999 HTTP/1.1\nHost: x\n\nGET /hello HTTP/1.1\nHost: x\n\n")
        said = client.rest()
    assert len(said.partition(b"\r\n\r\n")[2]) == 99_999
