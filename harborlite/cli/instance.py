"""One server a data directory: who starts takes over from who runs there.

DATA/lock is locked by `harborlite serve` and, because they inherit the open file, by everything it started. So who
holds the lock knows that nothing of an earlier server is left, however that ended. The file says which process the
server is, to ask it to stop.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from harborlite.cli.output import Failure, say

TAKE_OVER_SECONDS = 120.0
KILLED_SECONDS = 10.0


def take_over(data: Path) -> int:
    """The descriptor of the lock, which is ours. Failure when an earlier server can't be made to stop."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(descriptor, data)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, _itself(os.getpid()).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def claim(data: Path) -> int | None:
    """The descriptor of the lock, which is ours; None when a server has it, which is left alone."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _locked(descriptor):
        os.close(descriptor)
        return None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, _itself(os.getpid()).encode(), 0)
    return descriptor


def _wait(descriptor: int, data: Path) -> None:
    asked = ""
    started = time.monotonic()
    while not _locked(descriptor):
        waited = time.monotonic() - started
        owner = os.pread(descriptor, 100, 0).decode("ascii", "replace")
        if owner != asked:
            asked = owner
            _ask(owner, data)
        if waited > TAKE_OVER_SECONDS + KILLED_SECONDS:
            raise Failure(f"processes {sorted(_holders(descriptor))} of an earlier server hold {data} and do not end")
        if waited > TAKE_OVER_SECONDS:
            for process in _holders(descriptor):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask(owner: str, data: Path) -> None:
    """Asks the server to stop, if it is still the process that it was."""
    process = owner.partition(" ")[0]
    if process.isdecimal() and owner == _itself(int(process)):
        say(f"{data} is in use by process {process}, which is asked to stop")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGTERM)
    else:
        say(f"waiting for what is left of an earlier server in {data}")


def _itself(process: int) -> str:
    """A process's number, and when it started: numbers come again."""
    with contextlib.suppress(OSError):
        return f"{process} {Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[19]}"
    return ""


def _holders(descriptor: int) -> Iterator[int]:
    """The processes, other than this, that have the lock's file open."""
    ours = os.fstat(descriptor)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            process = int(link.parts[2])
            if process != os.getpid() and os.path.samestat(link.stat(), ours):
                yield process
