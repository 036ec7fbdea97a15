"""`harborlite user`: people's accounts."""

import getpass
import sys
from typing import Any

from django.core.management.base import CommandError

from accounts import services
from accounts.commands import AddVerb, NounCommand
from accounts.queries import user_get, users_list


class Command(NounCommand):
    help = "People's accounts: create, list, disable, enable, unlock, delete, set passwords and administrators."

    def add_verbs(self, add: AddVerb) -> None:
        create = add("create", self.create, "Create an account.")
        create.add_argument("name")
        create.add_argument("--admin", action="store_true", help="make it an administrator of the system")
        create.add_argument("--email")
        create.add_argument("--realname", default="")
        password = add("password", self.password, "Set an account's password.")
        password.add_argument("name")
        for parser in (create, password):
            parser.add_argument(
                "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
            )
        add("list", self.list, "List accounts.")
        for verb, run, text in (
            ("disable", self.disable, "Sign the account out for good; it keeps what it owns."),
            ("enable", self.enable, "Let a disabled account sign in again."),
            ("delete", self.delete, "Delete an account; what it made stays."),
            ("admin", self.admin, "Make an account an administrator of the system."),
            ("not-admin", self.not_admin, "Make an administrator an ordinary account."),
        ):
            add(verb, run, text).add_argument("name")
        unlock = add("unlock", self.unlock, "Let people sign in again whom wrong passwords have locked out.")
        unlock.add_argument("name", nargs="?", help="whom; without it, everybody from everywhere")

    def create(
        self, name: str, admin: bool, email: str | None, realname: str, password_stdin: bool, **_options: Any
    ) -> None:
        password = read_password(from_stdin=password_stdin)
        user = services.user_create(username=name, password=password, email=email, realname=realname, is_admin=admin)
        self.say(f"created {'administrator' if admin else 'user'} {user.username}")

    def password(self, name: str, password_stdin: bool, **_options: Any) -> None:
        user = user_get(name)
        services.user_set_password(user=user, password=read_password(from_stdin=password_stdin))
        self.say(f"changed the password of {user.username}")

    def list(self, **_options: Any) -> None:
        self.show(
            ("name", "email", "state", "created"),
            (
                (
                    user.username,
                    user.email or "-",
                    ("admin" if user.is_superuser else "user") if user.is_active else "disabled",
                    f"{user.created_at:%Y-%m-%d}",
                )
                for user in users_list()
            ),
        )

    def disable(self, name: str, **_options: Any) -> None:
        services.user_disable(user=user_get(name))
        self.say(f"disabled {name}")

    def enable(self, name: str, **_options: Any) -> None:
        services.user_enable(user=user_get(name))
        self.say(f"enabled {name}")

    def delete(self, name: str, **_options: Any) -> None:
        services.user_delete(user=user_get(name))
        self.say(f"deleted {name}")

    def admin(self, name: str, **_options: Any) -> None:
        services.user_set_admin(user=user_get(name), is_admin=True)
        self.say(f"{name} is an administrator")

    def not_admin(self, name: str, **_options: Any) -> None:
        services.user_set_admin(user=user_get(name), is_admin=False)
        self.say(f"{name} is an ordinary account")

    def unlock(self, name: str | None, **_options: Any) -> None:
        services.sign_ins_unlock(user=user_get(name) if name else None)
        self.say(f"unlocked {name or 'everybody'}")


def read_password(*, from_stdin: bool) -> str:
    """A password from standard input up to the end of its first line, or asked for twice at the terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError("there is no terminal to ask for a password; give it by --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise CommandError("the two passwords differ")
    return password
