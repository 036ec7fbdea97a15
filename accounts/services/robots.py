"""Robots' accounts, for projects.services.robots: all inside the caller's transaction, and told of by the caller."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core import serializers
from django.db.models.functions import Now

from accounts import tokens
from accounts.models import AccessToken, User
from accounts.names import ROBOT_MARK, fold
from accounts.services.people import set_password
from accounts.services.revocation import change, lock_for_removal
from harborlite import generations
from harborlite.errors import NotFound

_TOKEN = "secret"  # noqa: S105 - the name of the one token a robot has


def robot_account_create(*, name: str, expires_at: datetime | None) -> tuple[User, str]:
    """An account of kind robot that signs in as the prefix and `name`, and its secret.

    IntegrityError when there is one; the caller has checked the grammar of `name`.
    """
    username = ROBOT_MARK + name
    user = User(username=username, username_key=fold(username), kind=User.Kind.ROBOT)
    user.set_unusable_password()
    user.save(force_insert=True)
    secret = tokens.random_secret()
    AccessToken.objects.create(user=user, name=_TOKEN, digest=tokens.digest(secret), expires_at=expires_at)
    return user, secret


def robot_account_secret(*, user: User, secret: str | None = None) -> str:
    """The robot's secret is `secret`, or a new one; returned. It expires when the old one would have.

    One that somebody chose is kept as a password is, unless it looks as if it were made here. BadRequest when it does
    not keep the rule for passwords, IntegrityError when it is another robot's.
    """
    made = secret if secret and tokens.is_random(secret) else tokens.random_secret()
    set_password(user, secret if secret and secret != made else None)
    if not AccessToken.objects.filter(user=user, name=_TOKEN).update(
        digest=tokens.digest(made), created_at=Now(), last_used_at=None
    ):
        raise NotFound("there is no such robot")
    change(user, password=user.password)
    return secret or made


def robot_account_update(*, user: User, is_active: bool, expires_at: datetime | None) -> None:
    """The robot can sign in or not, until `expires_at`; registry tokens it holds are refused."""
    AccessToken.objects.filter(user=user, name=_TOKEN).update(expires_at=expires_at)
    change(user, is_active=is_active)


def robot_accounts_delete(*, user_ids: Iterable[int]) -> None:
    """The accounts are gone with all that hangs on them."""
    ids = list(user_ids)
    lock_for_removal(ids)
    User.objects.filter(pk__in=ids, kind=User.Kind.ROBOT).delete()


def robot_accounts_kept(*, user_ids: Iterable[int]) -> list[dict[str, Any]]:
    """The accounts as JSON, with what their secrets are checked by, for `robot_accounts_restore`."""
    ids = list(user_ids)
    accounts = User.objects.filter(pk__in=ids, kind=User.Kind.ROBOT).order_by("pk")
    secrets = AccessToken.objects.filter(user__in=ids).order_by("pk")
    kept: list[dict[str, Any]] = json.loads(
        json.dumps(serializers.serialize("python", [*accounts, *secrets]), default=str)
    )
    return kept


def robot_accounts_restore(*, kept: Sequence[dict[str, Any]]) -> None:
    """The accounts are there again with their secrets; registry tokens that they held are refused.

    IntegrityError when somebody else has one of the names.
    """
    for back in serializers.deserialize("python", kept):
        if isinstance(account := back.object, User):
            account.access_version += 1
            generations.bump_on_commit("user", account.pk)
        back.object.save(force_insert=True)
