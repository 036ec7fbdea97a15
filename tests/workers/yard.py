"""A database, a broker, and as many workers and schedulers as a test wants, each a real process that may be hurt."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from harborlite.embedded import Postgres, Valkey
from harborlite.leash import leashed
from tests import factories
from tests.product import HARBORLITE, ROOT, clean_environment, wait_for

LEASE = 3  # seconds


class Yard:
    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="harborlite-"))
        self.data = self.directory / "data"
        self.data.mkdir()
        self.env = {
            **clean_environment(),
            "HARBORLITE_DATA": str(self.data),
            "HARBORLITE_SECRET_KEY": secrets.token_hex(16),
            "HARBORLITE_JOB_LEASE": str(LEASE),
            "HARBORLITE_WORKER_PROCESSES": "2",
        }
        self.database = Postgres(self.data, {"fsync": "off"})
        self.broker = Valkey(self.data)
        self.programs: list[Program] = []

    def __enter__(self) -> Self:
        self.database.start()
        self.broker.start()
        migrated = self.command("migrate")
        assert migrated.returncode == 0, migrated.stderr
        self.clerk = Clerk(self.env)
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        self.clerk.close()
        self.broker.stop()
        self.database.stop()
        shutil.rmtree(self.directory)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `harborlite ARGUMENT...` to its end."""
        command = [*HARBORLITE, *arguments]
        return subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=120)

    def worker(self, *arguments: str) -> "Program":
        return self._program("worker", "--concurrency", "3", "--without-gossip", "--without-mingle", *arguments)

    def beat(self) -> "Program":
        return self._program("beat", "--scheduler", "harborlite.celery:Metronome")

    def _program(self, *arguments: str) -> "Program":
        program = Program(self, *arguments)
        self.programs.append(program)
        return program

    def rest(self) -> None:
        """No worker and no scheduler is left."""
        for program in self.programs:
            program.kill()
        self.programs.clear()

    def start(self, kind: str, *tasks: dict[str, Any]) -> int:
        return int(self.clerk("start", kind=kind, tasks=tasks))

    def execution(self, number: int) -> dict[str, Any]:
        return self.clerk("execution", number=number)

    def wait(self, number: int, status: str = "Success", seconds: float = 60) -> dict[str, Any]:
        """Until the execution has that status."""
        wait_for(
            f"execution {number} is {status}",
            lambda: self.execution(number)["status"] == status,
            seconds,
            told=lambda: f"{self.execution(number)}\n{self.said()}",
        )
        return self.execution(number)

    def effects(self, number: int) -> list[dict[str, Any]]:
        tasks = {task["id"] for task in self.execution(number)["tasks"]}
        return [effect for effect in self.clerk("effects") if effect["task"] in tasks]

    def wait_for_effects(self, number: int, count: int) -> list[dict[str, Any]]:
        wait_for(f"{count} effects", lambda: len(self.effects(number)) >= count, told=self.said)
        return self.effects(number)

    def said(self) -> str:
        return "\n".join(f"== {program.log.name}\n{program.said()}" for program in self.programs)


class Program:
    """`harborlite worker` or `beat`, of the application in tests.workers.app."""

    def __init__(self, yard: Yard, *arguments: str) -> None:
        self.log = yard.directory / f"{arguments[0]}-{len(yard.programs)}-{secrets.token_hex(2)}.log"
        command = [sys.executable, "-m", "celery", "--app", "tests.workers.app:app", "--quiet", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                leashed(command, at_death=signal.SIGKILL),
                env=yard.env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.is_worker = arguments[0] == "worker"

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        """To it and all its children."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self, seconds: float = 30) -> int:
        """It was asked to end, and did."""
        self.process.terminate()
        return self.process.wait(seconds)


class Clerk(factories.Clerk):
    """tests.workers.clerk, running; to be closed."""

    module = "tests.workers.clerk"
