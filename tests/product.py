"""The product itself, run as its users run it: `Serve` is everything in one, `Split` its programs apart.

Both are for any test that speaks HTTP to the real thing; the fixtures are in conftest.py.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import requests

from harborlite import env
from harborlite.embedded import Postgres, Server, Valkey
from harborlite.leash import leashed
from system import keys

if TYPE_CHECKING:  # at run time it is imported late: pytest must see it first, as a plugin
    from tests.seaweed import Seaweed

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0  # seconds
HARBORLITE = (sys.executable, "-m", "harborlite.cli")


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of the product."""
    variables = [*(variable.name for variable in env.TABLE), *(key.variable for key in keys.TABLE)]
    ours = {name for variable in variables for name in (variable, f"{variable}_FILE")}
    return {name: value for name, value in os.environ.items() if name not in ours}


def wait_for(what: str, is_so: Callable[[], bool], seconds: float = PATIENCE, *, told: Callable[[], str] = str) -> None:
    """Fails with `what`, and with what is `told` at the end, when it is not so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{told()}"
        time.sleep(0.02)


def processes_of(directory: Path) -> dict[int, str]:
    """Command lines of the processes whose arguments, environment or working directory name `directory`."""
    found = {}
    wanted = os.fsencode(directory)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            where = os.fsencode((process / "cwd").readlink())
            told = b"\0".join([command, where, (process / "environ").read_bytes()])
            if int(process.name) != os.getpid() and wanted in told:
                found[int(process.name)] = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return found


def parent_of(process: int) -> int:
    """Its number; 0 when the process has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def free_port() -> int:
    """A loopback port that nobody listens on now; none that the system gives to outgoing connections."""
    while True:
        port = 15000 + secrets.randbelow(17000)  # not `random`, which pytest-randomly seeds alike in every worker
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


class Product(ABC):
    """A running product. `env` is the environment of its processes, for commands that shall meet the same data."""

    def __init__(self, settings: Mapping[str, str] | None = None, data: Path | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="harborlite-"))  # short: sockets are in it
        self.data = data or self._directory / "data"
        self.bind = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.bind}"
        self.admin_password = f"Admin-{secrets.token_hex(8)}"
        self.log = self._directory / "log"
        self.faults = self._directory / "faults"
        self.faults.mkdir()
        self.env = {
            **clean_environment(),
            "HARBORLITE_DATA": str(self.data),
            "HARBORLITE_BIND": self.bind,
            "HARBOR_ADMIN_PASSWORD": self.admin_password,
            "HARBORLITE_FAULTS": str(self.faults),
            "HARBORLITE_OUTBOUND_ALLOW": "127.0.0.0/8:*",  # where the tests' other registries are
            **(settings or {}),
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """It answers requests."""

    @abstractmethod
    def stop(self) -> None:
        """It was asked to stop and has ended; what it keeps is still there."""

    def close(self) -> None:
        """It has ended and its data is gone."""
        self.stop()
        shutil.rmtree(self._directory)

    def command(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Runs `harborlite ARGUMENT...` on the same data, `text` on its standard input."""
        return subprocess.run(
            [*HARBORLITE, *arguments],
            env=self.env,
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `harborlite ARGUMENT...`, which writes to `log` and is asked to stop when this process ends."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                leashed([*HARBORLITE, *arguments], at_death=signal.SIGTERM),
                env=self.env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def arm(self, failpoint: str, action: str) -> None:
        """The next process that passes the failpoint does it (harborlite/faults.py)."""
        (self.faults / failpoint).write_text(action)

    def is_answering(self, path: str = "/healthz") -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url + path, timeout=5).status_code == 200
        return False

    def processes(self) -> dict[int, str]:
        """Process numbers and command lines of all its processes."""
        return processes_of(self._directory) | processes_of(self.data)

    def web_workers(self) -> list[int]:
        """Process numbers of the web server's workers."""
        gunicorn = {process for process, command in self.processes().items() if "-m gunicorn" in command}
        return sorted(process for process in gunicorn if parent_of(process) in gunicorn)

    def kill_web_workers(self) -> None:
        """Each web worker dies at once, and others answer again."""
        before = self.web_workers()
        for process in before:
            os.kill(process, signal.SIGKILL)
        wait_for("new web workers", lambda: bool(set(self.web_workers()) - set(before)) and self.is_answering())


class Serve(Product):
    """`harborlite serve`."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        already = len(self.said())
        process = self.process = self.spawn("serve")
        wait_for("ready", lambda: "is ready at" in self.said()[already:] or process.poll() is not None, told=self.said)
        assert process.poll() is None, self.said()

    def stop(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
            status, self.process = self.process.wait(PATIENCE), None
            assert status in (0, -signal.SIGKILL), self.said()

    def kill(self) -> None:
        """It dies at once; what it started notices and ends."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        wait_for("nothing is left", lambda: not self.processes())


class Split(Product):
    """web, worker and beat as processes of their own, with PostgreSQL and Valkey on TCP and S3 for the blobs."""

    def __init__(self, seaweed: "Seaweed", settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        database, broker = str(free_port()), str(free_port())
        away = self._directory / "away"
        away.mkdir()
        self.servers: list[Server] = [
            Postgres(away, {"listen_addresses": "127.0.0.1", "port": database, "fsync": "off"}),
            Valkey(away, {"port": broker}),
        ]
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.env |= {
            "DATABASE_URL": self.servers[0].url,
            "REDIS_URL": self.servers[1].url,
            "HARBORLITE_SECRET_KEY": secrets.token_hex(32),
            "HARBORLITE_STORAGE": "s3",
            "HARBORLITE_S3_BUCKET": f"harborlite-{secrets.token_hex(4)}",
            "HARBORLITE_S3_ENDPOINT": seaweed.endpoint,
            "HARBORLITE_S3_ACCESS_KEY": seaweed.access_key,
            "HARBORLITE_S3_SECRET_KEY": seaweed.secret_key,
            **(settings or {}),
        }

    def start(self) -> None:
        for server in self.servers:
            server.start()
        migrated = self.command("migrate")
        assert migrated.returncode == 0, migrated.stderr
        for name in ("worker", "beat", "web"):
            self.programs[name] = self.spawn(name)
        wait_for("ready", lambda: self.is_answering("/readyz"), told=self.said)

    def stop(self) -> None:
        for program in reversed(self.programs.values()):
            program.terminate()
        for name, program in self.programs.items():
            assert program.wait(PATIENCE) == 0, f"{name}: {self.said()}"
        self.programs.clear()
        for server in reversed(self.servers):
            server.stop()
