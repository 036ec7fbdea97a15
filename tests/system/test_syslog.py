"""Events on their way to a syslog server: the messages (RFC 5424) and the sockets (RFC 5426, RFC 6587)."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from harborlite import origin
from harborlite.actors import Actor
from harborlite.origin import Origin
from system import events, syslog
from system.events import Artifact, emit, pulled
from system.models import Event
from system.services import configuration_update
from tests.factories import World
from tests.product import Serve, wait_for
from tests.rest.api import Api

ALICE = Actor(7, "alice", "user", is_admin=False, version=1)
FORM = re.compile(
    r"<(?P<priority>[0-9]{1,3})>1 (?P<at>[0-9T:.-]+Z) (?P<host>[!-~]+) harborlite (?P<process>[0-9]+) audit "
    r'\[event@32473(?P<facts>(?: [A-Za-z]+="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff(?P<text>.*)'
)


class TcpLog:
    """A syslog server over TCP that takes counted messages."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.endpoint = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.messages: list[str] = []
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._read, args=[connection], daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:  # it may be cut at any moment
            while count := b"".join(iter(lambda: stream.read(1).strip(), b"")):
                self.messages.append(stream.read(int(count)).decode())

    def close(self) -> None:
        for opened in (self.listener, *self.connections):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # which wakes the thread that waits there
            opened.close()


@pytest.fixture
def log() -> Iterator[TcpLog]:
    server = TcpLog()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _idle() -> Iterator[None]:
    events._outbox.clear()
    yield
    events._outbox.clear()
    events._sender.close()


def event(**values: Any) -> Event:
    return Event(
        **{
            "at": datetime(2026, 1, 2, 3, 4, 5, 600, UTC), "username": "alice", "address": "192.0.2.7",
            "request_id": "r-1", "operation": "create", "resource_type": "project", "resource": "demo",
            "description": "create project demo",
            "is_successful": True, **values,
        }
    )  # fmt: skip


def parsed(message: bytes | str) -> dict[str, str]:
    match = FORM.fullmatch(message if isinstance(message, str) else message.decode())
    assert match, message
    return match.groupdict()


def test_a_message_is_as_rfc_5424_has_it() -> None:
    told = parsed(syslog.message(event()))
    assert told["priority"] == "109"  # log audit, notice
    assert told["at"] == "2026-01-02T03:04:05.000600Z"
    assert told["facts"] == (
        ' user="alice" operation="create" resourceType="project" resource="demo" result="success"'
        ' address="192.0.2.7" requestId="r-1"'
    )
    assert told["text"] == "alice: create project demo"


def test_a_failure_is_a_warning() -> None:
    told = parsed(syslog.message(event(is_successful=False)))
    assert told["priority"] == "108"
    assert 'result="failure"' in told["facts"]


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a]b", "a\nb", "a\0b", "sn\N{SNOWMAN}w", "\u2028", "x" * 9000])
def test_nothing_in_an_event_can_break_its_message(text: str) -> None:
    message = syslog.message(event(username=text[:255], resource=text, description=text))
    parsed(message)
    assert len(message) <= syslog.MAX_BYTES
    assert b"\n" not in message


@pytest.mark.parametrize("scheme", ["", "tcp://"])
def test_events_are_forwarded_over_tcp(db: None, log: TcpLog, scheme: str) -> None:
    sender = syslog.Sender()
    for number in range(3):
        sender.send(scheme + log.endpoint, event(resource=f"demo{number}"))
    wait_for("three messages", lambda: len(log.messages) == 3)
    assert ['resource="demo0"' in message for message in log.messages] == [True, False, False]
    assert len(log.connections) == 1
    sender.close()


def test_events_are_forwarded_over_udp() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        sender = syslog.Sender()
        sender.send(f"udp://127.0.0.1:{server.getsockname()[1]}", event())
        assert parsed(server.recv(65536))["text"] == "alice: create project demo"
        sender.close()


def test_a_connection_that_broke_is_made_anew(log: TcpLog) -> None:
    sender = syslog.Sender()
    sender.send(log.endpoint, event())
    wait_for("a message", lambda: len(log.messages) == 1)
    log.connections[0].shutdown(socket.SHUT_RDWR)

    def is_through() -> bool:
        sender.send(log.endpoint, event(resource="later"))
        return len(log.connections) == 2

    wait_for("a second connection", is_through)
    wait_for("the message", lambda: any('resource="later"' in message for message in log.messages))
    sender.close()


def test_an_event_is_sent_when_its_change_is_committed(transactional_db: None, log: TcpLog) -> None:
    configuration_update(values={"audit_log_forward_endpoint": log.endpoint})
    with origin.began(Origin(ALICE, "192.0.2.7", "r-2")):
        emit("create", "user", "bob")
        pulled(Artifact(3, 5, 11, "demo/app", "v1", "sha256:00"), ALICE, "192.0.2.7", "r-3")
    events.flush()
    wait_for("both", lambda: len(log.messages) == 2)
    assert [parsed(message)["text"] for message in log.messages] == [
        "alice: create user with name: bob",
        "alice: pull artifact with name: demo/app:v1",
    ]


def test_events_may_be_forwarded_alone(transactional_db: None, log: TcpLog) -> None:
    configuration_update(values={"audit_log_forward_endpoint": log.endpoint, "skip_audit_log_database": True})
    Event.objects.all().delete()
    emit("create", "user", "bob")
    pulled(Artifact(3, 5, 11, "demo/app", "v1", "sha256:00"), ALICE, "", "")
    events.flush()
    wait_for("both", lambda: sum("bob" in message or "demo/app" in message for message in log.messages) == 2)
    assert not Event.objects.exists()


def test_events_wait_for_a_server_that_is_away(
    transactional_db: None, log: TcpLog, caplog: pytest.LogCaptureFixture
) -> None:
    configuration_update(values={"audit_log_forward_endpoint": log.endpoint})
    port = log.listener.getsockname()[1]
    log.close()
    emit("create", "user", "bob")
    emit("create", "user", "eve")
    assert "2 events wait to be forwarded" in caplog.text
    again = TcpLog(port)
    events.flush()
    wait_for("both", lambda: len(again.messages) == 2)
    again.close()


def test_the_server_forwards_what_is_done_over_http_and_answers_when_nobody_takes_it(log: TcpLog) -> None:
    """A server of its own, for the others are not to forward."""
    with Serve() as server:
        world = World(server.url, server.env, server.admin_password)
        admin = Api(server.url, world.admin_account)
        admin.done("PUT", "/configurations", {"audit_log_forward_endpoint": log.endpoint})
        admin.done("PUT", "/configurations", {"session_timeout": 61})
        wait_for("a message", lambda: any("session_timeout" in message for message in log.messages))
        told = parsed(log.messages[0])
        assert 'user="admin"' in told["facts"]
        assert 'address="127.0.0.1"' in told["facts"]
        log.close()
        for minutes in range(40, 45):
            admin.done("PUT", "/configurations", {"token_expiration": minutes})
        world.close()
