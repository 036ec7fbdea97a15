"""Who sends a request: from the Basic header to an Actor.

People sign in with their password or a personal access token in its place, robots with their secret. Every failure
is the same Unauthorized, after the same work: whether a name exists can be read neither from the answer nor from
its time.
"""

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from datetime import timedelta
from functools import lru_cache
from typing import cast

from django.conf import settings
from django.contrib.auth.hashers import check_password, is_password_usable, make_password
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import services, tokens
from accounts.actors import Actor, Kind
from accounts.models import AccessToken, User
from accounts.names import MAX_LENGTH, ROBOT_MARK, fold, is_line
from harborlite.errors import Unauthorized, Unavailable

REFUSED = "invalid username or password"
REMEMBERED_SECONDS = 60.0
_REMEMBERED_MOST = 10_000
_USED_STEP = timedelta(hours=1)
_HASHES_AT_ONCE = 4  # each takes 19 MiB; the threads of a process together must not take its memory
_HASH_WAIT = 10.0  # seconds

_pepper = secrets.token_bytes(32)
_remembered: "OrderedDict[bytes, float]" = OrderedDict()
_remembered_lock = threading.Lock()
_hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)


def parse_basic(header: str) -> tuple[str, str] | None:
    """Username and secret of an Authorization header (RFC 7617, UTF-8); None when it is no Basic one."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (username, secret) if colon else None


def actor_of(user: User) -> Actor:
    """The value that stands for `user`; a disabled administrator is none."""
    is_admin = user.is_superuser and user.is_active
    return Actor(user.pk, user.login, cast(Kind, str(user.kind)), is_admin, user.access_version)


def authenticate_basic(username: str, secret: str) -> Actor:
    """The actor that `username` and `secret` prove; Unauthorized when they prove none.

    One query; a token seen for the first time in an hour costs another, which writes that down.
    """
    prefix = settings.ROBOT_NAME_PREFIX
    is_robot = username.startswith(prefix)
    login = ROBOT_MARK + username.removeprefix(prefix) if is_robot else username
    # What can be no username is looked for all the same, as the empty name nobody has: it must cost what others cost.
    key = fold(login) if is_line(username) and len(username) <= MAX_LENGTH else ""
    user = _by_token(key, secret) if is_robot or secret.startswith(tokens.PREFIX) else None
    if user is None and not is_robot:
        user = _by_password(key, secret)
    if user is None:
        raise Unauthorized(REFUSED)
    return actor_of(user)


def _by_token(key: str, secret: str) -> User | None:
    """The active account `key` if `secret` is a live token of it. The digest is looked up: no comparison to time."""
    token = (
        AccessToken.objects.select_related("user")
        .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
        .filter(digest=tokens.digest(secret), user__username_key=key, user__is_active=True)
        .first()
    )
    if token is None:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USED_STEP:
        services.token_used(token=token, at=now)
    return token.user


def _by_password(key: str, secret: str) -> User | None:
    """The active person `key` if `secret` is their password. The row is read every time, so changes count at once."""
    nobody = _nobodys_password()
    user = User.objects.filter(username_key=key, kind=User.Kind.USER).first()
    encoded = user.password if user and is_password_usable(user.password) else nobody
    if not _password_is_right(user, secret, encoded):
        return None
    return user if user and user.is_active else None


@lru_cache(maxsize=1)
def _nobodys_password() -> str:
    return make_password(secrets.token_urlsafe(32))


def _password_is_right(user: User | None, secret: str, encoded: str) -> bool:
    """Whether `secret` is what `encoded` keeps; a yes is remembered for a minute, bound to the account and the hash."""
    try:
        plain = secret.encode()
    except UnicodeEncodeError:  # lone surrogates: no password has them, and they can't be hashed
        plain, secret = b"", ""
    memory = hmac.digest(_pepper, f"{user.pk if user else 0}\0{encoded}\0".encode() + plain, "sha256")
    if _remembered.get(memory, 0.0) > time.monotonic():
        return True

    def rehash(password: str) -> None:
        if user is not None:
            services.password_rehash(user=user, password=password, encoded=encoded)

    if not _hashing.acquire(timeout=_HASH_WAIT):
        raise Unavailable("too many sign-ins at a time; try again later")
    try:
        right = check_password(secret, encoded, rehash)
    finally:
        _hashing.release()
    if right:
        with _remembered_lock:
            _remembered[memory] = time.monotonic() + REMEMBERED_SECONDS
            _remembered.move_to_end(memory)
            if len(_remembered) > _REMEMBERED_MOST:
                _remembered.popitem(last=False)
    return right
