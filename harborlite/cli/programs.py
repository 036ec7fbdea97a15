"""The three programs of the product: their command lines, and running one alone."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harborlite import env
from harborlite.cli.output import Failure
from harborlite.leash import leashed

# Celery warns of root, and of numbers without a name, because of pickled messages; ours are JSON.
_QUIET = ("-W", "ignore:You're running the worker with superuser", "-W", "ignore:An entry for the specified gid")
_CELERY = (*_QUIET, "-m", "celery", "--app", "harborlite.celery:app", "--quiet")


@dataclass(frozen=True)
class Program:
    """A program of the product, run by this Python. It stops in order at SIGTERM, at once at SIGQUIT.

    `death_signal` is what it gets when its parent was killed. Celery takes no SIGQUIT while it waits for a broker that
    died too, so it is killed; its pool then ends by itself (harborlite.celery).
    """

    name: str
    arguments: tuple[str, ...]
    stop_seconds: float
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGQUIT
    death_signal: signal.Signals = signal.SIGQUIT

    @property
    def command(self) -> list[str]:
        return [sys.executable, *self.arguments]

    def spawn(self, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """The process; it inherits the environment, the terminal and the descriptors `keep_open`."""
        return subprocess.Popen(  # noqa: S603 - our own commands
            leashed(self.command, at_death=self.death_signal),
            stdin=subprocess.DEVNULL,
            pass_fds=keep_open,
            start_new_session=True,  # a terminal's Ctrl-C is for the parent alone, which stops things in order
        )


def programs(queues: str = "") -> tuple[Program, Program, Program]:
    """Web server, worker and scheduler, as the environment says. The worker takes `queues`, or all of them."""
    log_level = env.text("LOG_LEVEL")
    processes = str(env.integer("HARBORLITE_WORKER_PROCESSES") + 1)  # one for short work: harborlite.celery
    return (
        Program("web", ("-m", "gunicorn", "--config", "python:harborlite.gunicorn_conf", "harborlite.wsgi"), 45),
        Program(
            "worker",
            (
                *_CELERY,
                "worker",
                "--loglevel",
                log_level,
                "--concurrency",
                processes,
                "--without-gossip",
                "--without-mingle",
                *(("--queues", queues) if queues else ()),
            ),
            45,
            death_signal=signal.SIGKILL,
        ),
        # Its times need not be kept: a tick that was missed is made up for by the next.
        Program(
            "beat",
            (*_CELERY, "beat", "--loglevel", log_level, "--scheduler", "harborlite.celery:Metronome"),
            10,
            death_signal=signal.SIGKILL,
        ),
    )


def address() -> tuple[str, int]:
    """Host and port of HARBORLITE_BIND."""
    host, _, port = env.text("HARBORLITE_BIND").rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise env.InvalidSetting(f"HARBORLITE_BIND must be HOST:PORT, not {env.text('HARBORLITE_BIND')!r}")
    return host.strip("[]"), int(port)


def require_free_address() -> None:
    """HARBORLITE_BIND can be listened on. Failure when not."""
    host, port = address()
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(name)
    except OSError as error:
        raise Failure(f"cannot listen on {env.text('HARBORLITE_BIND')}: {error.strerror}") from error


def web(_options: argparse.Namespace) -> int:
    require_free_address()
    return _become(programs()[0])


def worker(options: argparse.Namespace) -> int:
    """Failure when one of the queues is none."""
    wanted = [name.strip() for name in (options.queues or "").split(",") if name.strip()]
    if wanted:
        _require_queues(wanted)
    return _become(programs(",".join(wanted))[1])


def _require_queues(wanted: Sequence[str]) -> None:
    import django

    django.setup()
    from system.jobs.kinds import queues

    for name in wanted:
        if name not in queues():
            raise Failure(f"there is no queue {name}; there are {', '.join(queues())}")


def beat(_options: argparse.Namespace) -> int:
    return _become(programs()[2])


def _become(program: Program) -> int:
    os.execv(program.command[0], program.command)  # noqa: S606 - our own commands
