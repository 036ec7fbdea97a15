"""Who calls /v2: a bearer token, Basic credentials, or nobody; and the challenge that asks for better ones."""

from django.conf import settings
from django.http import HttpRequest

from accounts.actors import ANONYMOUS
from accounts.authentication import authenticate_basic, parse_basic
from harborlite.errors import Unauthorized
from registry import tokens
from registry.access import Caller

SERVICE = "harborlite"


def caller_of(request: HttpRequest) -> Caller:
    """The caller that the Authorization header names; Unauthorized when it names one wrongly."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return Caller(ANONYMOUS)
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        token = tokens.verify(value.strip())
        return Caller(token.actor, token)
    credentials = parse_basic(header)
    if credentials is None:
        raise Unauthorized("unknown kind of credentials; use a bearer token or Basic")
    return Caller(authenticate_basic(*credentials))


def external_url(request: HttpRequest) -> str:
    """Scheme and host under which this client reaches us: EXT_ENDPOINT, else the request's own, checked, host."""
    return settings.EXT_ENDPOINT or f"{request.scheme}://{request.get_host()}"


def challenge(request: HttpRequest, scopes: list[str], error: str | None = None) -> str:
    """The WWW-Authenticate header (distribution's token specification); `scopes` like repository:a/b:pull,push."""
    parts = [f'realm="{external_url(request)}/service/token"', f'service="{SERVICE}"']
    if scopes:
        parts.append(f'scope="{" ".join(scopes)}"')
    if error:
        parts.append(f'error="{error}"')
    return "Bearer " + ",".join(parts)
