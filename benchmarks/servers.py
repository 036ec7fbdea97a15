"""The registries that are compared: each starts on loopback with an empty store of its own, and knows its processes."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "Benchmark-Pass-1"
CONFIG = """version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: %s}
"""


@dataclass
class Peer:
    """A running registry; `auth` are the credentials of its token service, None for one that asks for none."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    auth: tuple[str, str] | None = None
    data: Path | None = None
    """What it keeps."""
    _tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, repository: str) -> dict[str, str]:
        """What a client that has its token sends with each request on `repository`."""
        if self.auth is None:
            return {}
        if repository not in self._tokens:
            scope = f"repository:{repository}:pull,push"
            answer = requests.get(f"{self.url}/service/token", params={"scope": scope}, auth=self.auth, timeout=30)
            answer.raise_for_status()
            self._tokens[repository] = answer.json()["token"]
        return {"Authorization": f"Bearer {self._tokens[repository]}"}

    def memory(self) -> int:
        """Bytes of memory that belong to its web processes alone or in part (proportional set size)."""
        return sum(_proportional(pid) for pid in _family(self.process.pid) if _serves(pid))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        return [pid, *(below for child in children.read_text().split() for below in _family(int(child)))]
    return []


def _serves(pid: int) -> bool:
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"gunicorn" in command or b"registry" in command.split(b"\0")[0]
    return False


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _free_address() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


@contextlib.contextmanager
def _running(
    name: str, command: list[str], address: str, env: Mapping[str, str], auth: tuple[str, str] | None
) -> Iterator[Peer]:
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                requests.get(f"http://{address}/v2/", timeout=5)
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not start: {' '.join(command)}")
            time.sleep(0.1)
        yield Peer(name, f"http://{address}", process, auth)
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def harborlite() -> Iterator[Peer]:
    """This checkout, everything in one, with token authentication."""
    with tempfile.TemporaryDirectory(prefix="harborlite-bench-") as directory:
        address = _free_address()
        env = {**os.environ, "HARBOR_ADMIN_PASSWORD": PASSWORD}
        command = [sys.executable, "-m", "harborlite.cli", "serve", "--data", f"{directory}/data", "--bind", address]
        with _running("harborlite", command, address, env, ("admin", PASSWORD)) as peer:
            peer.data = Path(directory, "data")
            yield peer


@contextlib.contextmanager
def distribution(binary: str, verb: list[str]) -> Iterator[Peer]:
    """A distribution registry over files, without authentication."""
    if shutil.which(binary) is None:
        raise SystemExit(f"{binary} is not installed; on Debian: apt-get install docker-registry")
    with tempfile.TemporaryDirectory(prefix="harborlite-bench-") as directory:
        address = _free_address()
        config = Path(directory, "config.yml")
        config.write_text(CONFIG % (f"{directory}/data", address))
        env = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        with _running(Path(binary).name, [binary, *verb, str(config)], address, env, None) as peer:
            yield peer
