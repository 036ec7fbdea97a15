"""`harborlite token`: people's access tokens, used in place of a password."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts import services
from accounts.commands import AddVerb, NounCommand
from accounts.queries import tokens_of, user_get

MOST_DAYS = 36_500


class Command(NounCommand):
    help = "Personal access tokens: create, list, revoke."

    def add_verbs(self, add: AddVerb) -> None:
        create = add("create", self.create, "Create a token and print its secret, this once.")
        create.add_argument("user")
        create.add_argument("name")
        create.add_argument("--days", type=int, help="days until it expires; without it, never")
        add("list", self.list, "List an account's tokens.").add_argument("user")
        revoke = add("revoke", self.revoke, "Revoke a token.")
        revoke.add_argument("user")
        revoke.add_argument("name")

    def create(self, user: str, name: str, days: int | None, **_options: Any) -> None:
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days is 1 to {MOST_DAYS}")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        _token, secret = services.token_issue(user=user_get(user), name=name, expires_at=expires_at)
        self.say(secret)

    def list(self, user: str, **_options: Any) -> None:
        self.show(
            ("name", "created", "expires", "last used"),
            (
                (
                    token.name,
                    f"{token.created_at:%Y-%m-%d}",
                    f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
                    f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never",
                )
                for token in tokens_of(user_get(user))
            ),
        )

    def revoke(self, user: str, name: str, **_options: Any) -> None:
        token = tokens_of(user_get(user)).filter(name=name).first()
        if token is None:
            raise CommandError(f"{user} has no token {name}")
        services.token_revoke(token=token)
        self.say(f"revoked {name} of {user}")
