"""The programs apart, as compose.yaml runs them: each reads the environment, none keeps anything of its own."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import requests

from harborlite.embedded import Postgres, Server
from tests.product import HARBORLITE, ROOT, Split, clean_environment, free_port, wait_for

pytestmark = pytest.mark.s3


def health(split: Split) -> dict[str, str]:
    """The status of each component."""
    told = requests.get(f"{split.url}/api/v2.0/health", timeout=30).json()
    return {part["name"]: part["status"] for part in told["components"]}


@contextlib.contextmanager
def away(server: Server) -> Iterator[None]:
    """Inside, the server is not there."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def test_check_passes_with_the_environment_alone(split_server: Split) -> None:
    checked = split_server.command("check")
    assert checked.returncode == 0, checked.stdout


def test_nothing_is_kept_on_the_disk(split_server: Split) -> None:
    assert split_server.is_answering("/readyz")
    assert not split_server.data.exists()


def test_without_the_broker_requests_are_served(split_server: Split) -> None:
    with away(split_server.servers[1]):
        wait_for("it is noticed", lambda: health(split_server)["redis"] == "unhealthy")
        assert split_server.is_answering("/readyz")
    wait_for("it is noticed", lambda: set(health(split_server).values()) == {"healthy"})


def test_without_the_database_it_is_alive_but_not_ready(split_server: Split) -> None:
    with away(split_server.servers[0]):
        wait_for("it is noticed", lambda: not split_server.is_answering("/readyz"))
        assert split_server.is_answering("/healthz")
        checked = split_server.command("check")
        assert checked.returncode == 1
        assert [line.split()[0] for line in checked.stdout.splitlines() if not line.endswith(" ok")] == [
            "database",
            "tables",
        ]
    # Each web process remembers for a moment what it found: the tests that follow may meet any of them.
    wait_for("every process notices", lambda: all(split_server.is_answering("/readyz") for _ in range(20)))


@pytest.fixture
def new_database(split_server: Split) -> str:
    """The URL of an empty database on the same server."""
    url = split_server.servers[0].url
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        name = f"new_{free_port()}"
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return url.rpartition("/")[0] + f"/{name}"


def harborlite(split: Split, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = split.env | {"DATABASE_URL": database}
    return subprocess.run(
        [*HARBORLITE, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_migrations_at_once_wait_for_each_other(split_server: Split, new_database: str) -> None:
    before = harborlite(split_server, new_database, "check")
    assert "run `harborlite migrate`" in before.stdout
    ended: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda: ended.append(harborlite(split_server, new_database, "migrate")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * 3
    assert harborlite(split_server, new_database, "check").returncode == 0
    people = harborlite(split_server, new_database, "user", "list").stdout
    assert [line.split()[0] for line in people.splitlines()[1:]] == ["admin"]


def test_migrate_waits_for_the_database(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    port = free_port()
    server = Postgres(tmp_path_factory.mktemp("late"), {"listen_addresses": "127.0.0.1", "port": str(port)})
    environment = clean_environment() | {
        "HARBORLITE_DATA": str(tmp_path),
        "HARBOR_ADMIN_PASSWORD": "Correct-horse-1",
        "DATABASE_URL": server.url,
    }
    with subprocess.Popen([*HARBORLITE, "migrate"], env=environment, cwd=ROOT) as migrate:
        server.start()
        assert migrate.wait(60) == 0
    server.stop()


def test_refused_password_names_its_variable(split_server: Split, new_database: str) -> None:
    environment = split_server.env | {"DATABASE_URL": new_database, "HARBOR_ADMIN_PASSWORD": "short"}
    tried = subprocess.run([*HARBORLITE, "migrate"], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert tried.returncode == 2
    assert tried.stderr.startswith("harborlite: HARBOR_ADMIN_PASSWORD: ")
    assert tried.stderr.count("\n") == 1


def test_secrets_are_made_once(tmp_path: Path) -> None:
    def write() -> dict[str, str]:
        made = subprocess.run([*HARBORLITE, "secrets", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        return {file.name: file.read_text() for file in tmp_path.iterdir()}

    first = write()
    assert first == write()
    assert len(set(first.values())) == len(first)
    assert first["postgres-password"].strip() in first["database-url"]
    assert first["s3-secret-key"].strip() in first["s3.json"]
