"""`harborlite serve`: everything in one, in the foreground."""

import argparse
import os
import socket
from pathlib import Path

from harborlite import env, settings
from harborlite.cli.instance import take_over
from harborlite.cli.output import Failure, say, show
from harborlite.cli.programs import Program, address, programs, require_free_address
from harborlite.cli.supervisor import Asked, Supervisor
from harborlite.embedded import Postgres, Valkey


def serve(_options: argparse.Namespace) -> int:
    """Runs until somebody asks it to stop, then answers 0. Failure, EmbeddedError when something does not start."""
    address()
    os.umask(0o077)
    data = settings.DATA
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_over(data)
    require_free_address()
    supervisor = Supervisor([lock])
    password_is_old = password_file().exists()
    web, worker, beat = programs()
    try:
        _start_servers(supervisor, data)
        if supervisor.run_once(Program("migrate", ("-m", "harborlite.cli", "migrate"), 10)) != 0:
            raise Failure("the database could not be prepared")
        supervisor.start(worker, beat)
        supervisor.start(web)
        supervisor.run(Announcement(shows_password=not password_is_old))
    except Asked:
        pass
    finally:
        say("stopping")
        supervisor.stop()
    return 0


def _start_servers(supervisor: Supervisor, data: Path) -> None:
    """The embedded servers that no URL replaces are ready."""
    servers = [
        *([] if env.text("DATABASE_URL") else [Postgres(data)]),
        *([] if env.text("REDIS_URL") else [Valkey(data)]),
    ]
    for server in servers:
        supervisor.start(server)
    with supervisor.interruptible():
        for server in servers:
            server.wait_until_ready()


def password_file() -> Path:
    """Where the first administrator's password is kept when it was generated."""
    return settings.DATA / "admin-password"


class Announcement:
    """Says once how to use the server, as soon as it answers."""

    def __init__(self, *, shows_password: bool) -> None:
        host, port = address()
        self._address = ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104 - compared
        self._shows_password = shows_password

    def __call__(self) -> bool:
        """Whether it has been said."""
        if not self._is_answering():
            return False
        show(self._text())
        return True

    def _is_answering(self) -> bool:
        try:
            with socket.create_connection(self._address, 5) as connection:
                connection.sendall(b"GET /api/v2.0/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return connection.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False

    def _text(self) -> str:
        host, port = self._address
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        url = settings.EXT_ENDPOINT or f"http://{name}"
        registry = url.partition("://")[2]
        return f"""
harborlite is ready at {url}

  user       admin
  password   {self._password()}

  docker login {registry} --username admin
  docker tag IMAGE {registry}/library/IMAGE
  docker push {registry}/library/IMAGE

Everything is kept in {settings.DATA}. Ctrl-C stops the server.
"""

    def _password(self) -> str:
        file = password_file()
        if not file.exists():
            return "as set by HARBOR_ADMIN_PASSWORD when the database was made"
        if self._shows_password:
            return f"{file.read_text().strip()} (kept in {file})"
        return f"in {file}, unless it was changed"
