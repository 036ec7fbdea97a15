"""The web server against clients of every kind, over real sockets (F-18, F-19, S-131, S-140, S-141, S-166)."""

import contextlib
import json
import resource
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harborlite.running import SLOTS, THREADS, Client, Server, running

PROMPT = 0.25  # seconds a healthy client may wait while others misbehave
GET = "GET /hello HTTP/1.1\nHost: x\n\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    """After each test no transfer slot is taken and the next client is served at once."""
    yield
    assert server.until(slots=SLOTS)["slots"] == SLOTS
    assert server.latency() < PROMPT


@pytest.fixture
def crowd(server: Server) -> Iterator[list[Client]]:
    """More clients than the server has threads."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(2 * THREADS)]


# What is not HTTP.


def test_tls_is_refused_at_once(server: Server) -> None:
    context = ssl.create_default_context()
    times = []
    for _ in range(5):
        with server.connect() as client:
            began = time.monotonic()
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(client, server_hostname="localhost", do_handshake_on_connect=True)
            times.append(time.monotonic() - began)
    assert statistics.median(times) < 0.05


def test_tls_clients_are_told_in_http(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
        assert client.rest().startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /upload HTTP/1.1\nHost: x\nContent-Length: 4\nTransfer-Encoding: chunked\n\n", 400),
        ("POST /upload HTTP/1.1\nHost: x\nTransfer-Encoding: chunked, identity\n\n", 400),
        ("POST /upload HTTP/1.1\nHost: x\nTransfer-Encoding: x\n\n", 501),
        ("POST /upload HTTP/1.1\nHost: x\nContent-Length: 4\nContent-Length: 5\n\n", 400),
        ("POST /upload HTTP/1.1\nHost: x\nContent-Length: +4\n\n", 400),
        ("POST /upload HTTP/1.0\nHost: x\nTransfer-Encoding: chunked\n\n", 400),
        ("GET /hello HTTP/1.1\nHost: x\nA: b\n c\n\n", 400),
        ("GET /hello HTTP/1.1\nHost: x\nHost: y\n\n", 400),
        ("GET /hello HTTP/1.1\nHost : x\n\n", 400),
        ("GET /hello HTTP/3.1\nHost: x\n\n", 400),
        ("GET hello HTTP/1.1\nHost: x\n\n", 400),
        ("GET /hello HTTP/1.1\nHost: x\nExpect: tea\n\n", 417),
        ("\n\n", 400),
        (f"GET /{'a' * 9000} HTTP/1.1\nHost: x\n\n", 414),
        (f"GET /{'a' * 65536}", 414),
        (f"GET /hello HTTP/1.1\nHost: x\nA: {'b' * 20_000}\n\n", 431),
        ("GET /hello HTTP/1.1\nHost: x\n" + "A: b\n" * 5000 + "\n", 431),
        ("GET /hello HTTP/1.1\nHost: x\n" + "A: b\n" * 20_000, 431),
    ],
)
def test_bad_head_is_refused_at_once_and_ends_the_connection(server: Server, head: str, status: int) -> None:
    began = time.monotonic()
    with server.connect() as client:
        client.say(head + GET)
        answers = client.rest()
    assert answers.startswith(f"HTTP/1.1 {status} ".encode())
    assert answers.count(b"Server: ") == 1
    assert json.loads(answers.partition(b"\r\n\r\n")[2])["errors"]
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("text", ["GET /hello HTTP/1.1\nHost: x\n\n", "GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"])
def test_bare_line_feeds_are_refused_at_once(server: Server, text: str) -> None:
    with server.connect(timeout=0.5) as client:
        client.sendall(text.encode())
        assert client.rest().startswith(b"HTTP/1.1 400 ")


# Requests in all the ways they may arrive.


def test_requests_share_a_connection(server: Server) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.say(GET)
            answer = client.answer()
            assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"hello", "keep-alive")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as client:
        put = "PUT /upload HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc"
        chunks = "PUT /manifest HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n2\nab\n0\n\n"
        client.say(GET + put + chunks + GET.replace("\n\n", "\nConnection: close\n\n"))
        said = client.rest()
    assert said.count(b"HTTP/1.1 200 OK") == 4
    assert said.index(b"hello") < said.index(b'"received": 3') < said.index(b'"received": 2') < said.rindex(b"hello")


def test_a_head_may_come_byte_by_byte(server: Server) -> None:
    with server.connect() as client:
        for byte in GET.replace("\n", "\r\n").encode():
            client.sendall(bytes([byte]))
        assert client.answer().body == b"hello"


def test_a_body_may_come_byte_by_byte(server: Server) -> None:
    with server.connect() as client:
        for (
            byte
        ) in b"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n":
            client.sendall(bytes([byte]))
        assert json.loads(client.answer().body)["received"] == 3
        client.say(GET)
        assert client.answer().body == b"hello"


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    with server.connect() as client:
        client.say("GET /hello HTTP/1.0\n\n")
        assert client.rest().endswith(b"\r\n\r\nhello")


def test_the_application_can_close(server: Server) -> None:
    with server.connect() as client:
        client.say("GET /leave HTTP/1.1\nHost: x\n\n" + GET)
        answers = client.rest()
    assert b"Connection: close" in answers
    assert answers.endswith(b"bye")


def test_the_server_tells_its_name_and_no_version(server: Server) -> None:
    answer = server.ask("GET", "/hello")
    assert answer.headers["server"] == "harborlite"


def test_environ_is_what_was_sent(server: Server) -> None:
    answer = server.ask(
        "GET", "/echo?a=%2F", X_A="1", x_a="2", X_Forwarded_Proto="https", User_Agent="t", Cookie="a=1", cookie="b=2"
    )
    environ = json.loads(answer.body)
    assert environ["QUERY_STRING"] == "a=%2F"
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["SERVER_PORT"] == str(server.address[1])
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["scheme"] == "http", "nobody said that this peer is a trusted proxy"


def test_trusted_proxy_tells_the_scheme(tmp_path: Path) -> None:
    with running(tmp_path, HARBORLITE_TRUSTED_PROXIES="10.0.0.0/8,127.0.0.1") as own:
        for scheme in ("https", "http", "https"):
            environ = json.loads(own.ask("GET", "/echo", X_Forwarded_Proto=scheme).body)
            assert environ["scheme"] == scheme


def test_an_answer_of_a_failing_application_is_500(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="boom"), running(tmp_path) as own:  # noqa: PT012 - the log tells at the end
        assert own.ask("GET", "/boom").status == 500
        assert own.ask("GET", "/hello").status == 200


# Slow and silent clients.


def test_slow_heads_delay_nobody(server: Server, crowd: list[Client]) -> None:
    """F-18, S-141"""
    for client in crowd:
        client.say("GET /hello HTTP/1.1\nHost: x\nA: ")
    latencies = []
    for _ in range(10):
        for client in crowd:
            client.say("b")
        latencies.append(server.latency())
    assert max(latencies) < PROMPT
    assert crowd[0].answer().status == 408
    for client in crowd[1:]:
        assert client.rest().startswith(b"HTTP/1.1 408 ")


def test_a_slow_second_head_delays_nobody(server: Server, crowd: list[Client]) -> None:
    for client in crowd:
        client.say(GET)
        assert client.answer().status == 200
        client.say("GET /hel")
    assert server.latency() < PROMPT
    for client in crowd:
        assert client.answer().status == 408


def test_silent_connections_are_closed_without_a_word(server: Server, crowd: list[Client]) -> None:
    assert server.latency() < PROMPT
    for client in crowd:
        assert client.is_closed()


def test_stalled_small_bodies_delay_nobody_and_are_cut(server: Server, crowd: list[Client]) -> None:
    for client in crowd:
        client.say("POST /manifest HTTP/1.1\nHost: x\nContent-Length: 100\n\n{")
    assert server.latency() < PROMPT
    for client in crowd:
        assert client.answer().status == 408


def test_small_body_cut_short_is_refused(server: Server) -> None:
    with server.connect() as client:
        client.say("POST /manifest HTTP/1.1\nHost: x\nContent-Length: 100\n\n{")
        client.shutdown(1)
        assert client.answer().status == 400
    assert "manifest" not in server.state()["outcomes"]


def test_answers_not_taken_delay_nobody(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * THREADS):
            client = stack.enter_context(server.connect(SO_RCVBUF=4096))
            client.say("GET /large?length=900000 HTTP/1.1\nHost: x\n\n" * 20)
        time.sleep(0.1)
        assert server.latency() < PROMPT
        assert server.until(sockets=2)["sockets"] == 2, "the listener, and the connection that asks"


def test_a_thousand_kept_alive_connections(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(1000):
                clients.append(stack.enter_context(server.connect()))
                clients[-1].say(GET)
                assert clients[-1].answer().status == 200
            assert server.latency() < PROMPT
            for client in clients:
                client.say(GET)
            assert all(client.answer().body == b"hello" for client in clients)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_make_room_for_new_ones(tmp_path: Path) -> None:
    with running(tmp_path, "--worker-connections", "10") as own, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(30):
            clients.append(stack.enter_context(own.connect()))
            clients[-1].say(GET)
            assert clients[-1].answer().status == 200
        assert clients[0].is_closed()
        clients[-1].say(GET)
        assert clients[-1].answer().status == 200


# Stopping.


def test_stop_finishes_running_requests(tmp_path: Path) -> None:
    with running(tmp_path) as own, own.connect() as napping, own.connect() as idle, own.connect() as sending:
        idle.say(GET)
        assert idle.answer().headers["connection"] == "keep-alive"
        napping.say("GET /nap?seconds=1 HTTP/1.1\nHost: x\n\n")
        sending.say("PUT /upload HTTP/1.1\nHost: x\nContent-Length: 200000\n\n", b"x" * 100_000)
        time.sleep(0.3)
        began = time.monotonic()
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(own.stop()))
        stopping.start()
        time.sleep(0.1)
        idle.say(GET)
        assert idle.answer().headers["connection"] == "close"
        sending.sendall(b"x" * 100_000)
        assert json.loads(sending.answer().body)["received"] == 200_000
        answer = napping.answer()
        assert (answer.body, answer.headers["connection"]) == (b"rested", "close")
        stopping.join()
        assert stopped == [0]
        assert time.monotonic() - began < 5


def test_stop_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    with running(tmp_path) as own, own.connect() as idle:
        idle.say(GET)
        assert idle.answer().status == 200
        began = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - began < 2


def test_stop_gives_up_after_the_graceful_timeout(tmp_path: Path) -> None:
    with running(tmp_path, "--graceful-timeout", "1") as own, own.connect() as client:
        client.say("GET /nap?seconds=30 HTTP/1.1\nHost: x\n\n")
        time.sleep(0.2)
        began = time.monotonic()
        own.stop()
        assert time.monotonic() - began < 4
