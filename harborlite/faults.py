"""Failpoints: places where tests make the process die or fail, to prove that nothing acknowledged is lost.

`fault("upload.mid_body")` does nothing unless HARBORLITE_FAULTS names a directory and a file of that name is in it.
The file's text is the action, done once: the file is removed first. Actions: kill9 (SIGKILL to this process), raise
(RuntimeError), enospc (OSError ENOSPC), sleep:SECONDS. A test fires every point of the table below.
"""

import errno
import os
import signal
import time
from pathlib import Path

from django.conf import settings

POINTS: dict[str, str] = {
    "upload.after_session_row": "the upload's row is committed, nothing was answered",
    "upload.mid_body": "some of the body was written",
    "upload.after_write_before_offset": "the bytes are durable, the row does not know them",
    "commit.after_hash": "the digest was found right",
    "commit.after_fsync": "the blob's bytes are durable under their part's name",
    "commit.after_rename": "the blob's bytes are durable under their final key",
    "commit.before_db_commit": "rows are written, the transaction is open",
    "commit.after_db_commit_before_response": "the blob is committed, nothing was answered",
    "manifest.after_lock": "the referenced rows are locked",
    "manifest.before_commit": "rows are written, the transaction is open",
    "manifest.after_commit": "the manifest is committed, nothing was answered",
    "tag.between_lock_and_update": "the tag is locked, not moved",
    "copy.before_tags": "blobs are linked and manifests inserted, the transaction is open",
    "copy.before_commit": "the whole graph is there under its tags, the transaction is open",
    "artifact.before_delete_commit": "the whole graph is gone, the transaction is open",
    "restore.before_commit": "the whole of it is back under its tags, the transaction is open",
    "backup.after_dump": "the database is in the backup, no blob is",
    "collection.before_commit": "a batch is gone and the run says so, the transaction is open",
    "collection.after_commit": "a batch of garbage is gone",
    "retention.before_delete_commit": "an artifact is gone and the plan says so, the transaction is open",
    "retention.after_delete_commit": "an artifact is gone",
    "expiry.before_commit": "a tag is gone, the transaction is open",
    "gc.before_object_delete": "the tombstone is due, its bytes are there",
    "gc.after_object_delete": "the bytes are gone, the tombstone is there",
}


def fault(name: str) -> None:
    """Performs the action armed for failpoint `name`; usually none."""
    if not settings.FAULTS:
        return
    armed = Path(settings.FAULTS) / name
    try:
        action = armed.read_text()
        armed.unlink()
    except FileNotFoundError:
        return
    match action.partition(":"):
        case "kill9", _, _:
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise", _, _:
            raise RuntimeError(f"failpoint {name}")
        case "enospc", _, _:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "sleep", _, seconds:
            time.sleep(float(seconds))
