"""Browsers' sessions, and the token that proves that a request with one was not made by another site (CSRF).

    begin           a session, with a new id in the cookie `sid`
    user_of         whose it is: nobody's once the account changed, or session_timeout passed without a request
    end             it is gone
    require_token   the request is no other site's

The token has two parts, with Harbor's names: what browsers are answered carries it in the header X-Harbor-CSRF-Token
and its secret in the cookie _gorilla_csrf. Who sends both back was no other site, which can read neither. Requests
with an Authorization header never need it: no other site can make a browser send one.
"""

import time
from collections.abc import Callable
from typing import Any

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware, rotate_token

from accounts.models import User
from harborlite.errors import CsrfInvalid, UnsupportedMediaType
from system import config

CSRF_HEADER = "X-Harbor-CSRF-Token"
NO_RENEWAL = "X-Harbor-No-Session-Renewal"
"""Harbor's: with it, a page that asks by itself again and again does not keep a session alive."""

_USER, _VERSION, _SEEN = "user", "version", "seen"
_FOR_CLIENTS = ("/v2", "/service/", "/healthz", "/readyz")


# Sessions.


def begin(request: HttpRequest, user: User) -> None:
    """The request's session is `user`'s. Its id and its token are new: who planted the old ones has nothing."""
    request.session.flush()
    request.session.clear_expired()  # everybody's; here, since only here they become more
    request.session[_USER], request.session[_VERSION] = user.pk, user.access_version
    _seen(request)
    rotate_token(request)


def user_of(request: HttpRequest) -> User | None:
    """The active person whose session the request has, unless the account changed since it began. At most 2 queries."""
    session = request.session
    user_id = session.get(_USER)
    if user_id is None:
        return None
    age, most = time.time() - session[_SEEN], _timeout()
    user = User.objects.filter(pk=user_id, access_version=session[_VERSION], is_active=True).first()
    if user is None or age > most:
        session.flush()
        return None
    if age > most / 4 and NO_RENEWAL not in request.headers:  # not every time: it writes
        _seen(request)
    return user


def keep(request: HttpRequest, user: User) -> None:
    """The request's session, which is `user`'s, outlives what its own request changed about them."""
    user.refresh_from_db()
    request.session[_VERSION] = user.access_version


def end(request: HttpRequest) -> None:
    """The request's session, if it has one, is gone."""
    request.session.flush()


def _seen(request: HttpRequest) -> None:
    request.session[_SEEN] = int(time.time())
    request.session.set_expiry(_timeout())


def _timeout() -> int:
    return int(config.get("session_timeout")) * 60


# Requests of other sites.


class Csrf(CsrfViewMiddleware):
    """Django's, by Harbor's names. It asks nobody for a token: views do, by `require_token`."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if "HTTP_AUTHORIZATION" not in request.META:
            response[CSRF_HEADER] = _secret(request)
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            response.headers.setdefault("X-Frame-Options", "DENY")
        answer: HttpResponseBase = super().process_response(request, response)
        if request.is_secure():
            for cookie in answer.cookies.values():
                cookie["secure"] = True
        return answer

    def _check_referer(self, request: HttpRequest) -> None:
        """Browsers send an Origin, or at least this; who sends neither is none, such as Terraform with a session id."""
        if "HTTP_REFERER" in request.META:
            super()._check_referer(request)  # type: ignore[misc]  # the stubs lack it


def _secret(request: HttpRequest) -> str:
    """What the cookie holds, or will hold, and as a token is good for it. Bare: Django masks it for bodies only."""
    if "CSRF_COOKIE" not in request.META:
        rotate_token(request)
    request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
    return str(request.META["CSRF_COOKIE"])


def for_browsers(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: sessions and tokens, but where only clients go: these have neither, and none of their cost."""
    guarded = Csrf(SessionMiddleware(get_response))

    def middleware(request: HttpRequest) -> Any:
        return get_response(request) if request.path.startswith(_FOR_CLIENTS) else guarded(request)

    return middleware


def require_token(request: HttpRequest) -> None:
    """Returns when the request is a safe one, or carries both parts of the token; CsrfInvalid when not."""
    if (request.content_type or "").startswith("multipart/"):  # it would be read as a form, files and all
        raise UnsupportedMediaType()
    if CsrfViewMiddleware.process_view(Csrf(_guarded), request, _guarded, (), {}) is not None:
        raise CsrfInvalid(f"CSRF token invalid; send the header {CSRF_HEADER} and the cookie of the last answer")


def _guarded(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()
