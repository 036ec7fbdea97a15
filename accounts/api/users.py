"""People: the list, one person, their password and whether they are administrators."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts import queries, services, sessions
from accounts.api.people import CurrentView, PersonView, ProfileIn, UserOut
from accounts.models import User
from harborlite.errors import Denied, Precondition
from harborlite.rest.fields import Flag, Line, Secret
from harborlite.rest.listing import Field, Listing, Moment, Number
from harborlite.rest.listing import Flag as IsSo
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView, system_actions
from system import config

PATH = "/api/v2.0/users"
LISTING = Listing(
    {
        "username": Field("username"),
        "user_id": Field("pk", Number),
        "email": Field("email"),
        "realname": Field("realname"),
        "comment": Field("comment"),
        "sysadmin_flag": Field("is_superuser", IsSo),
        "creation_time": Field("created_at", Moment),
        "update_time": Field("updated_at", Moment),
    },
    default="username",
)


class UserIn(ProfileIn):
    username = Line()
    password = Secret()


class UserFound(serializers.Serializer[User]):
    user_id = serializers.IntegerField(source="pk")
    username = serializers.CharField()


class PartsIn(serializers.Serializer[Any]):
    username = Line(required=False, help_text="A part of the username.")
    email = Line(required=False, help_text="A part of the e-mail address.")


class SearchIn(serializers.Serializer[Any]):
    username = Line(help_text="A part of the username.")


class SysadminIn(serializers.Serializer[Any]):
    # Terraform leaves it out to say no.
    sysadmin_flag = Flag(default=False)


class PasswordIn(serializers.Serializer[Any]):
    old_password = Secret(default="", allow_blank=True, allow_null=True)
    new_password = Secret()


class CliSecretIn(serializers.Serializer[Any]):
    secret = Secret(default="", allow_blank=True)


class Users(RestView):
    needs = {"GET": "user:list", "POST": None}

    @operation(gives=UserOut, many=True, listing=LISTING, query=PartsIn)
    def get(self, request: Request) -> HttpResponse:
        """List people."""
        parts = self.parameters(PartsIn)
        return self.listed(queries.users_list(**parts), LISTING, UserOut)

    @operation(takes=UserIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create an account, or one's own where configuration allows it."""
        values = self.body(UserIn) if self._may_create() else self._registration()
        user = services.user_create(**values)
        return self.created(f"{PATH}/{user.pk}")

    def _may_create(self) -> bool:
        return "user:create" in system_actions(self.actor)

    def _registration(self) -> Any:
        """The body of somebody who makes an account of their own: with a browser, as Harbor has it."""
        if not config.get("self_registration"):
            self.authorize("user:create")
        if self.request.auth not in (None, "session"):
            raise Denied("self-registration cannot be triggered via API")
        sessions.require_token(self.request._request)
        values = self.body(UserIn)
        services.probe_count()
        return values


class Current(CurrentView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=UserOut)
    def get(self, request: Request) -> HttpResponse:
        """Show whoever asks."""
        return self.shown(UserOut(self.person()))


class Search(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=UserFound, many=True, query=SearchIn)
    def get(self, request: Request) -> HttpResponse:
        """Find people by a part of their username."""
        found = queries.users_search(self.parameters(SearchIn)["username"])
        return self.listed(found, None, UserFound)


class One(PersonView):
    needs = {"GET": "user:read", "PUT": "user:update", "DELETE": "user:delete"}
    own = frozenset({"GET", "HEAD", "PUT"})

    @operation(gives=UserOut)
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Show a person."""
        return self.shown(UserOut(self.person()))

    @operation(takes=ProfileIn)
    def put(self, request: Request, user_id: int) -> HttpResponse:
        """Replace a person's profile."""
        services.user_update(user=self.person(), **self.body(ProfileIn))
        return self.done()

    @operation()
    def delete(self, request: Request, user_id: int) -> HttpResponse:
        """Delete an account."""
        if self.is_own:
            raise Denied(f"User with ID {user_id} cannot be deleted")
        services.user_delete(user=self.person())
        return self.done()


class Sysadmin(PersonView):
    needs = {"PUT": "user:update"}

    @operation(takes=SysadminIn)
    def put(self, request: Request, user_id: int) -> HttpResponse:
        """Make a person an administrator, or no more."""
        services.user_set_admin(user=self.person(), is_admin=self.body(SysadminIn)["sysadmin_flag"])
        return self.done()


class Password(PersonView):
    needs = {"PUT": "user:update"}
    own = frozenset({"PUT"})

    @operation(takes=PasswordIn)
    def put(self, request: Request, user_id: int) -> HttpResponse:
        """Change one's own password, or set somebody's."""
        values = self.body(PasswordIn)
        user, password = self.person(), values["new_password"]
        if self.is_own:
            services.user_change_password(user=user, old_password=values["old_password"] or "", password=password)
            if request.auth == "session":  # all others are dead now
                sessions.begin(request._request, user)
        else:
            services.user_set_password(user=user, password=password)
        return self.done()


class CliSecret(PersonView):
    needs = {"PUT": SIGNED_IN}

    @operation(takes=CliSecretIn)
    def put(self, request: Request, user_id: int) -> HttpResponse:
        """Set the secret that people from an OIDC provider use on the command line; there are none."""
        self.body(CliSecretIn)
        raise Precondition(f"unable to update CLI secret under authmode: {config.get('auth_mode')}")
