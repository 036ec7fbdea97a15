"""The client against this product itself, as its users run it: tokens, roles, referrers, uploads that go on."""

from collections.abc import Iterator

import pytest

from remotes.client import RegistryClient, Target
from remotes.errors import RemoteNotFound, RemoteUnauthorized
from remotes.kinds import KINDS
from remotes.login import Credentials
from remotes.uploads import blob_push
from tests.factories import Account, World, fresh
from tests.images import sha256, unique
from tests.remotes import journeys


def client_of(world: World, account: Account | None) -> RegistryClient:
    known = Credentials(account.login, account.secret) if account else None
    return RegistryClient(Target(world.url, lambda: known))


@pytest.fixture
def project(world: World) -> str:
    return world.project()


@pytest.fixture
def client(world: World, project: str, loopback: None) -> Iterator[RegistryClient]:
    """A robot that pushes, pulls and deletes."""
    actions = ("repository:push", "repository:pull", "repository:delete", "artifact:delete", "tag:delete")
    with client_of(world, world.robot(project, actions)) as made:
        yield made


def test_who_gets_in(world: World, loopback: None) -> None:
    account = world.user()
    for known in (None, account, world.robot(world.project())):
        with client_of(world, known) as client:
            client.ping()
    with client_of(world, Account(account.login, "wrong")) as client, pytest.raises(RemoteUnauthorized):
        client.ping()


def test_blobs(client: RegistryClient, project: str) -> None:
    journeys.check_blobs(client, f"{project}/blobs")


def test_mounts(client: RegistryClient, project: str) -> None:
    journeys.check_mount(client, f"{project}/here", f"{project}/some/where/there")


def test_manifests(client: RegistryClient, project: str) -> None:
    journeys.check_manifests(client, f"{project}/manifests")


def test_referrers(client: RegistryClient, project: str) -> None:
    journeys.check_referrers(client, f"{project}/referrers", has_api=True)


def test_deletions(client: RegistryClient, project: str) -> None:
    journeys.check_deletions(client, f"{project}/deletions")


def test_what_others_have(world: World, client: RegistryClient, project: str) -> None:
    """A project that one may not see is one that is not there."""
    other = f"{world.project()}/{fresh('repo')}"
    with pytest.raises((RemoteUnauthorized, RemoteNotFound)):
        client.manifest_get(other, "v1")
    with pytest.raises((RemoteUnauthorized, RemoteNotFound)):
        journeys.push_image(client, other, "v1")


def test_lists(world: World, loopback: None) -> None:
    """By Harbor's REST API: everything that the account may see, and of one project when that is asked for."""
    projects = [world.project(), world.project()]
    with client_of(world, world.owner) as owner:
        names = sorted(f"{project}/{path}" for project in projects for path in ("app", "deep/er/app"))
        for name in names:
            journeys.push_image(owner, name, "v1")
        for kind in ("harbor", "harborlite"):
            listing = KINDS[kind].listing
            assert listing is not None
            assert set(names) <= set(listing(owner, ""))
            assert sorted(listing(owner, f"{projects[0]}/")) == [n for n in names if n.startswith(projects[0])]


def test_an_upload_that_breaks_goes_on(client: RegistryClient, project: str) -> None:
    """Where it broke off: what arrived is not sent again."""
    content, opened = unique(journeys.BIG), list[int]()

    def breaking(offset: int) -> Iterator[bytes]:
        opened.append(offset)
        for number, chunk in enumerate(journeys.source(content[offset:])):
            if number == 40 and len(opened) == 1:
                raise ConnectionResetError
            yield chunk

    assert blob_push(client, f"{project}/broken", sha256(content), len(content), breaking)
    assert b"".join(client.blob_read(f"{project}/broken", sha256(content))) == content
    assert len(opened) == 2
