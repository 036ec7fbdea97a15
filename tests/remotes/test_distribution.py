"""The client against docker-registry itself: TLS by an authority of our own, passwords from htpasswd or nobody's."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remotes.client import RegistryClient, Target
from remotes.errors import RemoteUnauthorized, RemoteUnavailable
from remotes.login import Credentials
from remotes.uploads import blob_push
from tests.factories import World, fresh
from tests.images import sha256, unique
from tests.product import free_port
from tests.remotes import journeys
from tests.remotes.certificates import Authority
from tests.rest.api import Api

USERNAME, PASSWORD = "robot", "Right-password-1"
CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}
http: {{addr: {address}, tls: {{certificate: {certificate}, key: {key}}}}}
auth: {{htpasswd: {{realm: registry, path: {passwords}}}}}
"""
pytestmark = pytest.mark.interop


@dataclass(frozen=True)
class Distribution:
    url: str
    authority: Authority

    def client(self, password: str | None = PASSWORD, *, insecure: bool = False) -> RegistryClient:
        known = None if password is None else Credentials(USERNAME, password)
        pem = "" if insecure else self.authority.pem
        return RegistryClient(Target(self.url, lambda: known, insecure=insecure, ca_certificate=pem))


@pytest.fixture(scope="module")
def running(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    for program in ("docker-registry", "htpasswd"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; on Debian: apt-get install docker-registry apache2-utils")
    directory = tmp_path_factory.mktemp("distribution")
    certificate, key = authority.files(directory, "127.0.0.1")
    passwords, config = directory / "htpasswd", directory / "config.yml"
    made = subprocess.run(["htpasswd", "-Bbn", "-C", "4", USERNAME, PASSWORD], stdout=subprocess.PIPE, check=True)
    passwords.write_bytes(made.stdout)
    address = f"127.0.0.1:{free_port()}"
    config.write_text(
        CONFIG.format(data=directory / "data", address=address, certificate=certificate, key=key, passwords=passwords)
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Distribution(f"https://{address}", authority)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def distribution(running: Distribution, loopback: None) -> Distribution:
    """It answers."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(RemoteUnavailable), running.client() as client:
            client.ping()
            return running
        assert time.monotonic() < deadline, "docker-registry does not start"
        time.sleep(0.1)


@pytest.fixture
def client(distribution: Distribution) -> Iterator[RegistryClient]:
    with distribution.client() as made:
        yield made


def repository(tmp_path: Path) -> str:
    """One that no other test uses."""
    return f"team/{tmp_path.name.lower().replace('_', '-')}"


def test_who_gets_in(distribution: Distribution) -> None:
    for password in ("wrong", ""):
        with distribution.client(password) as stranger, pytest.raises(RemoteUnauthorized):
            stranger.ping()
    with distribution.client(None) as nobody:
        for ask in (nobody.ping, lambda: list(nobody.repositories())):
            with pytest.raises(RemoteUnauthorized):
                ask()
    with distribution.client(insecure=True) as careless:
        careless.ping()
    with RegistryClient(Target(distribution.url)) as careful, pytest.raises(RemoteUnavailable):
        careful.ping()


def test_blobs(client: RegistryClient, tmp_path: Path) -> None:
    journeys.check_blobs(client, repository(tmp_path))


def test_mounts(client: RegistryClient, tmp_path: Path) -> None:
    journeys.check_mount(client, repository(tmp_path), repository(tmp_path) + "/there")


def test_manifests(client: RegistryClient, tmp_path: Path) -> None:
    journeys.check_manifests(client, repository(tmp_path))


def test_referrers_by_the_tag_that_stands_in_for_them(client: RegistryClient, tmp_path: Path) -> None:
    journeys.check_referrers(client, repository(tmp_path), has_api=False)


def test_deletions(client: RegistryClient, tmp_path: Path) -> None:
    journeys.check_deletions(client, repository(tmp_path))


def test_the_catalog(client: RegistryClient, tmp_path: Path) -> None:
    journeys.push_image(client, repository(tmp_path), "v1")
    assert repository(tmp_path) in client.repositories()


def test_an_upload_that_breaks_is_begun_anew(client: RegistryClient, tmp_path: Path) -> None:
    """It forgets a session whose bytes were not all in one piece; the blob arrives all the same."""
    content, broken = unique(journeys.BIG), []

    def breaking(offset: int) -> Iterator[bytes]:
        for number, chunk in enumerate(journeys.source(content[offset:])):
            if number == 20 and not broken:
                broken.append(number)
                client.http.close()  # every connection of the client's, this one too
                raise ConnectionResetError
            yield chunk

    name = repository(tmp_path)
    assert blob_push(client, name, sha256(content), len(content), breaking)
    assert broken
    assert b"".join(client.blob_read(name, sha256(content))) == content


def test_it_is_made_known_to_a_running_server(running: Distribution, distribution: Distribution, world: World) -> None:
    """Over HTTP, as an administrator does it."""
    admin = Api(world.url, world.admin_account)
    credential = {"type": "basic", "access_key": USERNAME, "access_secret": PASSWORD}
    body = {"name": fresh("registry"), "type": "docker-registry", "url": running.url, "credential": credential}
    trusting = {**body, "ca_certificate": running.authority.pem}
    for refused in (body, {**trusting, "credential": {**credential, "access_secret": "wrong"}}):
        answer = admin("POST", "/registries", refused)
        assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
        assert "the registry is unhealthy" in answer.json()["errors"][0]["message"]
    path = admin.create("/registries", trusting)
    assert admin.get(path)["status"] == "healthy"
    number = int(path.rpartition("/")[2])
    admin.done("POST", "/registries/ping", {"id": number})
    assert admin("POST", "/registries/ping", {"id": number, "ca_certificate": ""}).status == 400
