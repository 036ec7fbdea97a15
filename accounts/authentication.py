"""Who sends a request: from its Authorization header, or its session, to an Actor.

People sign in with their password or a personal access token in its place, robots with their secret. Every failure
is the same Unauthorized, after the same work: whether a name exists can be read neither from the answer nor from
its time. After too many wrong ones (accounts.lockout) it is TooManyRequests, whether the next one is right or not.
"""

import base64
import binascii
from datetime import timedelta
from typing import Literal, cast

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import lockout, passwords, queries, services, sessions, tokens
from accounts.models import AccessToken, User
from accounts.names import MAX_LENGTH, ROBOT_MARK, fold
from harborlite import origin
from harborlite.actors import Actor, Kind
from harborlite.errors import Unauthorized
from harborlite.text import is_line
from system import config

How = Literal["password", "token", "session"]
"""What proved who it is; `token` also for a robot's secret."""

REFUSED = "invalid username or password"
_USED_STEP = timedelta(hours=1)


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
    """The actor that `username` and `secret` prove; Unauthorized or TooManyRequests when they prove none.

    One query, for a password that was right a minute ago, or a token; a password that was not seen for a minute costs
    one more, and a token that was not seen for an hour one that writes that down.
    """
    return _identify(username, secret)[0]


def authenticate_person(username: str, password: str, *, is_told: bool) -> User:
    """The person whose password it is, else as above. If `is_told`, a failure is written down in the audit trail."""
    user = _by_password(_key(username), password, username, is_told=is_told)
    if user is None:
        raise Unauthorized(REFUSED)
    return user


class RestAuthentication(BaseAuthentication):
    """DRF's seam: who sends a request to the REST API, and how they proved it (`request.auth`, a How).

    A header is believed or refused, whatever session there is; a session has to prove that the request is no other
    site's (accounts.sessions); without either it is nobody.
    """

    def authenticate(self, request: Request) -> tuple[Actor, How] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return self._by_session(request)
        scheme, _, value = header.strip().partition(" ")
        if scheme.lower() == "bearer":
            user = _by_token(value.strip())
            if user is None:
                raise Unauthorized("the token is not valid")
            return actor_of(user), "token"
        credentials = parse_basic(header)
        if credentials is None:
            raise Unauthorized("unknown kind of credentials; use Basic, or an access token as a bearer token")
        return _identify(*credentials)

    def _by_session(self, request: Request) -> tuple[Actor, How] | None:
        user = sessions.user_of(request._request)
        if user is None:
            return None
        sessions.require_token(request._request)
        return actor_of(user), "session"


class PageAuthentication(RestAuthentication):
    """The console's seam: sessions alone count. A browser that was once asked for a Basic password sends it with every
    request, also with those that other sites make it send."""

    def authenticate(self, request: Request) -> tuple[Actor, How] | None:
        return self._by_session(request)


def _identify(username: str, secret: str) -> tuple[Actor, How]:
    prefix = config.get("robot_name_prefix")
    if username.startswith(prefix):
        key, how = _key(ROBOT_MARK + username.removeprefix(prefix)), "token"
        if tokens.is_random(secret):
            user = _by_token(secret, key)
        else:  # somebody chose it, and so somebody may guess it
            user = _by_password(key, secret, username, kind=User.Kind.ROBOT)
    elif tokens.is_token(secret):
        user, how = _by_token(secret, _key(username)), "token"
    else:
        user, how = _by_password(_key(username), secret, username), "password"
    if user is None:
        raise Unauthorized(REFUSED)
    return actor_of(user), cast(How, how)


def _key(username: str) -> str:
    """What can be no username is looked for all the same, as the empty name nobody has: it costs what others cost."""
    return fold(username) if is_line(username) and len(username) <= MAX_LENGTH else ""


def _by_token(secret: str, key: str | None = None) -> User | None:
    """The active account whose live token `secret` is, if it is that of `key`, when one is named.

    The digest is looked up: no comparison to time. Without a name, it must be a person's.
    """
    whose = Q(user__kind=User.Kind.USER) if key is None else Q(user__username_key=key)
    token = (
        AccessToken.objects.select_related("user")
        .filter(_live(), whose, digest=tokens.digest(secret), user__is_active=True)
        .first()
    )
    if token is None:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USED_STEP:
        services.token_used(token=token, at=now)
    return token.user


def _live() -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=Now())


def _by_password(
    key: str, password: str, name: str, *, kind: User.Kind = User.Kind.USER, is_told: bool = False
) -> User | None:
    """The active account `key` if `password` is its: of a person, or of a robot whose time is not over.

    The row is read every time, so changes count at once.
    """
    people = User.objects.filter(username_key=key, kind=kind)
    if kind == User.Kind.ROBOT:
        people = people.filter(Exists(AccessToken.objects.filter(_live(), user=OuterRef("pk"))))
    doors = queries.closed_doors(key, lockout.source_of(origin.current().address))
    user = people.annotate(is_locked=Exists(doors)).first()
    if user and user.is_active and not user.is_locked and passwords.is_remembered(user, password):
        return user
    is_right = services.password_check(account=key, user=user, password=password, name=name, is_told=is_told)
    return user if is_right else None
