"""The one way out: redirects, credentials, sizes, times, tries, and connections to checked addresses only."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from remotes import watch
from remotes.errors import RemoteBlocked, RemoteError, RemoteInvalid, RemoteUnavailable
from remotes.http import Outbound, answers, connections
from tests.remote_acts import cut, delay, drip, hang_up, lie, status
from tests.remote_fake import FakeRegistry
from tests.remotes.certificates import Authority

HEADER = "Basic c2VjcmV0"
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "::1"])


@pytest.fixture
def http(pauses: list[float]) -> Iterator[Outbound]:
    with Outbound(pause=pauses.append) as made:
        yield made


# Where to.


def test_an_answer(fake: FakeRegistry, http: Outbound) -> None:
    reply = http.ask("GET", f"{fake.url}/v2/", authorization=HEADER)
    assert (reply.status, reply.content) == (200, b"{}")
    assert fake.seen()[0].authorization == HEADER
    assert fake.seen()[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "localhost.", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_nothing_is_sent_where_nobody_may_connect(http: Outbound, host: str) -> None:
    """Whatever was said of them before, at the connection itself."""
    with FakeRegistry() as fake:
        with pytest.raises((RemoteBlocked, RemoteUnavailable)):  # not every resolver knows every spelling
            http.ask("GET", f"http://{host}:{fake.port}/v2/", tries=1)
        assert fake.count() == 0


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    fake: FakeRegistry, http: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes between the check and the connection changes nothing."""
    asked = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(connections.socket, "getaddrinfo", rebinding)
    assert http.ask("GET", f"http://rebinding.example:{fake.port}/v2/").status == 200
    assert asked == ["rebinding.example"]


def test_a_name_with_one_private_address_is_blocked(http: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(connections.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RemoteBlocked):
        http.ask("GET", "https://two-faced.example/v2/")


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "unix:/run/x.sock", "http:///v2/", "//x/v2/",
     "http://user:secret@127.0.0.1/", "http://127.0.0.1 /", "http://127.0.0.1\r\nX: y/", "http://127.0.0.1\t/",
     "http://127.0.0.1\\@example.com/", "http://exämple.com/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/"],
)  # fmt: skip
def test_addresses_that_are_none(http: Outbound, url: str) -> None:
    with pytest.raises(RemoteInvalid):
        http.ask("GET", url)


def test_the_environment_has_no_say(fake: FakeRegistry, http: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert http.ask("GET", f"{fake.url}/v2/").status == 200


def test_connections_are_used_again(fake: FakeRegistry, http: Outbound) -> None:
    for method, path in (("GET", "/v2/"), ("HEAD", "/v2/"), ("GET", "/v2/nothing"), ("POST", "/v2/a/blobs/uploads/")):
        http.ask(method, f"{fake.url}{path}")
    with http.open("GET", f"{fake.url}/v2/") as stream:
        assert list(stream) == [b"{}"]
    http.ask("GET", f"{fake.url}/v2/")
    assert len({asked.port for asked in fake.seen()}) == 1


def test_cookies_are_not_kept(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("GET", "/v2/", lie(Set_Cookie="session=1"))
    for _ in range(2):
        http.ask("GET", f"{fake.url}/v2/")
    assert [asked.headers.get("Cookie") for asked in fake.seen()] == [None, None]


# Redirects.


def test_a_redirect_on_the_same_host_keeps_credentials(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("GET", "/old", status(307, Location="/v2/"))
    reply = http.ask("GET", f"{fake.url}/old", authorization=HEADER)
    assert (reply.status, reply.url) == (200, f"{fake.url}/v2/")
    assert [asked.authorization for asked in fake.seen()] == [HEADER, HEADER]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_loses_credentials_for_good(fake: FakeRegistry, http: Outbound, code: int) -> None:
    """Also on the way back."""
    with FakeRegistry(host="127.0.0.2") as other:
        fake.rule("GET", "/old", status(code, Location=f"{other.url}/there"))
        other.rule("GET", "/there", status(code, Location=f"{fake.url}/v2/"))
        assert http.ask("GET", f"{fake.url}/old", authorization=HEADER).status == 200
        assert [asked.authorization for asked in (*fake.seen(), *other.seen())] == [HEADER, "", ""]


def test_another_port_is_another_origin(fake: FakeRegistry, http: Outbound) -> None:
    with FakeRegistry() as other:
        fake.rule("GET", "/old", status(302, Location=f"{other.url}/v2/"))
        http.ask("GET", f"{fake.url}/old", authorization=HEADER)
        assert other.seen()[0].authorization == ""


def test_a_redirect_to_where_nobody_may_connect(fake: FakeRegistry, http: Outbound, settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = [f"127.0.0.1:{fake.port}"]
    with FakeRegistry() as inner:
        for target in (f"{inner.url}/v2/", "http://169.254.169.254/latest/", "http://[::1]/"):
            fake.rule("GET", "/old", status(302, Location=target), times=1)
            with pytest.raises(RemoteBlocked):
                http.ask("GET", f"{fake.url}/old")
        assert inner.count() == 0


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/"])
def test_a_redirect_to_no_address(fake: FakeRegistry, http: Outbound, target: str) -> None:
    fake.rule("GET", "/old", status(302, Location=target))
    with pytest.raises(RemoteInvalid):
        http.ask("GET", f"{fake.url}/old")


def test_redirects_end(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("GET", "/round", status(302, Location="/round"))
    with pytest.raises(RemoteInvalid, match="more than 5 times"):
        http.ask("GET", f"{fake.url}/round")
    assert fake.count() == 6


def test_only_reading_follows_redirects(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("*", "/old", status(307, Location="/v2/"))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert http.ask(method, f"{fake.url}/old", body=b"x").status == 307
    assert fake.count("*", "/v2/") == 0


def test_https_is_never_left_for_http(loopback: None, authority: Authority, fake: FakeRegistry) -> None:
    with FakeRegistry(tls=authority.context) as secure, Outbound(ca_certificate=authority.pem) as http:
        secure.rule("GET", "/old", status(302, Location=f"{fake.url}/v2/"))
        with pytest.raises(RemoteInvalid, match="from https to http"):
            http.ask("GET", f"{secure.url}/old")
    assert fake.count() == 0


# Certificates.


def test_who_is_trusted(loopback: None, authority: Authority, pauses: list[float]) -> None:
    with FakeRegistry(tls=authority.context) as secure:
        for options, is_trusted in (
            ({}, False),
            ({"ca_certificate": Authority().pem}, False),
            ({"ca_certificate": authority.pem}, True),
            ({"insecure": True}, True),
        ):
            with Outbound(pause=pauses.append, **options) as http:  # type: ignore[arg-type]  # a table
                if is_trusted:
                    assert http.ask("GET", f"{secure.url}/v2/").status == 200
                else:
                    with pytest.raises(RemoteUnavailable):
                        http.ask("GET", f"{secure.url}/v2/")


def test_a_certificate_of_another_name_is_not_trusted(loopback: None, authority: Authority) -> None:
    with (
        FakeRegistry(tls=authority.context, host="127.0.0.2") as secure,
        Outbound(ca_certificate=authority.pem) as http,
        pytest.raises(RemoteUnavailable),
    ):
        http.ask("GET", f"{secure.url}/v2/", tries=1)


# Sizes and times.


def test_an_answer_that_is_too_long(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("GET", "/v2/", status(200, b"x" * 5000))
    assert len(http.ask("GET", f"{fake.url}/v2/", most=5000).content) == 5000
    with pytest.raises(RemoteInvalid, match="more than 4999 bytes"):
        http.ask("GET", f"{fake.url}/v2/", most=4999)


@pytest.mark.parametrize("header", [{"X_Long": "x" * 70_000}, {f"X_{n}": "x" for n in range(200)}])
def test_headers_that_are_too_long_or_too_many(fake: FakeRegistry, http: Outbound, header: dict[str, str]) -> None:
    fake.rule("GET", "/v2/", lie(**header))  # type: ignore[arg-type]  # headers
    with pytest.raises(RemoteUnavailable):
        http.ask("GET", f"{fake.url}/v2/", tries=1)


@pytest.mark.parametrize("is_small", [True, False])
def test_a_byte_at_a_time_takes_not_for_ever(
    fake: FakeRegistry, http: Outbound, monkeypatch: pytest.MonkeyPatch, *, is_small: bool
) -> None:
    """No single read is late, all together are."""
    monkeypatch.setattr(answers, "WHOLE", 1.0)
    fake.rule("GET", "/v2/", drip(0.1, status(200, b"x" * 1000)))
    begun = time.monotonic()
    with pytest.raises(RemoteUnavailable, match="broke"), http.open("GET", f"{fake.url}/v2/") as stream:
        stream.reply() if is_small else list(stream)
    assert time.monotonic() - begun < 10


def test_headers_a_byte_at_a_time_take_not_for_ever(
    loopback: None, http: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WHOLE", 1.0)
    monkeypatch.setattr(connections, "LEAST_PATIENCE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            wire, _ = server.accept()
            with wire:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                    try:
                        wire.send(bytes([byte]))
                    except OSError:
                        return
                    time.sleep(0.1)

        thread = threading.Thread(target=trickle)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(RemoteUnavailable):
            http.open("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", patience=0.5)
        assert time.monotonic() - begun < 10
        thread.join()


def test_nobody_is_watched_who_has_answered(fake: FakeRegistry, http: Outbound) -> None:
    for _ in range(3):
        http.ask("GET", f"{fake.url}/v2/")
    assert not watch.watch._holds


def test_a_stream_that_is_fast_enough_goes_on(
    fake: FakeRegistry, http: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "WHOLE", 1.5)
    monkeypatch.setattr(answers, "RATE", 1)
    fake.rule("GET", "/v2/", drip(0.1, status(200, b"x" * 40)))
    with http.open("GET", f"{fake.url}/v2/") as stream:
        assert sum(len(chunk) for chunk in stream) == 40


@pytest.mark.parametrize("after", [0, 1, 999])
def test_an_answer_that_is_cut_off_is_none(fake: FakeRegistry, http: Outbound, after: int) -> None:
    fake.rule("GET", "/v2/", cut(after, status(200, b"x" * 1000)))
    with pytest.raises(RemoteUnavailable), http.open("GET", f"{fake.url}/v2/") as stream:
        stream.reply()


def test_an_encoded_answer_is_none(fake: FakeRegistry, http: Outbound) -> None:
    """What one asked for plainly and gets packed may be without end when unpacked."""
    fake.rule("GET", "/v2/", lie(Content_Encoding="gzip"))
    with pytest.raises(RemoteInvalid):
        http.ask("GET", f"{fake.url}/v2/")


# Tries.


@pytest.mark.parametrize("action", [hang_up, status(500), status(502), status(503), status(429)])
def test_what_may_pass_is_tried_again(fake: FakeRegistry, http: Outbound, pauses: list[float], action: Any) -> None:
    fake.rule("GET", "/v2/", action, times=2)
    assert http.ask("GET", f"{fake.url}/v2/").status == 200
    assert fake.count() == 3
    assert len(pauses) == 2


def test_tries_end(fake: FakeRegistry, http: Outbound, pauses: list[float]) -> None:
    fake.rule("GET", "/v2/", status(503))
    assert http.ask("GET", f"{fake.url}/v2/").status == 503
    fake.rules[0].action = hang_up
    with pytest.raises(RemoteUnavailable):
        http.ask("GET", f"{fake.url}/v2/")
    assert fake.count() == 8
    assert max(pauses) < 5


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 501])
def test_what_will_not_pass_is_not_tried_again(fake: FakeRegistry, http: Outbound, code: int) -> None:
    fake.rule("GET", "/v2/", status(code))
    assert http.ask("GET", f"{fake.url}/v2/").status == code
    assert fake.count() == 1


def test_retry_after_is_kept(fake: FakeRegistry, http: Outbound, pauses: list[float]) -> None:
    fake.rule("GET", "/v2/", status(429, Retry_After="3"), times=1)
    http.ask("GET", f"{fake.url}/v2/")
    assert 3 <= pauses[0] < 4


def test_who_is_to_wait_long_gives_up(fake: FakeRegistry, http: Outbound, pauses: list[float]) -> None:
    fake.rule("GET", "/v2/", status(429, Retry_After="3600"))
    reply = http.ask("GET", f"{fake.url}/v2/")
    assert (reply.status, reply.retry_after, pauses) == (429, 3600.0, [])


def test_retry_after_may_be_a_time(fake: FakeRegistry, http: Outbound) -> None:
    for text, least, most in (("Wed, 21 Oct 2099 07:28:00 GMT", 1e9, 1e10), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)):
        fake.rule("GET", "/v2/", status(404, Retry_After=text), times=1)
        told = http.ask("GET", f"{fake.url}/v2/").retry_after
        assert told is not None
        assert least <= told <= most
    for text in ("", "soon", "-1", "1e9", "Wed, 99 Oct 2099 07:28:00 GMT"):
        fake.rule("GET", "/v2/", status(404, Retry_After=text), times=1)
        assert http.ask("GET", f"{fake.url}/v2/").retry_after is None, text


# What is said about it.


def test_a_closed_port_an_open_one_and_no_registry_sound_alike(
    fake: FakeRegistry, http: Outbound, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody scans ports with this. Whoever runs the server finds the reason in its log."""
    caplog.set_level(logging.INFO)
    fake.rule("GET", "/v2/", hang_up)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = set()
    for url in (f"http://127.0.0.1:{port}/v2/", f"https://127.0.0.1:{fake.port}/v2/", f"{fake.url}/v2/?X-Signature=s"):
        with pytest.raises(RemoteError) as caught:
            http.ask("GET", url, tries=1)
        said.add((type(caught.value), caught.value.message))
    assert said == {(RemoteUnavailable, "the other registry does not answer")}
    assert f"no answer from 127.0.0.1:{port}" in caplog.text
    assert "Signature" not in caplog.text


def test_a_slow_answer_is_waited_for(fake: FakeRegistry, http: Outbound) -> None:
    fake.rule("GET", "/v2/", delay(0.3))
    assert http.ask("GET", f"{fake.url}/v2/").status == 200
    with pytest.raises(RemoteUnavailable):
        http.open("GET", f"{fake.url}/v2/", patience=0.1)
