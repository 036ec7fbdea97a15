"""Texts that are made once and kept in a file: generated secrets."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path


def kept(file: Path, make: Callable[[], str], mode: int = 0o600) -> str:
    """The line in `file`, made when it is not there. It appears whole, and of two makers at once one wins."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(make() + "\n", encoding="utf-8")
        draft.chmod(mode)
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
        return file.read_text(encoding="utf-8").strip()
