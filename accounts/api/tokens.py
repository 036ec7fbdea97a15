"""Personal access tokens: people's own, and for administrators those of others. A secret is shown once."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from accounts import queries, services, sessions
from accounts.api.people import CurrentView, PersonView
from accounts.models import AccessToken
from harborlite.errors import Denied
from harborlite.rest.fields import Line, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as Time
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN

PATH = "/api/v2.0/users/current/tokens"
FOR_EVER = -1
DAYS = 30
MOST_DAYS = 36_500
LISTING = Listing(
    {
        "id": Field("pk", Number),
        "name": Field("name"),
        "creation_time": Field("created_at", Time),
        "last_used_time": Field("last_used_at", Time),
    },
    default="-creation_time",
)


class Days(serializers.IntegerField):
    """As robots have it: days, or -1 for ever."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=FOR_EVER, max_value=MOST_DAYS, **options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | str) or data == 0:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class TokenIn(serializers.Serializer[Any]):
    name = Line()
    duration = Days(default=DAYS, help_text="Days until it expires; -1 for never.")


class TokenOut(serializers.Serializer[AccessToken]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    expires_at = serializers.SerializerMethodField(help_text="Seconds since 1970; -1 for never.")
    creation_time = Moment(source="created_at")
    last_used_time = Moment(source="last_used_at")

    def get_expires_at(self, token: AccessToken) -> int:
        return int(token.expires_at.timestamp()) if token.expires_at else FOR_EVER


class NewTokenOut(TokenOut):
    secret = serializers.SerializerMethodField(help_text="Shown this once.")

    def get_secret(self, token: AccessToken) -> str:
        return str(self.context["secret"])


class Mine(CurrentView):
    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @operation(gives=TokenOut, many=True, listing=LISTING)
    def get(self, request: Request) -> HttpResponse:
        """List one's own access tokens."""
        return self.listed(queries.tokens_of(self.person()), LISTING, TokenOut)

    @operation(takes=TokenIn, gives=NewTokenOut, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create an access token, to be used in place of the password or as a bearer token."""
        user, values = self.person(), self.body(TokenIn)
        if request.auth == "token":  # who found one could live on after it was revoked
            raise Denied("an access token can't make another one; sign in with the password")
        days = values["duration"]
        expires_at = None if days == FOR_EVER else timezone.now() + timedelta(days=days)
        token, secret = services.token_issue(user=user, name=values["name"], expires_at=expires_at)
        token.refresh_from_db()
        return self.created(f"{PATH}/{token.pk}", body=NewTokenOut(token, context={"secret": secret}).data)


class MyOne(CurrentView):
    needs = {"DELETE": SIGNED_IN}

    @operation()
    def delete(self, request: Request, token_id: int) -> HttpResponse:
        """Revoke one of one's own access tokens."""
        user = self.person()
        services.token_revoke(token=queries.token_by_id(user, token_id))
        if request.auth == "session":
            sessions.keep(request._request, user)
        return self.done()


class Theirs(PersonView):
    needs = {"GET": "user:read"}
    own = frozenset({"GET", "HEAD"})

    @operation(gives=TokenOut, many=True, listing=LISTING)
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """List a person's access tokens."""
        return self.listed(queries.tokens_of(self.person()), LISTING, TokenOut)


class TheirOne(PersonView):
    needs = {"DELETE": "user:update"}
    own = frozenset({"DELETE"})

    @operation()
    def delete(self, request: Request, user_id: int, token_id: int) -> HttpResponse:
        """Revoke one of a person's access tokens."""
        services.token_revoke(token=queries.token_by_id(self.person(), token_id))
        return self.done()
