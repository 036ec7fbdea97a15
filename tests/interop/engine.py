"""A Docker engine of the tests' own: another daemon, directory and socket than the machine's, without networks.

tests ---- docker, docker-buildx ---- DIRECTORY/docker.sock ---- dockerd, containerd ---- the product
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pytest

from harborlite.leash import leashed
from tests.interop.programs import Home, Program, find
from tests.product import processes_of

START = 30.0  # seconds
STOP = 20.0  # seconds

# The engine's two ways to keep images. They push with different code: the first Docker's own, one image at a time;
# the second containerd's, whole indexes with attestations.
STORES = {"overlay2": {}, "overlayfs": {"features": {"containerd-snapshotter": True}}}


class Engine:
    """A running engine; where it can't run, the test is skipped. To be closed."""

    def __init__(self, store: str) -> None:
        self.store = store
        if os.geteuid() != 0:
            pytest.skip("a Docker engine needs root")
        dockerd, client = find("dockerd"), find("docker")
        self.directory = Path(tempfile.mkdtemp(prefix="docker-"))  # short: a socket is in it
        self.home = Home(self.directory / "home", {"DOCKER_HOST": f"unix://{self.directory}/docker.sock"})
        self.docker = Program(client, self.home, 60.0)
        self._log = self.directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                leashed(self._command(dockerd), at_death=signal.SIGTERM),
                env=self.home.environment,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """It and all it started have ended, and its images are gone."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP)
        for process in processes_of(self.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self.directory)

    def install_buildx(self) -> None:
        """`docker buildx` works; without the plugin, the test is skipped."""
        plugin = self.home.directory / "docker" / "cli-plugins" / "docker-buildx"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        if not plugin.exists():
            plugin.symlink_to(find("docker-buildx"))

    def _command(self, dockerd: str) -> list[str]:
        configuration = self.directory / "daemon.json"
        configuration.write_text(json.dumps(STORES[self.store]))
        return [
            dockerd,
            *("--config-file", str(configuration), "--storage-driver", self.store),
            *("--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec"),
            *("--pidfile", f"{self.directory}/docker.pid", "--host", f"unix://{self.directory}/docker.sock"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            *("--insecure-registry", "127.0.0.0/8"),
        ]

    def _wait(self) -> None:
        deadline = time.monotonic() + START
        while self.docker.trouble("version"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text("utf-8", "replace").strip().splitlines() or ["it says nothing"]
                pytest.skip(f"dockerd with {self.store} does not start here: {said[-1]}")
            time.sleep(0.05)
