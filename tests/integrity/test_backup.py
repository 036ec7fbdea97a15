"""Backups of a server under load, restored to a new place: whole, and going on by itself (files and S3)."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crash.scene import Ledger, tagged
from tests.factories import World
from tests.images import sha256, unique
from tests.integrity.conftest import Keeper, Place
from tests.ociclient import Client
from tests.product import Product, Serve, Split, wait_for
from tests.seaweed import Seaweed

QUICK = {
    "HARBORLITE_TOMBSTONE_SECONDS": "0",
    "HARBORLITE_S3_REDIRECT": "false",
    "HARBORLITE_JOB_LEASE": "30",  # longer than until the dump, so that a lost job is in it as running
}
PUSHERS = 3


@pytest.fixture(params=["files", pytest.param("objects", marks=pytest.mark.s3)])
def make(request: pytest.FixtureRequest) -> Callable[[], Product]:
    """Makes a server that does not run, of one kind and then of the other."""

    def product() -> Product:
        if request.param == "files":
            return Serve(QUICK)
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        return Split(seaweed, QUICK)

    return product


@pytest.fixture
def busy(make: Callable[[], Product]) -> Iterator[Place]:
    """A server for one test: nothing else survives that bytes go as soon as nobody needs them."""
    with make() as product:
        place = Place(product)
        yield place
        place.close()


@contextmanager
def restored(like: Product, product: Product, directory: Path, *options: str) -> Iterator[Product]:
    """`product`, with nothing in it, runs as the backup has it."""
    product.admin_password = product.env["HARBOR_ADMIN_PASSWORD"] = like.admin_password
    if "HARBORLITE_SECRET_KEY" in like.env:
        product.env["HARBORLITE_SECRET_KEY"] = like.env["HARBORLITE_SECRET_KEY"]
    try:
        servers = product.servers if isinstance(product, Split) else []
        for server in servers:
            server.start()
        done = product.command("restore", str(directory), *options)
        assert done.returncode == 0, done
        for server in servers:
            server.stop()
        product.start()
        yield product
    finally:
        product.close()


class Load:
    """Clients that push, pull, delete and make garbage, until they are told to stop."""

    def __init__(self, place: Place, repository: str) -> None:
        self.place, self.repository = place, repository
        self.ledgers = [Ledger(place.world.player()) for _ in range(PUSHERS)]
        self.is_over = threading.Event()
        self.garbage: list[str] = []

    def __enter__(self) -> "Load":
        self.pool = ThreadPoolExecutor(PUSHERS)
        self.running = [self.pool.submit(self._push, number) for number in range(PUSHERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for each in self.running:
            each.result()
        self.pool.shutdown()

    def _push(self, number: int) -> None:
        ledger, done = self.ledgers[number], 0
        shared = unique(20_000)
        while not self.is_over.is_set():
            ledger.push_image(self.repository, f"{number}-{done}", unique(), shared, unique(30_000))
            if done % 3 == 2:
                tag = f"{number}-{done - 1}"
                digest = ledger.tags.pop((self.repository, tag))
                del ledger.manifests[self.repository, digest]
                assert ledger.client.delete(self.repository, digest).status == 202
            done += 1

    @property
    def tags(self) -> dict[str, str]:
        """What was acknowledged and not deleted up to now."""
        return {tag: digest for each in self.ledgers for (_, tag), digest in dict(each.tags).items()}


def test_a_backup_under_load_is_whole(busy: Place, make: Callable[[], Product], tmp_path: Path) -> None:
    """With what is collected while it is made, without what was merely under way; and the server goes on from there."""
    server, client, repository = busy.product, busy.world.player(), busy.world.repository()
    lone, directory = unique(1000), tmp_path / "b"
    client.push_blob(repository, lone)
    location = client.session_of(repository)
    assert client.append(location, unique(5000)).status == 202
    with Load(busy, repository) as load:
        wait_for("some pushes", lambda: len(load.tags) > 10)
        job, before = busy.keeper("scrub_with_lost_worker"), load.tags
        server.arm("backup.after_dump", "sleep:5")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(server.command, "backup", str(directory))
            wait_for("the dump", lambda: not (server.faults / "backup.after_dump").exists())
            key = busy.keeper("collect", digest=sha256(lone))
            busy.keeper("sweep")
            assert busy.keeper("is_stored", key=key)
            done = running.result()
        assert (done.returncode, done.stdout.count("blobs")) == (0, 1), done
        checked = server.command("fsck", "--deep")
        assert (checked.returncode, checked.stdout) == (0, "no violations found\n"), checked
        wait_for("more pushes", lambda: len(load.tags) > len(before) + 5)
        left = load.tags.keys() & before.keys()
    busy.keeper("sweep")
    assert not busy.keeper("is_stored", key=key)
    with restored(server, make(), directory) as product:
        checked = product.command("fsck", "--deep")
        assert (checked.returncode, checked.stdout) == (0, "no violations found\n"), checked
        reader = Client(product.url, client.username, busy.world.owner.secret)
        assert reader.get_blob(repository, sha256(lone)).body == lone
        there = reader.tags(repository)
        assert left <= set(there)
        for tag in there:
            reader.pull(repository, tag)
        assert [tagged(reader, repository, tag) for tag in sorted(left)] == [before[tag] for tag in sorted(left)]
        assert reader.request("GET", location).status == 404
        keeper = Keeper(product.env)
        wait_for("the job's end, without a hand", lambda: keeper("status", execution_id=job) == "Success")
        keeper.close()
        Ledger(reader).push_image(repository, "afterwards", unique(), unique(1000))
        reader.close()


# What follows is of one kind of server alone.


class BackedUp(NamedTuple):
    server: Serve
    ledger: Ledger
    keeper: Keeper
    directory: Path

    def held(self) -> set[bytes]:
        return {path.read_bytes() for path in (self.directory / "blobs").rglob("*") if path.is_file()}

    def times(self) -> set[str]:
        return {path.parent.name for path in self.directory.glob("*/backup.json")}


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackedUp]:
    """A server with an image, and a backup of it."""
    directory = tmp_path_factory.mktemp("backups") / "b"
    with Serve() as server:
        world = World(server.url, server.env, server.admin_password)
        ledger = Ledger(world.player())
        ledger.push_image(world.repository(), "v1", unique(), unique(1000))
        assert server.command("backup", str(directory)).returncode == 0
        keeper = Keeper(server.env)
        yield BackedUp(server, ledger, keeper, directory)
        keeper.close()
        world.close()


def test_nobody_else_can_read_it(backed_up: BackedUp) -> None:
    modes = {path: path.stat().st_mode & 0o077 for path in [backed_up.directory, *backed_up.directory.rglob("*")]}
    assert any(path.name == "secret-key" for path in modes)
    assert not any(modes.values()), modes


def test_old_backups_go_with_what_only_they_name(backed_up: BackedUp) -> None:
    server, ledger, keeper, directory = backed_up
    (repository, _), content = next(iter(ledger.blobs.items()))
    lone = unique(500)
    ledger.client.push_blob(repository, lone)
    assert server.command("backup", str(directory)).returncode == 0
    keeper("collect", digest=sha256(lone))
    assert {lone, content} <= backed_up.held()
    assert server.command("backup", str(directory), "--keep", "1").returncode == 0
    assert (lone in backed_up.held(), content in backed_up.held()) == (False, True)
    assert len(backed_up.times()) == 1


def test_what_was_cut_off_is_no_backup(backed_up: BackedUp) -> None:
    server, _, _, directory = backed_up
    before = backed_up.times()
    server.arm("backup.after_dump", "kill9")
    assert server.command("backup", str(directory)).returncode < 0
    assert backed_up.times() == before
    assert server.command("backup", str(directory), "--keep", "1").returncode == 0
    assert {path.name for path in directory.iterdir()} - {"uploads"} == {"blobs", "lock", *backed_up.times()}
    assert list(directory.glob("uploads/*")) == []


def test_a_second_has_one_backup_at_most(backed_up: BackedUp) -> None:
    """Whoever comes in the same second as one that was cut off takes the next that is free."""
    server, _, _, directory = backed_up
    now = datetime.now(UTC)
    taken = {f"{now + timedelta(seconds=after):%Y-%m-%dT%H-%M-%SZ}" for after in range(5)}
    for name in taken:
        (directory / name).mkdir(mode=0o700, exist_ok=True)
    before = backed_up.times()
    done = server.command("backup", str(directory))
    assert done.returncode == 0, done
    assert len(backed_up.times() - before - taken) == 1


def test_damaged_blobs_are_told_and_the_rest_is_kept(backed_up: BackedUp, tmp_path: Path) -> None:
    server, ledger, keeper, _ = backed_up
    (repository, _), _ = next(iter(ledger.blobs.items()))
    bad = unique(500)
    ledger.client.push_blob(repository, bad)
    keeper("corrupt", digest=sha256(bad))
    done = server.command("backup", str(tmp_path / "b"))
    assert (done.returncode, sha256(bad) in done.stderr) == (1, True), done
    held = {path.read_bytes() for path in (tmp_path / "b" / "blobs").rglob("*") if path.is_file()}
    assert set(ledger.blobs.values()) <= held
    keeper("collect", digest=sha256(bad))


def test_nothing_is_restored_over_a_server_that_runs_or_holds_something(backed_up: BackedUp, tmp_path: Path) -> None:
    server, ledger, _, directory = backed_up
    refused = server.command("restore", str(directory), "--at", "1999")
    assert (refused.returncode, "no backup 1999" in refused.stderr) == (1, True), refused
    refused = server.command("restore", str(directory))
    assert (refused.returncode, "a server runs" in refused.stderr) == (1, True), refused
    server.stop()
    refused = server.command("restore", str(directory))
    assert (refused.returncode, "not empty" in refused.stderr) == (1, True), refused
    # A server that does not run is backed up all the same.
    assert server.command("backup", str(tmp_path / "another")).returncode == 0
    server.start()
    ledger.verify()


def test_damage_in_place_is_mended_by_replacing(backed_up: BackedUp) -> None:
    server, ledger, keeper, directory = backed_up
    (repository, digest), _ = next(iter(ledger.blobs.items()))
    keeper("corrupt", digest=digest)
    assert ledger.client.delete(repository, "v1").status == 202
    server.stop()
    assert server.command("restore", str(directory), "--replace").returncode == 0
    server.start()
    ledger.verify()


def test_damage_in_the_backup_is_told_and_kept_from_pulls(backed_up: BackedUp, tmp_path: Path) -> None:
    server, ledger, _, _ = backed_up
    directory = shutil.copytree(backed_up.directory, tmp_path / "b")
    (repository, digest), content = next(iter(ledger.blobs.items()))
    for path in (directory / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == content:
            path.write_bytes(b"\0" + content[1:])
    server.stop()
    shutil.rmtree(server.data)
    done = server.command("restore", str(directory))
    assert (done.returncode, digest in done.stderr) == (1, True), done
    server.start()
    assert ledger.client.head_blob(repository, digest).status == 404
    ledger.client.push_blob(repository, content)
    ledger.verify()
