"""Writes of personal access tokens."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import tokens
from accounts.constraints import refusals, retried
from accounts.models import AccessToken, User
from accounts.services.revocation import access_changed, require_person
from accounts.services.texts import line
from harborlite.errors import BadRequest
from system import events


@retried
def token_issue(*, user: User, name: str, expires_at: datetime | None = None) -> tuple[AccessToken, str]:
    """A personal access token and its secret, which is shown this once. Conflict when `user` has one of that name."""
    require_person(user)
    name = name.strip()
    if not name:
        raise BadRequest("name can't be empty")
    if expires_at is not None and expires_at <= timezone.now():
        raise BadRequest("a token expires in the future")
    secret = tokens.PREFIX + tokens.random_secret()
    with refusals("there is a token of that name", "the user is gone"), transaction.atomic(durable=True):
        token = AccessToken.objects.create(
            user=user, name=line("name", name), digest=tokens.digest(secret), expires_at=expires_at
        )
        _tell("create", user, name)
    return token, secret


@retried
def token_revoke(*, token: AccessToken) -> None:
    """The token is gone; registry tokens of its user issued before are refused."""
    with transaction.atomic(durable=True):
        if AccessToken.objects.filter(pk=token.pk).delete()[0]:
            _tell("delete", token.user, token.name)
        access_changed([token.user_id])


def token_used(*, token: AccessToken, at: datetime) -> None:
    """It is known that the token was used then."""
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=at)


def _tell(operation: str, user: User, name: str) -> None:
    resource = f"{user.username}/{name}"
    events.emit(operation, "token", resource, description=f"{operation} access token: {resource}")
