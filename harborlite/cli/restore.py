"""`harborlite restore`: a server is as one of its backups has it.

    blobs -> database -> what goes on by itself is put in order

Bytes come first and the database in one transaction: until then there is no server, after that it is whole.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harborlite import env, settings
from harborlite.cli import dumps, prepare
from harborlite.cli.backups import SECRETS, Backup, backups, keep, key_mark
from harborlite.cli.instance import claim
from harborlite.cli.output import Failure, say, show
from harborlite.cli.transfer import copy_blobs
from harborlite.embedded import Postgres
from registry.blobstore import blobstore
from registry.blobstore.filesystem import FilesystemBlobstore


def restore(options: argparse.Namespace) -> int:
    """The server is as the newest backup of `options.directory`, or that at `options.at`, has it.

    1 when blobs are damaged in the backup: they answer as unknown until they are pushed again. Failure, with nothing
    changed but for bytes that nothing names, when a server runs or its database is not empty; that of
    `options.replace` is lost.
    """
    os.umask(0o077)
    top = Path(options.directory).absolute()
    chosen = _chosen(top, options.at)
    with _nobody_else():
        if not (options.replace or dumps.is_empty()):
            raise Failure("the database is not empty; with --replace, what it holds is lost")
        damaged = _blobs_from(top, chosen) if chosen.has_blobs else []
        if options.replace:
            dumps.clear()
        dumps.load(chosen.dump)
        _keys_from(chosen)
        prepare.migrate(options)
        _put_in_order(damaged)
    return _told(chosen, damaged)


def _chosen(top: Path, at: str | None) -> Backup:
    found = [each for each in backups(top) if at in (None, each.time)]
    if not found:
        raise Failure(f"there is no backup {'' if at is None else f'{at} '}in {top}")
    return found[-1]


@contextmanager
def _nobody_else() -> Iterator[None]:
    """The settings' database answers and no server uses it; an embedded one is started for as long."""
    lock = claim(settings.DATA)
    if lock is None:
        raise Failure(f"a server runs in {settings.DATA}; stop it first")
    try:
        if not settings.DATABASE_IS_EMBEDDED:
            dumps.require_unused()
            yield
            return
        server = Postgres(settings.DATA)
        server.start()
        try:
            yield
        finally:
            server.stop()
    finally:
        os.close(lock)


def _blobs_from(top: Path, chosen: Backup) -> list[str]:
    """The store has each blob the backup names; returns the digests of those that are wrong or missing in it."""
    # What is there already may be what made somebody restore.
    copied = copy_blobs(chosen.stored(), FilesystemBlobstore(top), blobstore(), rechecks=True, total=chosen.blobs)
    say(f"{copied.came} blobs copied ({copied.size} bytes), {copied.there} were there")
    return copied.damaged


def _keys_from(chosen: Backup) -> None:
    """DATA has the files that the server had; one whose key is given from outside goes on with that."""
    names = [name for name in SECRETS if not (name == "secret-key" and settings.SECRET_KEY_IS_GIVEN)]
    if chosen.secrets.is_dir():
        keep(chosen.secrets, settings.DATA, names)
    now = env.text("HARBORLITE_SECRET_KEY") or (settings.DATA / "secret-key").read_text(encoding="utf-8").strip()
    if key_mark(now) != chosen.key:
        say("HARBORLITE_SECRET_KEY is another than at the backup: passwords of other registries can't be read any more")


def _put_in_order(damaged: list[str]) -> None:
    """What was under way at the backup is over, what was wrong is known, and the planner knows the tables."""
    from django.db import connection, transaction

    from registry.models import Blob
    from registry.services.quarantine import blob_quarantine
    from registry.services.repairs import tasks_reap
    from registry.services.uploads import uploads_purge

    uploads_purge(now=True)  # their bytes are in no backup
    tasks_reap()  # their workers are another server's
    keys = Blob.objects.filter(digest__in=damaged).values_list("storage_key", flat=True)
    with transaction.atomic(durable=True):
        for key in list(keys):
            blob_quarantine(storage_key=key, problem="its bytes are damaged in the backup it was restored from")
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("ANALYZE")
    connection.close()


def _told(chosen: Backup, damaged: list[str]) -> int:
    for digest in damaged:
        say(f"{digest} is damaged in the backup: push it again")
    if not chosen.has_blobs:
        say("the backup has no blobs: run `harborlite fsck` to see whether the storage has all of them")
    show(f"restored from {chosen.directory}")
    return 1 if damaged else 0
