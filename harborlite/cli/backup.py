"""`harborlite backup`: the whole server in a directory, while it runs.

    hold ----------------------------------------------------------> let go
          snapshot of the database -> dump, list of blobs -> blobs

The database comes first and is one snapshot. Bytes are there before a row names them, and the hold keeps every byte
that the snapshot names until it is copied; so what is restored is whole, whatever was pushed, deleted and collected
meanwhile.
"""

import argparse
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from harborlite import settings
from harborlite.cli import dumps
from harborlite.cli.backups import SECRETS, Backup, backups, keep, key_mark
from harborlite.cli.instance import claim
from harborlite.cli.output import Failure, say, show
from harborlite.cli.transfer import copy_blobs
from harborlite.database import holds
from harborlite.disk import sync
from harborlite.embedded import Postgres
from harborlite.faults import fault
from registry.blobstore import blobstore
from registry.blobstore.filesystem import FilesystemBlobstore

ROWS = 5000  # at a time
_BLOBS = "SELECT storage_key, size, digest FROM registry_blob ORDER BY id"
_TIME = "%Y-%m-%dT%H-%M-%SZ"
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")


def backup(options: argparse.Namespace) -> int:
    """`options.directory` has a further backup; 1 when some blobs are wrong or missing. Failure when it can't be."""
    if options.keep < 1:
        raise Failure("--keep: it must be 1 or more")
    os.umask(0o077)
    top = Path(options.directory).absolute()
    with _alone(top):
        with _database(), _held():
            made = _database_into(top, has_blobs=not options.without_blobs)
            if made.has_blobs:
                made = _blobs_into(top, made)
        keep(settings.DATA, made.secrets, SECRETS)
        made.finish()
        _thin_out(top, options.keep)
    return _told(made)


@contextmanager
def _held() -> Iterator[None]:
    """Inside, no bytes are removed from storage."""
    with closing(dumps.connect()) as keeper:
        try:
            with holds.held(keeper):
                yield
        except holds.HeldByAnother:
            raise Failure("another backup of this server is under way") from None
        except holds.HoldLost:
            raise Failure("the connection to the database broke meanwhile; make the backup again") from None


@contextmanager
def _alone(top: Path) -> Iterator[None]:
    """Nobody else writes backups to the directory."""
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(top / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another backup is being written to {top}") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _database() -> Iterator[None]:
    """The settings' database answers: the embedded one of a server that does not run is started for as long."""
    lock = claim(settings.DATA) if settings.DATABASE_IS_EMBEDDED else None
    if lock is None:
        yield
        return
    server = Postgres(settings.DATA)
    try:
        if not server.directory.exists():
            raise Failure(f"there is no server in {settings.DATA}")
        server.start()
        yield
    finally:
        server.stop()
        os.close(lock)


def _database_into(top: Path, *, has_blobs: bool) -> Backup:
    """The dump and the list of blobs, of one snapshot, in a new directory; not finished yet."""
    time = _begun(top)
    made = Backup(top / time, time, blobs=0, size=0, has_blobs=has_blobs, key=key_mark(settings.SECRET_KEY))
    with closing(dumps.connect()) as reader:
        reader.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with reader.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_export_snapshot()")
            dumps.dump(made.dump, cursor.fetchone()[0])
        return _listed(reader, made)


def _begun(top: Path) -> str:
    """The time, and its directory; another second where a backup was begun in this one."""
    while True:
        time = datetime.now(UTC).strftime(_TIME)
        try:
            (top / time).mkdir(mode=0o700)
        except FileExistsError:
            sleep(0.1)
        else:
            return time


def _listed(reader: Any, made: Backup) -> Backup:
    """The list of the blobs that the reader's snapshot names is written, and they are counted."""
    blobs = size = 0
    with reader.cursor("blobs") as cursor, made.list.open("w", encoding="ascii") as lines:
        cursor.itersize = ROWS
        try:
            cursor.execute(_BLOBS)
        except psycopg2.Error as error:
            raise Failure(f"the database can't be read: {str(error).strip()}") from error
        for key, length, digest in cursor:
            lines.write(f"{key}\t{length}\t{digest}\n")
            blobs, size = blobs + 1, size + length
    sync(made.list)
    return replace(made, blobs=blobs, size=size)


def _blobs_into(top: Path, made: Backup) -> Backup:
    """Each blob the backup names is in the directory."""
    fault("backup.after_dump")
    target = FilesystemBlobstore(top)
    for key in target.uploads():  # of a backup that was cut off
        target.abort(key)
    copied = copy_blobs(made.stored(), blobstore(), target, rechecks=False, total=made.blobs)
    say(f"{copied.came} blobs copied ({copied.size} bytes), {copied.there} were there")
    return replace(made, damaged=sorted(copied.damaged))


def _thin_out(top: Path, count: int) -> None:
    """The newest `count` backups are left, with the blobs that they name."""
    kept = backups(top)[-count:]
    for path in top.iterdir():
        if _TIMES.fullmatch(path.name) and path not in [each.directory for each in kept]:
            (path / "backup.json").unlink(missing_ok=True)  # first: what is left of it is none
            shutil.rmtree(path)
    named = {blob.key for each in kept if each.has_blobs for blob in each.stored()}
    store = FilesystemBlobstore(top)
    for entry in store.keys():  # noqa: SIM118 - not a dict
        if entry.key not in named:
            store.delete(entry.key)


def _told(made: Backup) -> int:
    for digest in made.damaged:
        say(f"{digest} is wrong or missing in storage: run `harborlite fsck --deep --repair`, and push it again")
    show(f"{made.directory}: the database, and {made.blobs if made.has_blobs else 'no'} blobs")
    if settings.SECRET_KEY_IS_GIVEN:
        say("the secret key is not in the backup, for it is given from outside: keep it elsewhere")
    return 1 if made.damaged else 0
