"""The token service: credentials in, a token for the asked scopes out.

distribution's token specification (GET with Basic) and its OAuth 2 variant (POST with a form).
"""

import time
from datetime import UTC, datetime

from django.http import HttpRequest, JsonResponse, QueryDict

from accounts.authentication import authenticate_basic, parse_basic
from harborlite.actors import ANONYMOUS, Actor
from harborlite.errors import BadRequest, Unauthorized
from harborlite.http import Body
from registry import access, tokens
from registry.v2.base import V2View

MAX_FORM = 64 * 1024  # bytes


class TokenView(V2View):
    """/service/token. Anonymous callers get a token for what is public; wrong credentials are an error, never that."""

    def initial(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        """Credentials are this view's business; a bearer token is none."""
        self.warnings = []

    def get(self, request: HttpRequest) -> JsonResponse:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        actor = ANONYMOUS
        if header:
            credentials = parse_basic(header)
            if credentials is None:
                raise _basic_wanted()
            actor = _authenticated(*credentials)
        return _answer(actor, request.GET.getlist("scope"))

    def post(self, request: HttpRequest) -> JsonResponse:
        form = QueryDict(Body(request).read_all(MAX_FORM).decode("utf-8", "replace"))
        grant_type = form.get("grant_type", "")
        if grant_type != "password":
            raise BadRequest(
                "grant_type must be password; refresh tokens are not issued", detail={"grant_type": grant_type}
            )
        actor = _authenticated(form.get("username", ""), form.get("password", ""))
        return _answer(actor, form.getlist("scope"))


def _authenticated(username: str, secret: str) -> Actor:
    try:
        return authenticate_basic(username, secret)
    except Unauthorized:
        raise _basic_wanted() from None


def _basic_wanted() -> Unauthorized:
    return Unauthorized("wrong user name or secret", headers={"WWW-Authenticate": 'Basic realm="harborlite"'})


def _answer(actor: Actor, scopes: list[str]) -> JsonResponse:
    text = tokens.issue(actor, access.grant(actor, access.parse_scopes(scopes)))
    response = JsonResponse(
        {
            "token": text,
            "access_token": text,
            "expires_in": tokens.lifetime(),
            "issued_at": datetime.fromtimestamp(int(time.time()), UTC).isoformat().replace("+00:00", "Z"),
        }
    )
    response["Cache-Control"] = "no-store"
    return response
