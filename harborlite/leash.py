"""Children that do not outlive their parent. This file is also the program that stands between the two.

    parent ---- python leash.py PARENT SIGNAL IDENTITY DIRECTORY ---- execs ----> PROGRAM ARGUMENT...

The kernel sends SIGNAL to the program when the thread that started it is gone, however it went; so children are
started from a thread that lives as long as they shall: the main one. It is a program, not a function that runs in
the child before exec, because that is not safe in a process with threads.

IDENTITY is what the program sees itself as:
    -               who the parent is
    namespace:UID   UID, in a user namespace of its own where that stands for the parent: files, and rights on them,
                    are the parent's, less every privilege of root
    user:UID:GID    that user; needs root
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
ITSELF = "-"


def leashed(
    command: Sequence[str | Path], *, at_death: signal.Signals, identity: str = ITSELF, directory: Path | None = None
) -> list[str]:
    """The command that runs `command` in `directory` as `identity`; at this thread's end it gets `at_death`."""
    interpreter = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    where = str(directory) if directory else "."
    return [*interpreter, str(os.getpid()), str(int(at_death)), identity, where, *map(str, command)]


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def die_with_parent(at_death: int) -> None:
    """This process gets `at_death` when the thread that started it ends."""
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, at_death, 0, 0, 0)


def _become(identity: str) -> None:
    kind, *numbers = identity.split(":")
    if kind == "namespace":
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{numbers[0]} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{numbers[0]} {gid} 1", encoding="ascii")
    elif kind == "user":
        os.setgroups([])
        os.setgid(int(numbers[1]))
        os.setuid(int(numbers[0]))


def main() -> None:
    parent, at_death, identity, directory, *command = sys.argv[1:]
    try:
        # The directory first: the identity may have no way there, and does not need one once it stands in it.
        os.chdir(directory)
        _become(identity)
        # Last, because a change of identity lets go of the leash.
        die_with_parent(int(at_death))
        if os.getppid() != int(parent):
            sys.exit(0)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606 - our parent's command
    except OSError as error:
        sys.exit(f"cannot run {command[0]} as {identity}: {error}")


if __name__ == "__main__":
    main()
