"""Where the embedded servers of a data directory are reached: sockets in DATA/run, and nothing else."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

NAME = "harborlite"
"""Of the embedded database and of its superuser."""

_PATH_BYTES = 107  # a socket's path, in sockaddr_un
_SHORT = Path("/tmp")  # noqa: S108 - holds a directory of our own, whose owner and mode are checked


def directory(data: Path) -> Path:
    """The directory of the sockets of `data`: DATA/run, or one elsewhere when a client could not use a path there.

    It may be too long, or hold a comma, at which PostgreSQL's client takes it for two hosts.
    """
    run = data / "run"
    if len(os.fsencode(run / ".s.PGSQL.5432")) <= _PATH_BYTES and "," not in str(run):
        return run
    return _SHORT / f"harborlite-{os.getuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"


def broker(data: Path) -> Path:
    """The socket of Valkey."""
    return directory(data) / "valkey.sock"


def database_url(data: Path) -> str:
    return f"postgres://{NAME}@/{NAME}?host={quote(str(directory(data)), safe='')}"


def broker_url(data: Path) -> str:
    return f"redis+socket://{quote(str(broker(data)))}"
