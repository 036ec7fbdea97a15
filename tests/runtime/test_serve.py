"""`harborlite serve` as a user of it sees it: start, stop, kill, take over, restart."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from harborlite import sockets
from tests.product import HARBORLITE, ROOT, Serve, clean_environment, parent_of, processes_of, wait_for


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """A server of this module's own, which its tests stop and start as they like."""
    with Serve() as running:
        yield running


@pytest.fixture
def running(serve: Serve) -> Serve:
    """The module's server, which runs, whatever the last test left."""
    if serve.process is None:
        serve.start()
    return serve


def login(product: Serve, password: str) -> int:
    """The status of a request for a token by the first administrator."""
    return requests.get(f"{product.url}/service/token", auth=("admin", password), timeout=10).status_code


def children_of(process: int, data: Path) -> dict[str, int]:
    """The supervisor's children, by a word of their command line."""
    words = ("postgres", "valkey-server", "celery:app --quiet worker", "celery:app --quiet beat", "gunicorn")
    found = {number: command for number, command in processes_of(data).items() if parent_of(number) == process}
    return {word: number for number, command in found.items() for word in words if word in command}


def test_everything_is_well_after_the_start(running: Serve) -> None:
    def health() -> dict[str, Any]:
        return requests.get(f"{running.url}/api/v2.0/health", timeout=30).json()

    assert {part["name"] for part in health()["components"]} == {"core", "database", "jobservice", "redis", "registry"}
    # A part that a crowded machine kept from answering in time is asked again.
    wait_for("all parts are well", lambda: health()["status"] == "healthy", told=running.said)
    assert requests.get(f"{running.url}/api/v2.0/ping", timeout=10).text == "Pong"
    assert login(running, running.admin_password) == 200
    assert login(running, "Wrong-password-1") == 401


def test_check_passes_on_a_running_server(running: Serve) -> None:
    checked = running.command("check")
    assert checked.returncode == 0, checked.stdout
    assert [line.split() for line in checked.stdout.splitlines()] == [
        [part, "ok"] for part in ("settings", "database", "tables", "broker", "storage")
    ]


def test_announcement_says_how_to_push(running: Serve) -> None:
    said = running.said()
    for command in (
        f"docker login {running.bind} --username admin",
        f"docker tag IMAGE {running.bind}/library/IMAGE",
        f"docker push {running.bind}/library/IMAGE",
    ):
        assert command in said
    assert running.admin_password not in said


def test_others_can_not_look_into_the_data(running: Serve) -> None:
    for path in (running.data, *running.data.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_commands_of_the_apps_reach_the_running_server(running: Serve) -> None:
    made = running.command("user", "create", "carol", "--password-stdin", text="Correct-horse-1\n")
    assert made.returncode == 0, made.stderr
    assert requests.get(f"{running.url}/service/token", auth=("carol", "Correct-horse-1"), timeout=10).ok
    again = running.command("user", "create", "carol", "--password-stdin", text="Correct-horse-1\n")
    assert again.returncode == 1
    assert len(again.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_stops_everything_with_status_0(running: Serve, number: signal.Signals) -> None:
    assert running.process is not None
    running.process.send_signal(number)
    assert running.process.wait(60) == 0
    assert running.processes() == {}
    running.process = None


def test_killed_server_leaves_no_process_and_loses_nothing(running: Serve) -> None:
    made = running.command("project", "create", "kept")
    assert made.returncode == 0, made.stderr
    running.kill()
    running.start()
    assert "kept" in running.command("project", "list").stdout


def test_signal_during_the_start_stops_everything(running: Serve) -> None:
    running.stop()
    process = running.spawn("serve")
    wait_for("PostgreSQL", lambda: "postgres" in children_of(process.pid, running.data))
    process.terminate()
    assert process.wait(60) == 0
    assert running.processes() == {}


def test_who_asks_again_does_not_wait_for_transfers(running: Serve) -> None:
    """An upload that is being sent would be waited for."""
    assert running.process is not None
    host, _, port = running.bind.partition(":")
    with socket.create_connection((host, int(port))) as client:
        credentials = b64encode(f"admin:{running.admin_password}".encode())
        head = b"POST /v2/library/waiting/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        client.sendall(head + b"Authorization: Basic " + credentials + b"\r\n\r\n")
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 202 "), answer
        (where,) = re.findall(rb"Location: (\S+)", answer)
        head = b"PATCH " + where + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
        client.sendall(head + b"Authorization: Basic " + credentials + b"\r\n\r\n" + b"x" * 200_000)
        already = len(running.said())
        running.process.terminate()
        wait_for("it stops", lambda: "harborlite: stopping" in running.said()[already:])
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.5)
        asked = time.monotonic()
        running.process.terminate()
        assert running.process.wait(60) == 0
        assert time.monotonic() - asked < 15
    running.process = None
    assert running.processes() == {}


def test_second_start_takes_over(running: Serve) -> None:
    first = running.process
    assert first is not None
    running.start()
    assert first.wait(10) == 0
    assert running.is_answering("/readyz")


def test_start_waits_for_what_a_killed_server_left(running: Serve) -> None:
    first = running.process
    assert first is not None
    first.kill()
    running.start()
    first.wait()
    assert running.is_answering("/readyz")


def test_what_dies_is_started_again(running: Serve) -> None:
    assert running.process is not None
    before = children_of(running.process.pid, running.data)
    assert len(before) == 5
    for process in before.values():
        os.kill(process, signal.SIGKILL)

    def is_whole_again() -> bool:
        assert running.process is not None
        now = children_of(running.process.pid, running.data)
        return len(now) == 5 and not set(now.values()) & set(before.values())

    wait_for("five new children", is_whole_again)
    wait_for("readiness", lambda: running.is_answering("/readyz"))
    wait_for("health", lambda: running.command("check").returncode == 0)


def test_busy_port_is_one_clear_line(running: Serve, tmp_path: Path) -> None:
    environment = running.env | {"HARBORLITE_DATA": str(tmp_path / "other")}
    tried = subprocess.run(
        [*HARBORLITE, "serve"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 1
    assert tried.stderr == f"harborlite: cannot listen on {running.bind}: Address already in use\n"


def test_generated_password_is_shown_once_and_kept() -> None:
    fresh = Serve()
    del fresh.env["HARBOR_ADMIN_PASSWORD"]
    file = fresh.data / "admin-password"
    with fresh:
        password = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert login(fresh, password) == 200
        assert fresh.said().count(password) == 1
        fresh.stop()
        fresh.start()
        assert fresh.said().count(password) == 1
        assert fresh.said().count(str(file)) > 1


def test_long_data_path_works(tmp_path: Path) -> None:
    data = tmp_path / ("long, with a comma " * 8) / "data"
    with Serve(data=data) as deep:
        assert deep.command("check").returncode == 0
        deep.kill()
    shutil.rmtree(sockets.directory(data))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HARBORLITE_BIND", "8080"),
        ("HARBORLITE_BIND", "localhost:http"),
        ("DATABASE_URL", "mysql://localhost/harborlite"),
        ("HARBORLITE_STORAGE", "tape"),
        ("HARBORLITE_WEB_THREADS", "many"),
        ("HARBORLITE_WORKER_PROCESSES", "several"),
        ("HARBORLITE_S3_REDIRECT", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL_FILE", "/nonexistent"),
    ],
)
def test_wrong_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    environment = clean_environment() | {"HARBORLITE_DATA": str(tmp_path), name: value}
    tried = subprocess.run(
        [*HARBORLITE, "serve"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 2, tried.stderr
    assert tried.stderr.startswith(f"harborlite: {name}")
    assert tried.stderr.count("\n") == 1
    assert processes_of(tmp_path) == {}


def test_data_that_is_no_directory_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    environment = clean_environment() | {"HARBORLITE_DATA": str(file)}
    tried = subprocess.run(
        [*HARBORLITE, "serve"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 1
    assert str(file) in tried.stderr
    assert tried.stderr.count("\n") == 1
