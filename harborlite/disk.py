"""What has to be on the disk before anything is said about it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """The file's or directory's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
