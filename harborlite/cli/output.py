"""What a command says on the terminal."""

import contextlib
import sys


class Failure(Exception):
    """The command can't do what it was asked for; the message says why, and what to do."""


def say(text: str) -> None:
    """A line on standard error, where logs go. A terminal that is gone is no reason to stop."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"harborlite: {text}\n")
        sys.stderr.flush()


def show(text: str) -> None:
    """Lines on standard output: what was asked for."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
