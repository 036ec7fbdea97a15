"""What differs between kinds of registries: how they tell what they have, names, addresses, and Amazon's way to a
password.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from remotes import ecr, listings
from remotes.client import RegistryClient
from remotes.clients import Endpoint, client_of
from remotes.errors import RemoteError, RemoteInvalid, RemoteNotFound, RemoteRefused, RemoteUnauthorized
from remotes.kinds import KINDS
from remotes.listings import PAGE
from remotes.login import Credentials
from tests.images import dump
from tests.remote_acts import Asked, Given, status
from tests.remote_fake import FakeRegistry
from tests.remotes.targets import target

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "::1"])


def listed(client: RegistryClient, kind: str, prefix: str = "") -> list[str]:
    listing = KINDS[kind].listing
    assert listing is not None
    return list(listing(client, prefix))


def answers(fake: FakeRegistry, pattern: str, pages: list[Any], key: str = "page") -> None:
    """An API's list: a page by its number, and an empty one behind the last."""

    def act(asked: Asked, _: Any) -> Given:
        number = int(asked.query.get(key, "1"))
        found = pages[number - 1] if number <= len(pages) else []
        return Given(200, {"Content-Type": "application/json"}, dump(found))

    fake.rule("GET", pattern, act)


# Lists.


def test_catalogs(fake: FakeRegistry, client: RegistryClient) -> None:
    for name in ("team/app", "team/base", "other/app"):
        fake.image(name)
    assert listed(client, "docker-registry") == ["other/app", "team/app", "team/base"]
    assert listed(client, "quay", "team/") == ["team/app", "team/base"]


def test_harbors_projects(fake: FakeRegistry) -> None:
    """As somebody: Harbor shows nobody only what is public."""
    fake.auth = "basic"
    projects = [{"name": f"p-{number:03}"} for number in range(PAGE + 5)]
    answers(fake, "/api/v2.0/projects\\?", [projects[:PAGE], projects[PAGE:]])
    answers(fake, "/projects/p-104/repositories", [[{"name": "p-104/a"}, {"name": "p-104/b/c"}, {"name": "../evil"}]])
    answers(fake, "/repositories", [[]])
    with RegistryClient(target(fake)) as client:
        assert listed(client, "harbor") == ["p-104/a", "p-104/b/c"]
        assert {asked.authorization.partition(" ")[0] for asked in fake.seen()} == {"Basic"}
        fake.forget()
        assert listed(client, "harborlite", "p-104/b") == ["p-104/b/c"]
        assert fake.count() == 1


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[{}]", b'[{"name": 5}]', b"[" * 100_000])
def test_apis_that_send_something_else(fake: FakeRegistry, client: RegistryClient, body: bytes) -> None:
    fake.rule("GET", "/api/", status(200, body))
    with pytest.raises(RemoteInvalid):
        listed(client, "harbor")


def test_docker_hub(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "HUB", fake.url)
    fake.rule("POST", "/v2/users/login", status(200, b'{"token": "jwt"}'))
    page = {"results": [{"name": "app"}, {"name": "base"}], "next": "more"}
    answers(fake, "/v2/repositories/me/", [page, {"results": [{"name": "last"}], "next": None}])
    answers(fake, "/v2/repositories/library/", [{"results": [{"name": "alpine"}], "next": None}])
    fake.auth = "bearer"
    with RegistryClient(target(fake)) as client:
        fake.username = "me"
        me = RegistryClient(type(target(fake))(fake.url, lambda: Credentials("me", "secret")))
        with me:
            assert listed(me, "docker-hub") == ["me/app", "me/base", "me/last"]
            assert listed(me, "docker-hub", "library/al") == ["library/alpine"]
        assert json.loads(fake.seen("POST")[0].body) == {"username": "me", "password": "secret"}
        assert {asked.authorization for asked in fake.seen("GET", "/repositories/")} == {"Bearer jwt"}
        assert client.url == fake.url


def test_gitlab(fake: FakeRegistry) -> None:
    """Its API is where its token service is, if that may have the token."""
    fake.auth = "bearer"
    projects = {7: "Team/App", 8: "other"}
    found = [{"id": number, "path_with_namespace": path} for number, path in projects.items()]
    answers(fake, "/api/v4/projects\\?", [found])
    answers(fake, "/api/v4/projects/7/registry", [[{"path": "team/app"}, {"path": "team/app/sub"}]])
    answers(fake, "/api/v4/projects/8/registry", [[{"path": "other"}]])
    with RegistryClient(target(fake)) as client:
        assert listed(client, "gitlab") == ["team/app", "team/app/sub", "other"]
        assert {asked.authorization for asked in fake.seen("GET", "/api/")} == {f"Bearer {fake.password}"}
        fake.forget()
        assert listed(client, "gitlab", "team/app/s") == ["team/app/sub"]
        assert fake.count("GET", "/projects/8/") == 0
        with FakeRegistry(host="127.0.0.2") as evil:
            fake.realm = f"{evil.url}/token"
            with pytest.raises(RemoteUnauthorized):
                listed(client, "gitlab")
            assert evil.count() == 0


def test_who_tells_nobody(fake: FakeRegistry) -> None:
    assert KINDS["github-ghcr"].listing is None


# Names and addresses.


@pytest.mark.parametrize(
    ("kind", "name", "repository"),
    [
        ("docker-hub", "alpine", "library/alpine"),
        ("docker-hub", "team/app", "team/app"),
        ("docker-registry", "alpine", "alpine"),
        ("harbor", "alpine", "alpine"),
    ],
)
def test_names(kind: str, name: str, repository: str) -> None:
    assert KINDS[kind].repository_of(name) == repository


def test_where_docker_hub_really_is() -> None:
    for url in ("https://hub.docker.com", "https://docker.io", "https://registry-1.docker.io"):
        with client_of(Endpoint("docker-hub", url, "me", "secret")) as client:
            assert client.url == "https://registry-1.docker.io"
            assert client.trusts("https://auth.docker.io/token")
            assert not client.trusts("https://auth.example.com/token")


def test_the_name_that_google_wants() -> None:
    with client_of(Endpoint("google-gcr", "https://gcr.io", "", "{}")) as client:
        assert client.credentials == Credentials("_json_key", "{}")


# Amazon.

REGISTRY = "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def signature_of(asked: Asked, secret: str) -> str:
    """As Amazon computes it (Signature Version 4), written down here again from its description."""
    scope = asked.authorization.partition("Credential=")[2].partition(",")[0].partition("/")[2]
    names = asked.authorization.partition("SignedHeaders=")[2].partition(",")[0]
    headers: Mapping[str, str] = {name.lower(): value.strip() for name, value in asked.headers.items()}
    canonical = "\n".join(
        ["POST", "/", "", *(f"{name}:{headers[name]}" for name in names.split(";")), "", names,
         hashlib.sha256(asked.body).hexdigest()]
    )  # fmt: skip
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_amazons_password(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecr, "API", f"{fake.url}/")
    token = base64.b64encode(b"AWS:the:password").decode()
    fake.rule("POST", "^/$", status(200, dump({"authorizationData": [{"authorizationToken": token}]})))
    give = ecr.exchanged(REGISTRY, Credentials("KEY", "key-secret"))
    assert [give(), give()] == [Credentials("AWS", "the:password")] * 2
    asked = fake.seen()
    assert len(asked) == 1
    assert asked[0].headers["X-Amz-Target"].endswith(".GetAuthorizationToken")
    assert "/eu-central-1/ecr/aws4_request" in asked[0].authorization
    assert asked[0].authorization.rpartition("Signature=")[2] == signature_of(asked[0], "key-secret")
    assert "key-secret" not in str(asked)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(400, b'{"__type": "UnrecognizedClientException"}'), RemoteRefused),
        (status(404), RemoteNotFound),
        (status(200, b"{}"), RemoteInvalid),
        (status(200, b'{"authorizationData": []}'), RemoteInvalid),
        (status(200, b'{"authorizationData": [{"authorizationToken": "%"}]}'), RemoteInvalid),
    ],
)
def test_amazon_gives_none(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, answer: Any, kind: type[RemoteError]
) -> None:
    monkeypatch.setattr(ecr, "API", f"{fake.url}/")
    fake.rule("POST", "^/$", answer)
    with pytest.raises(kind):
        ecr.exchanged(REGISTRY, Credentials("KEY", "secret"))()


@pytest.mark.parametrize("url", ["https://example.com", "https://1.dkr.ecr.eu.amazonaws.com.evil.com", "https://ecr"])
def test_amazons_key_is_for_amazon(fake: FakeRegistry, url: str) -> None:
    with pytest.raises(RemoteInvalid):
        ecr.exchanged(url, Credentials("KEY", "secret"))()


def test_amazons_password_that_is_known() -> None:
    known = Credentials("AWS", "password")
    assert ecr.exchanged(REGISTRY, known)() is known
