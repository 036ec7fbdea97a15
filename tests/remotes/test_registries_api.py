"""REST: the registries that this one talks to."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from harborlite.database.base import pool_of
from remotes.models import Remote
from remotes.sealing import unseal
from remotes.services import remote_check, remotes_check
from system.models import Event
from tests.projects.caller import Caller
from tests.remote_acts import Asked, Given, hang_up, refuse, status
from tests.remote_fake import FakeRegistry
from tests.remotes.certificates import Authority

SECRET = "Right-password-1"
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "::1"])


def body(fake: FakeRegistry, **further: Any) -> dict[str, Any]:
    return {"name": "other", "type": "docker-registry", "url": fake.url, **further}


def credential(fake: FakeRegistry, secret: str = SECRET) -> dict[str, str]:
    return {"type": "basic", "access_key": fake.username, "access_secret": secret}


def made(call: Caller, fake: FakeRegistry, **further: Any) -> str:
    """The path of a new registry."""
    answer = call("administrator", "POST", "/registries", body(fake, **further))
    assert answer.status == 201, answer
    return answer.headers["Location"].removeprefix("/api/v2.0")


def test_a_registry_lives(call: Caller, fake: FakeRegistry) -> None:
    fake.auth = "basic"
    path = made(call, fake, url=fake.url + "/", description="ours", credential=credential(fake))
    remote = Remote.objects.get()
    assert path == f"/registries/{remote.pk}"
    shown = call.get("administrator", path).body
    assert shown.pop("creation_time").endswith("Z")
    assert shown.pop("update_time").endswith("Z")
    assert shown == {
        "id": remote.pk,
        "name": "other",
        "url": fake.url,
        "type": "docker-registry",
        "description": "ours",
        "credential": {"type": "basic", "access_key": fake.username, "access_secret": "*****"},
        "insecure": False,
        "ca_certificate": "",
        "status": "healthy",
    }
    answer = call("administrator", "PUT", path, {"name": "another", "description": "", "url": None, "insecure": None})
    assert (answer.status, answer.body) == (200, "")
    after = call.get("administrator", path).body
    assert (after["name"], after["description"], after["url"]) == ("another", "", fake.url)
    answer = call("administrator", "DELETE", path)
    assert (answer.status, answer.body) == (200, "")
    assert call.get("administrator", path).status == 404
    assert not Remote.objects.exists()
    told = Event.objects.filter(resource_type="registry").order_by("pk")
    assert [(event.operation, event.resource) for event in told] == [
        ("create", "other"),
        ("update", "another"),
        ("delete", "another"),
    ]


def test_the_secret_is_nowhere_to_be_read(call: Caller, fake: FakeRegistry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    fake.auth = "basic"
    path = made(call, fake, credential=credential(fake))
    call("administrator", "PUT", path, {"access_secret": SECRET})
    fake.password = "changed"
    assert call("administrator", "PUT", path, {"access_secret": SECRET}).status == 400
    texts = [call.get("administrator", where).body for where in (path, "/registries", f"{path}/info")]
    rows = list(Remote.objects.values()), list(Event.objects.values())
    assert SECRET not in json.dumps(texts) + str(rows) + caplog.text
    assert unseal(Remote.objects.get().sealed_secret) == SECRET


@pytest.mark.parametrize("how", ["basic", "bearer"])
def test_credentials_are_tried_before_they_are_kept(call: Caller, fake: FakeRegistry, how: str) -> None:
    fake.auth = how
    answer = call("administrator", "POST", "/registries", body(fake, credential=credential(fake, "wrong")))
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert "refuses these credentials" in answer.error
    assert not Remote.objects.exists()
    path = made(call, fake, credential=credential(fake))
    assert call("administrator", "PUT", path, {"access_secret": "wrong"}).status == 400
    assert unseal(Remote.objects.get().sealed_secret) == SECRET


def test_names_are_taken_once(call: Caller, fake: FakeRegistry) -> None:
    made(call, fake)
    path = made(call, fake, name="second")
    answer = call("administrator", "POST", "/registries", body(fake))
    assert (answer.status, answer.code) == (409, "CONFLICT")
    assert call("administrator", "PUT", path, {"name": "other"}).status == 409


def test_a_secret_that_comes_back_hidden_stays(call: Caller, fake: FakeRegistry) -> None:
    """Clients read a registry, change something, and write all of it."""
    fake.auth = "basic"
    path = made(call, fake, credential=credential(fake))
    for given in ("*****", None):
        change = {"description": "new", "url": fake.url, "access_key": fake.username, "access_secret": given}
        assert call("administrator", "PUT", path, change).status == 200
        assert unseal(Remote.objects.get().sealed_secret) == SECRET
    fake.auth = ""
    assert call("administrator", "PUT", path, {"access_key": "", "access_secret": ""}).status == 200
    remote = Remote.objects.get()
    assert (remote.access_key, remote.sealed_secret) == ("", "")


def test_a_stored_secret_does_not_go_to_another_server(call: Caller, fake: FakeRegistry) -> None:
    """Who may change an address, or ask, does not learn the password by naming a server of their own."""
    fake.auth = "basic"
    path = made(call, fake, credential=credential(fake))
    number = int(path.rpartition("/")[2])
    with FakeRegistry(auth="basic", host="127.0.0.2") as evil:
        for given in ({}, {"access_secret": "*****"}, {"access_key": "x"}):
            answer = call("administrator", "PUT", path, {"url": evil.url, **given})
            assert (answer.status, answer.error.partition(":")[0]) == (400, "access_secret")
            answer = call("administrator", "POST", "/registries/ping", {"id": number, "url": evil.url, **given})
            assert (answer.status, answer.error.partition(":")[0]) == (400, "access_secret")
        assert evil.count() == 0
        change = {"url": evil.url, "access_secret": evil.password}
        assert call("administrator", "PUT", path, change).status == 200
    assert Remote.objects.get().url == evil.url


# Pings.


def test_a_ping(call: Caller, fake: FakeRegistry) -> None:
    fake.auth = "bearer"
    given = {"type": "docker-registry", "url": fake.url, "credential_type": "basic", "access_key": fake.username}
    answer = call("administrator", "POST", "/registries/ping", {**given, "access_secret": SECRET})
    assert (answer.status, answer.body) == (200, "")
    answer = call("administrator", "POST", "/registries/ping", {**given, "access_secret": "wrong"})
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert not Remote.objects.exists()


def test_a_ping_of_what_is_stored(call: Caller, fake: FakeRegistry) -> None:
    fake.auth = "basic"
    number = int(made(call, fake, credential=credential(fake)).rpartition("/")[2])
    assert call("administrator", "POST", "/registries/ping", {"id": number}).status == 200
    assert call("administrator", "POST", "/registries/ping", {"id": number, "access_secret": "wrong"}).status == 400
    fake.rule("GET", "/v2/", hang_up)
    answer = call("administrator", "POST", "/registries/ping", {"id": number})
    assert (answer.status, "unhealthy" in answer.error) == (400, True)
    assert call("administrator", "POST", "/registries/ping", {"id": number + 1}).status == 404


def test_what_is_no_healthy_registry_sounds_alike(call: Caller, fake: FakeRegistry) -> None:
    """Neither what listens there nor what it says is told."""
    page = status(200, b"<html>SECRET PAGE</html>")
    expected = "the registry is unhealthy: it does not answer, or what answers is no registry"
    for action in (hang_up, page, status(500), status(404), refuse(400, "UNSUPPORTED")):
        fake.rule("GET", "/v2/", action, times=1)
        answer = call("administrator", "POST", "/registries", body(fake))
        assert (answer.status, answer.error) == (400, expected)
    closed = body(fake, url="http://127.0.0.1:1")
    assert call("administrator", "POST", "/registries", closed).error == expected


# Addresses.


PRIVATE = [
    "http://127.0.0.1", "http://localhost", "http://0.0.0.0", "http://[::1]", "http://[::ffff:127.0.0.1]",
    "http://2130706433", "http://0x7f.1", "http://127.1", "http://169.254.169.254", "http://[fd00:ec2::254]",
    "http://100.100.100.200", "http://10.0.0.1", "http://192.168.1.1", "https://1.1.1.1:22", "https://1.1.1.1:6379",
    "https://1.1.1.1:5432",
]  # fmt: skip


def test_addresses_that_nobody_may_connect_to(call: Caller) -> None:
    """At once, and alike whether something listens there or not."""
    for url in PRIVATE:
        for path in ("/registries", "/registries/ping"):
            answer = call("administrator", "POST", path, {"name": "x", "type": "harbor", "url": url})
            assert (answer.status, answer.code) == (400, "BAD_REQUEST"), url
            assert answer.error.startswith("url: this server may not connect"), url


NO_ADDRESSES = [
    "file:///etc/passwd", "gopher://example.com", "ftp://example.com", "unix:///run/x", "http://", "https://",
     "http://user:secret@example.com", "http://example.com#@127.0.0.1", "http://example.com?x=1",
     "http://example.com/a b", "http://example.com\\@127.0.0.1", "http://exa\tmple.com", "http://example.com/../x",
     "http://example.com:0", "http://example.com:99999", "http://example.com:x", "http://[::1", "http://[::1%eth0]",
     "http://exämple.com", "javascript:alert(1)", "//example.com", "", " ", "http://example.com\r\nX: y",
]  # fmt: skip


def test_addresses_that_are_none(call: Caller) -> None:
    for url in NO_ADDRESSES:
        answer = call("administrator", "POST", "/registries", {"name": "x", "type": "harbor", "url": url})
        assert (answer.status, answer.code) == (400, "BAD_REQUEST"), url
        assert answer.error.startswith("url: "), url


def test_an_address_without_a_scheme_is_https(loopback: None, call: Caller, authority: Authority) -> None:
    with FakeRegistry(tls=authority.context) as secure:
        short = secure.url.removeprefix("https://")
        path = made(call, secure, url=short, ca_certificate=authority.pem)
        assert call.get("administrator", path).body["url"] == secure.url


def test_certificates(loopback: None, call: Caller, authority: Authority) -> None:
    with FakeRegistry(tls=authority.context) as secure:
        assert call("administrator", "POST", "/registries", body(secure)).status == 400
        path = made(call, secure, insecure=True)
        assert call("administrator", "PUT", path, {"insecure": False}).status == 400
        change = {"insecure": False, "ca_certificate": authority.pem}
        assert call("administrator", "PUT", path, change).status == 200
        shown = call.get("administrator", path).body
        assert (shown["insecure"], shown["ca_certificate"]) == (False, authority.pem)
        for pem in ("x", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "ä"):
            answer = call("administrator", "PUT", path, {"ca_certificate": pem})
            assert (answer.status, answer.error.partition(":")[0]) == (400, "ca_certificate")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 65}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": 5}, "name"),
    ({"type": "nothing"}, "type"),
    ({"type": None}, "type"),
    ({"url": None}, "url"),
    ({"url": "https://" + "a" * 2000}, "url"),
    ({"credential": "x"}, "credential"),
    ({"credential": {"type": "oauth"}}, "credential"),
    ({"credential": {"access_key": "a\0b"}}, "credential"),
    ({"insecure": "yes"}, "insecure"),
    ({"ca_certificate": 7}, "ca_certificate"),
    ({"description": 7}, "description"),
]


def test_bodies_that_can_not_be(call: Caller, fake: FakeRegistry) -> None:
    for change, field in BAD:
        answer = call("administrator", "POST", "/registries", body(fake, **change))
        assert (answer.status, answer.code) == (400, "BAD_REQUEST"), change
        assert field in answer.error, change
    assert fake.count() == 0


# Lists and kinds.


def test_lists(call: Caller, fake: FakeRegistry) -> None:
    for name in ("b", "a", "ab", "c"):
        made(call, fake, name=name)
    names = [row["name"] for row in call.get("administrator", "/registries").body]
    assert names == ["a", "ab", "b", "c"]
    for query, found in (("?name=B", ["ab", "b"]), ("?q=name=b", ["b"]), ("?q=name=~a&sort=-name", ["ab", "a"]),
                         ("?q=type=harbor", []), ("?page=2&page_size=3", ["c"])):  # fmt: skip
        answer = call.get("administrator", f"/registries{query}")
        assert [row["name"] for row in answer.body] == found, query
    with CaptureQueriesContext(
        connection,
    ) as few:
        call.get("administrator", "/registries?page_size=1")
    with CaptureQueriesContext(connection) as many:
        call.get("administrator", "/registries")
    assert len(few) >= len(many) - 1


def test_only_who_administers_the_system(call: Caller, fake: FakeRegistry) -> None:
    path = made(call, fake)
    for method, where, given in (
        ("GET", "/registries", None),
        ("POST", "/registries", body(fake)),
        ("POST", "/registries/ping", {"url": fake.url, "type": "harbor"}),
        ("GET", path, None),
        ("PUT", path, {"name": "x"}),
        ("DELETE", path, None),
        ("GET", "/registries/999999", None),
        ("GET", f"{path}/info", None),
        ("GET", "/replication/adapters", None),
        ("GET", "/replication/adapterinfos", None),
    ):
        for name, expected in (("stranger", 403), ("admin", 403), ("anonymous", 401)):
            assert call(name, method, where, given).status == expected, where


def test_info_and_kinds(call: Caller, fake: FakeRegistry) -> None:
    names = call.get("administrator", "/replication/adapters").body
    assert {"harbor", "docker-hub", "docker-registry", "quay", "github-ghcr", "gitlab", "aws-ecr", "azure-acr",
            "google-gcr", "jfrog-artifactory", "harborlite"} == set(names)  # fmt: skip
    infos = call.get("administrator", "/replication/adapterinfos").body
    assert set(infos) == set(names)
    assert infos["docker-hub"]["endpoint_pattern"]["endpoint_type"] == "EndpointPatternTypeFix"
    assert infos["google-gcr"]["credential_pattern"]["access_key_data"] == "_json_key"
    info = call.get("administrator", made(call, fake) + "/info").body
    assert info["type"] == "docker-registry"
    assert info["supported_triggers"] == ["manual", "scheduled"]
    assert [found["type"] for found in info["supported_resource_filters"]] == ["name", "tag", "resource"]
    ours = call.get("administrator", "/registries/0/info").body
    assert ours["supported_triggers"] == ["manual", "scheduled", "event_based"]
    assert [found["type"] for found in ours["supported_resource_filters"]] == ["name", "tag", "label", "resource"]
    assert call.get("administrator", "/registries/999999/info").status == 404
    assert call.get("administrator", "/registries/x/info").status == 400
    assert call.get("administrator", f"/registries/{10**30}").status == 404


def test_no_connection_of_the_database_is_held_while_another_registry_thinks(call: Caller, fake: FakeRegistry) -> None:
    seen: list[int] = []

    def watched(asked: Asked, answer: Callable[[], Given]) -> Given:
        seen.append(pool_of(connection.get_connection_params()).in_use)
        return answer()

    fake.rule("GET", "/v2/", watched)
    path = made(call, fake)
    call("administrator", "PUT", path, {"insecure": True})
    call("administrator", "POST", "/registries/ping", {"type": "harbor", "url": fake.url})
    remotes_check()
    assert seen == [0, 0, 0, 0]


# Health.


def test_health_is_written_down(call: Caller, fake: FakeRegistry) -> None:
    path = made(call, fake)
    remote, before = Remote.objects.get(), Remote.objects.get().checked_at
    fake.rule("GET", "/v2/", status(503))
    assert remote_check(remote=remote) == "unhealthy"
    assert call.get("administrator", path).body["status"] == "unhealthy"
    fake.obey()
    assert remotes_check() == 0
    after = Remote.objects.get()
    assert (after.status, after.updated_at) == ("healthy", remote.updated_at)
    assert after.checked_at > before


def test_a_lost_key_is_told_and_nothing_else_suffers(call: Caller, fake: FakeRegistry, settings: Settings) -> None:
    fake.auth = "basic"
    path = made(call, fake, credential=credential(fake))
    Remote.objects.update(sealed_secret="sealed under a key that is lost")
    assert call.get("administrator", path).body["credential"]["access_secret"] == "*****"
    number = int(path.rpartition("/")[2])
    answer = call("administrator", "POST", "/registries/ping", {"id": number})
    assert (answer.status, "give it again" in answer.error) == (412, True)
    assert remotes_check() == 1
    assert call("administrator", "PUT", path, {"access_secret": SECRET}).status == 200
    assert remotes_check() == 0
