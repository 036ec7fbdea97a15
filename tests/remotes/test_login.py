"""401 and what to answer: who gets the password, who gets a token, and what is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from remotes.challenges import Challenge, parse
from remotes.client import RegistryClient, Target
from remotes.errors import RemoteBlocked, RemoteInvalid, RemoteUnauthorized
from remotes.origins import is_trusted, origin_of
from remotes.uploads import blob_push
from tests.images import sha256
from tests.remote_acts import delay, status
from tests.remote_fake import FakeRegistry
from tests.remotes.targets import target

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "::1"])


@pytest.fixture
def bearer(loopback: None) -> Iterator[FakeRegistry]:
    with FakeRegistry(auth="bearer") as running:
        yield running


@pytest.fixture
def basic(loopback: None) -> Iterator[FakeRegistry]:
    with FakeRegistry(auth="basic") as running:
        yield running


def client_of(fake: FakeRegistry, password: str | None = None, **further: object) -> RegistryClient:
    return RegistryClient(target(fake, password, **further), lambda seconds: None)


def test_basic(basic: FakeRegistry) -> None:
    basic.image("a/b", "v1")
    with client_of(basic) as client:
        client.ping()
        assert list(client.tags("a/b")) == ["v1"]
        assert list(client.tags("a/b")) == ["v1"]
    # Once without, as nobody knows that it is wanted; then with every request.
    assert [bool(asked.authorization) for asked in basic.seen()] == [False, True, True, True]


def test_a_wrong_basic_password(basic: FakeRegistry) -> None:
    with client_of(basic, "wrong") as client, pytest.raises(RemoteUnauthorized):
        client.ping()
    assert basic.count() == 2


def test_a_token_per_scope_is_kept(bearer: FakeRegistry) -> None:
    bearer.image("a/b", "v1")
    bearer.image("a/c", "v1")
    with client_of(bearer) as client:
        for _ in range(3):
            assert list(client.tags("a/b")) == ["v1"]
        list(client.tags("a/c"))
    asked = bearer.seen("GET", "^/token")
    assert [request.query["scope"] for request in asked] == ["repository:a/b:pull", "repository:a/c:pull"]
    assert [request.query["service"] for request in asked] == ["fake", "fake"]
    assert bearer.count("GET", "/tags/list") == 2 + 2 + 2
    # The password goes to the token service alone, the token to the registry alone.
    assert {request.authorization.partition(" ")[0] for request in asked} == {"Basic"}
    assert {request.authorization.partition(" ")[0] for request in bearer.seen("GET", "/tags")} == {"", "Bearer"}


def test_threads_that_share_a_client_share_its_token(bearer: FakeRegistry) -> None:
    bearer.image("a/b", "v1")
    bearer.rule("GET", "^/token", delay(0.2))
    with client_of(bearer) as client, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: client.manifest_head("a/b", "v1"), range(8)))
    assert all(found)
    assert bearer.count("GET", "^/token") == 1


def test_a_wrong_password_at_the_token_service(bearer: FakeRegistry) -> None:
    with client_of(bearer, "wrong") as client, pytest.raises(RemoteUnauthorized):
        client.ping()
    assert bearer.count("GET", "^/token") == 1


def test_a_token_that_died_is_renewed_once(bearer: FakeRegistry) -> None:
    bearer.image("a/b", "v1")
    with client_of(bearer) as client:
        list(client.tags("a/b"))
        bearer.tokens.clear()
        assert list(client.tags("a/b")) == ["v1"]
        assert bearer.count("GET", "^/token") == 2


def test_a_token_service_whose_tokens_are_good_for_nothing(bearer: FakeRegistry) -> None:
    bearer.image("a/b", "v1")
    bearer.rule("GET", "^/token", status(200, b'{"token": "nothing"}'))
    with client_of(bearer) as client, pytest.raises(RemoteUnauthorized):
        list(client.tags("a/b"))
    assert bearer.count() == 3


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": 5}', b'{"token": "a\\nb"}', b'{"token": "\xc3\xa9"}', b"<html>"],
)
def test_a_token_service_that_gives_no_token(bearer: FakeRegistry, answer: bytes) -> None:
    bearer.rule("GET", "^/token", status(200, answer))
    with client_of(bearer) as client, pytest.raises(RemoteInvalid):
        client.ping()


@pytest.mark.parametrize("name", ["token", "access_token"])
@pytest.mark.parametrize("seconds", ['"no number"', "-1", "0", "1e999", "NaN", "true", "null", "1" * 400])
def test_both_names_of_a_token_and_any_time_it_is_valid(bearer: FakeRegistry, name: str, seconds: str) -> None:
    bearer.tokens["known"] = set()
    bearer.rule("GET", "^/token", status(200, f'{{"{name}": "known", "expires_in": {seconds}}}'.encode()))
    with client_of(bearer) as client:
        client.ping()
        client.ping()


def test_nobody_asks_for_tokens_as_nobody(bearer: FakeRegistry) -> None:
    with RegistryClient(Target(bearer.url)) as client:
        assert client.credentials is None
        client.ping()
    assert [asked.authorization for asked in bearer.seen("GET", "^/token")] == [""]


def test_a_realm_elsewhere_gets_no_password(bearer: FakeRegistry) -> None:
    """Whoever answers in the place of a registry could name any host (CVE-2026-33540)."""
    with FakeRegistry(auth="bearer", host="127.0.0.2") as evil:
        bearer.realm = f"{evil.url}/token"
        with client_of(bearer) as client, pytest.raises(RemoteUnauthorized, match="which is not trusted"):
            client.ping()
        assert evil.count() == 0
        # Who has no password has none to lose.
        with RegistryClient(Target(bearer.url)) as client:
            client.ping()
        assert [asked.authorization for asked in evil.seen()] == [""]


def test_a_realm_that_is_trusted_gets_it(bearer: FakeRegistry) -> None:
    with FakeRegistry(auth="bearer", host="127.0.0.2") as service:
        bearer.realm = f"{service.url}/token"
        service.tokens = bearer.tokens
        with client_of(bearer, trusted_realms=frozenset({"127.0.0.2"})) as client:
            client.ping()
        assert service.seen()[0].authorization.startswith("Basic ")


@pytest.mark.parametrize("realm", ["http://10.0.0.1/token", "http://169.254.169.254/latest", "https://[::1]:1/"])
def test_a_realm_where_nobody_may_connect(bearer: FakeRegistry, realm: str) -> None:
    bearer.realm = realm
    with RegistryClient(Target(bearer.url)) as client, pytest.raises(RemoteBlocked):
        client.ping()


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "token", "http://u:p@127.0.0.1/", "http:///"])
def test_a_realm_that_is_no_address(bearer: FakeRegistry, realm: str) -> None:
    bearer.realm = realm
    with client_of(bearer) as client, pytest.raises(RemoteInvalid):
        client.ping()


def test_a_realm_that_redirects_elsewhere_takes_no_password_along(bearer: FakeRegistry) -> None:
    with FakeRegistry(host="127.0.0.2") as evil:
        bearer.rule("GET", "^/token", status(307, Location=f"{evil.url}/token"))
        with client_of(bearer) as client, pytest.raises(RemoteUnauthorized):
            client.ping()
        assert [asked.authorization for asked in evil.seen()] == [""]


@pytest.mark.parametrize(
    ("realm", "home", "is_so"),
    [
        ("https://registry.example.com/token", "https://registry.example.com", True),
        ("https://registry.example.com:5001/token", "https://registry.example.com:5000", True),
        ("http://registry.example.com/token", "https://registry.example.com", False),
        ("http://registry.example.com/token", "http://registry.example.com:5000", True),
        ("https://gitlab.com/jwt/auth", "https://registry.gitlab.com", True),
        ("https://auth.registry.example.com/", "https://registry.example.com", True),
        ("https://REGISTRY.example.com/", "https://registry.EXAMPLE.com", True),
        ("https://evil.azurecr.io/", "https://good.azurecr.io", False),
        ("https://evil.example.com/", "https://registry.example.com", False),
        ("https://evilregistry.example.com/", "https://registry.example.com", False),
        ("https://com/", "https://registry.example.com", False),
        ("https://auth.docker.io/token", "https://registry-1.docker.io", True),
        ("http://auth.docker.io/token", "https://registry-1.docker.io", False),
        ("https://0.0.1/", "https://127.0.0.1", False),
        ("https://evil.127.0.0.1/", "https://127.0.0.1", False),
    ],
)
def test_which_token_services_are_trusted(realm: str, home: str, *, is_so: bool) -> None:
    assert is_trusted(origin_of(realm), origin_of(home), frozenset({"auth.docker.io"})) is is_so


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x, y"', [Challenge("basic", {"realm": "x, y"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"',
            [Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"})],
        ),
        (
            'bearer Realm=abc , service = "a\\"b", Basic realm="r"',
            [Challenge("bearer", {"realm": "abc", "service": 'a"b'}), Challenge("basic", {"realm": "r"})],
        ),
        ("Negotiate, NTLM", [Challenge("negotiate"), Challenge("ntlm")]),
        ('Bearer realm="a', [Challenge("bearer")]),
        ("=,=,", []),
    ],
)
def test_challenges_are_read(header: str, found: list[Challenge]) -> None:
    assert parse(header) == found


def test_a_challenge_of_any_length_is_read_soon() -> None:
    for header in ("Basic " * 100_000, 'B a="' + "\\" * 100_000, "," * 100_000, "a=" * 100_000, "x" * 100_000):
        assert len(parse(header)) <= 16


def test_the_password_stays_where_it_belongs_when_an_upload_goes_on_elsewhere(
    bearer: FakeRegistry,
) -> None:
    """Uploads that go on at another host are sent there without a word of who we are."""
    with FakeRegistry(host="127.0.0.2") as storage, client_of(bearer) as client:
        bearer.rule("POST", "/uploads/", status(202, Location=f"{storage.url}/v2/a/b/blobs/uploads/x"))
        storage.uploads["x"] = ("a/b", bytearray())
        assert blob_push(client, "a/b", sha256(b"content"), 7, lambda offset: iter([b"content"[offset:]]))
        assert storage.blobs["a/b"] == {sha256(b"content"): b"content"}
        assert {asked.authorization for asked in storage.seen()} == {""}
