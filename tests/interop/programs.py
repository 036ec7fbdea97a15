"""Client programs as tests run them: found, kept away from the account's own configuration, and watched.

Program ---- exec ----> skopeo, podman, docker ... ---- HTTP ----> the product
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PATIENCE = 60.0  # seconds
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harborlite-clients" / "bin"
SEARCHED = os.pathsep.join([str(CACHE), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def find(name: str) -> str:
    """Where the program is; without it, the test is skipped."""
    found = shutil.which(name, path=SEARCHED)
    if found is None:
        pytest.skip(f"{name} is not installed; tests/interop/install-clients installs it or says why it can't")
    return found


@dataclass
class Home:
    """A home directory for clients: no configuration, login or image of the account is seen or changed."""

    directory: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{self.directory}/graph"\nrunroot = "{self.directory}/run"\n'
        engine = '[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\n'
        for name, text in {
            "auth.json": "{}",  # podman pull wants it to be there
            "storage.conf": storage,
            "containers.conf": engine,
            "registries.conf": "unqualified-search-registries = []\n",
            ".config/containers/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
        }.items():
            file = self.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.directory / "runtime").mkdir(mode=0o700, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        here = str(self.directory)
        return {
            "HOME": here,
            "PATH": SEARCHED,
            "XDG_RUNTIME_DIR": f"{here}/runtime",
            "TMPDIR": here,
            "REGISTRY_AUTH_FILE": f"{here}/auth.json",
            "CONTAINERS_STORAGE_CONF": f"{here}/storage.conf",
            "CONTAINERS_CONF": f"{here}/containers.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{here}/registries.conf",
            "DOCKER_CONFIG": f"{here}/docker",
            **self.extra,
        }

    def program(self, name: str, seconds: float = PATIENCE) -> "Program":
        return Program(find(name), self, seconds)


@dataclass
class Program:
    """A client program. Each call must end within `seconds`."""

    path: str
    home: Home
    seconds: float

    @property
    def name(self) -> str:
        return Path(self.path).name

    def __call__(self, *arguments: object, text: str = "") -> str:
        """What it printed on standard output; it succeeded."""
        done, told = self._run(arguments, text)
        assert done.returncode == 0, told
        return done.stdout

    def told(self, *arguments: object, text: str = "") -> str:
        """What it printed on standard error; it succeeded."""
        done, told = self._run(arguments, text)
        assert done.returncode == 0, told
        return done.stderr

    def refused(self, *arguments: object, text: str = "") -> str:
        """What it printed on either output; it failed."""
        done, told = self._run(arguments, text)
        assert done.returncode != 0, told
        return done.stdout + done.stderr

    def trouble(self, *arguments: object) -> str:
        """The last line of what it said when it failed; empty when it succeeded."""
        done, told = self._run(arguments, "")
        return (done.stderr or told).strip().splitlines()[-1] if done.returncode else ""

    def _run(self, arguments: tuple[object, ...], text: str) -> tuple[subprocess.CompletedProcess[str], str]:
        command = [self.path, *map(str, arguments)]
        shown = f"$ {' '.join(command)}\n"
        try:
            done = subprocess.run(
                command,
                env=self.home.environment,
                cwd=self.home.directory,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.seconds,
            )
        except subprocess.TimeoutExpired as cut:
            printed = b"".join(filter(None, [cut.stdout, cut.stderr])).decode("utf-8", "replace")
            pytest.fail(f"{shown}{printed}[not done within {self.seconds} s]")
        return done, f"{shown}{done.stdout}{done.stderr}[status {done.returncode}]"
