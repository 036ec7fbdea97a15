"""How people are shown and described, for the views of accounts."""

from typing import Any

from rest_framework import serializers

from accounts.models import User
from accounts.queries import user_by_id
from harborlite.errors import Precondition
from harborlite.rest.fields import Line, Moment, Text
from harborlite.rest.views import SIGNED_IN, RestView


class UserOut(serializers.Serializer[User]):
    user_id = serializers.IntegerField(source="pk")
    username = serializers.CharField()
    email = serializers.SerializerMethodField()
    realname = serializers.CharField()
    comment = serializers.CharField()
    sysadmin_flag = serializers.BooleanField(source="is_superuser")
    admin_role_in_auth = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")

    def get_email(self, user: User) -> str:
        return user.email or ""

    def get_admin_role_in_auth(self, user: User) -> bool:
        """Nobody is an administrator because a directory says so."""
        return False


class ProfileIn(serializers.Serializer[Any]):
    """What people may write about themselves. Whatever else a body holds is passed over: it gives nobody anything."""

    email = Line()
    realname = Line()
    comment = Text(max_length=255, default="", allow_blank=True)


class PersonView(RestView):
    """A resource of one person. People need no right for the methods in `own` on themselves."""

    own: frozenset[str] = frozenset()

    def authorize(self, need: str | None) -> None:
        super().authorize(SIGNED_IN if self.is_own and self.request.method in self.own else need)

    @property
    def is_own(self) -> bool:
        return self.actor.kind == "user" and self.actor.user_id == self.kwargs["user_id"]

    def person(self) -> User:
        return user_by_id(self.kwargs["user_id"])


class CurrentView(RestView):
    """A resource of whoever asks; Precondition for robots (Harbor)."""

    def person(self) -> User:
        if self.actor.kind != "user" or self.actor.user_id is None:
            raise Precondition(f"get current user not available for security context: {self.actor.kind}")
        return user_by_id(self.actor.user_id)
