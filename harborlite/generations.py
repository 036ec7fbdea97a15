"""A table in shared memory that tells every process of this machine when something it remembers may have changed.

Each thing (`("repository", 7)`) hashes to one 64-bit slot of a small mapped file. Who changes a thing writes a new
unique value into its slot after the commit and before the answer; who remembers a thing keeps the slot's value from
before it read the database, and trusts its memory only while the slot still holds it. So nothing that was
acknowledged is ever answered stale. Two things in one slot only cost a needless reload.

The table is in use only with the embedded database, which is reachable from this machine alone. With an external
one, processes of other machines could not see the slots: then `ENABLED` is false and nothing may be remembered.
A writer killed between its commit and its mark is healed by `MAX_AGE`: memory older than that is not trusted.
"""

import mmap
import os
import random
import zlib
from functools import lru_cache

from django.conf import settings
from django.db import transaction

SLOTS = 1 << 16
EPOCH = 0
MAX_AGE = 2.0  # seconds

ENABLED: bool = settings.DATABASE_IS_EMBEDDED


@lru_cache(maxsize=1)
def _table() -> memoryview:
    file = settings.EMBEDDED_SOCKETS / "generations"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, SLOTS * 8)
        return memoryview(mmap.mmap(descriptor, SLOTS * 8)).cast("Q")
    finally:
        os.close(descriptor)


@lru_cache(maxsize=100_000)
def slot(kind: str, key: int) -> int:
    """The index of a thing's slot."""
    return 1 + zlib.crc32(f"{kind}:{key}".encode()) % (SLOTS - 1)


def value(index: int) -> int:
    """What slot `index` holds now."""
    return _table()[index]


def bump(kind: str, key: int) -> None:
    """Whoever remembers this thing forgets it. To be called after the commit that changed it."""
    if ENABLED:
        # A random value, never a counter: two writers that add 1 at the same time could bring an old value back.
        mark = random.getrandbits(64)  # unique, not secret
        table = _table()
        # The epoch first: who read the database before the commit and the slot after this has seen the epoch move.
        table[EPOCH] = mark
        table[slot(kind, key)] = mark


def bump_on_commit(kind: str, key: int) -> None:
    """`bump` once the caller's transaction has committed; at once when there is none."""
    if ENABLED:
        transaction.on_commit(lambda: bump(kind, key))
