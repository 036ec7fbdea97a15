"""Whether a password is right, at a bounded cost. Knows no address and no lock: those are accounts.authentication's.

A hash takes 19 MiB and 20 ms, and clients send their password with every request. So what was right is remembered
for a minute, and a process hashes few passwords at a time.
"""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from django.contrib.auth.hashers import check_password, is_password_usable, make_password

from accounts.models import User
from harborlite.errors import Unavailable

REMEMBERED_SECONDS = 60.0
_REMEMBERED_MOST = 10_000
_AT_ONCE = 4  # the threads of a process together must not take its memory
_WAIT = 10.0  # seconds

_pepper = secrets.token_bytes(32)
_remembered: "OrderedDict[bytes, float]" = OrderedDict()
_remembered_lock = threading.Lock()
_places = threading.BoundedSemaphore(_AT_ONCE)

Rehash = Callable[[str], None]


@contextmanager
def place() -> Iterator[None]:
    """One of the few places of this process to hash a password in; Unavailable when none becomes free in time."""
    if not _places.acquire(timeout=_WAIT):
        raise Unavailable("too many sign-ins at a time; try again later")
    try:
        yield
    finally:
        _places.release()


def is_remembered(user: User, password: str) -> bool:
    """Whether `password` was right for `user` within the last minute, and neither has changed since."""
    return _remembered.get(_memory(user, password), 0.0) > time.monotonic()


def is_right(user: User | None, password: str, rehash: Rehash | None = None) -> bool:
    """Whether `password` is that of `user`; for nobody the same work, and no. To be called in a `place`.

    A yes is remembered. `rehash` is called with a password that today's hasher shall keep anew.
    """
    encoded = user.password if user and is_password_usable(user.password) else _nobodys_password()
    try:
        password.encode()
    except UnicodeEncodeError:  # lone surrogates: no password has them, and they can't be hashed
        password = ""
    if not check_password(password, encoded, rehash) or user is None:
        return False
    with _remembered_lock:
        memory = _memory(user, password)
        _remembered[memory] = time.monotonic() + REMEMBERED_SECONDS
        _remembered.move_to_end(memory)
        if len(_remembered) > _REMEMBERED_MOST:
            _remembered.popitem(last=False)
    return True


def _memory(user: User, password: str) -> bytes:
    """What is kept of a right password, bound to the account and the hash."""
    return hmac.digest(_pepper, f"{user.pk}\0{user.password}\0{password}".encode("utf-8", "surrogatepass"), "sha256")


@lru_cache(maxsize=1)
def _nobodys_password() -> str:
    return make_password(secrets.token_urlsafe(32))
