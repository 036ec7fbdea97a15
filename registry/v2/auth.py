"""Who calls /v2: a bearer token, Basic credentials, or nobody; and the challenge that asks for better ones."""

from django.http import HttpRequest

from accounts.authentication import authenticate_basic, parse_basic
from harborlite.actors import ANONYMOUS
from harborlite.errors import Unauthorized
from harborlite.http import external_url
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


def challenge(request: HttpRequest, scopes: list[str], error: str | None = None) -> str:
    """The WWW-Authenticate header (distribution's token specification); `scopes` like repository:a/b:pull,push."""
    parts = [f'realm="{external_url(request)}/service/token"', f'service="{SERVICE}"']
    if scopes:
        parts.append(f'scope="{" ".join(scopes)}"')
    if error:
        parts.append(f'error="{error}"')
    return "Bearer " + ",".join(parts)
