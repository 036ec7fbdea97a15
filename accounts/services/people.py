"""Writes of people's accounts."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models.functions import Now

from accounts import passwords, tokens
from accounts.constraints import refusals, retried
from accounts.models import User
from accounts.names import fold, why_refused
from accounts.services.revocation import change, keep_an_admin, lock_for_removal, require_person
from accounts.services.sign_ins import password_check
from accounts.services.texts import line, text
from harborlite.errors import BadRequest, Conflict, Denied, NotFound
from harborlite.text import is_text
from system import config, events

_RULE = (
    "the password must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter"
    " and 1 number"
)
_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,128}", re.DOTALL)


@retried
def user_create(
    *,
    username: str,
    password: str | None,
    email: str | None = None,
    realname: str = "",
    comment: str = "",
    is_admin: bool = False,
) -> User:
    """A person who can sign in with `password`; with None, only by tokens until they get one.

    BadRequest when a value is not allowed, Conflict when the username (in any case or form) or email is taken.
    """
    reason = why_refused(username, robot_prefix=config.get("robot_name_prefix"))
    if reason:
        raise BadRequest(reason)
    user = User(username=username, username_key=fold(username), is_superuser=is_admin)
    user.email, user.realname, user.comment = _email(email), line("realname", realname), text("comment", comment)
    set_password(user, password)
    # One message for both: who registers learns of no address whether somebody has it.
    with refusals("the username or the email is taken"), transaction.atomic(durable=True):
        user.save(force_insert=True)
        _tell("create", user)
    return user


def admin_ensure(password: str | None) -> str | None:
    """There is a first administrator, `admin`. Returns its password if it was generated just now, else None.

    Does nothing when there is any person already: a password given later changes nothing.
    """
    if User.objects.filter(kind=User.Kind.USER).exists():
        return None
    chosen = password or _password()
    try:
        user_create(username="admin", password=chosen, is_admin=True)
    except Conflict:  # of two processes that start at once, one is the second: the other has printed its password
        return None
    return None if password else chosen


@retried
def user_update(*, user: User, email: str | None, realname: str, comment: str) -> None:
    """The profile is replaced. Conflict when the email is taken."""
    values = {"email": _email(email), "realname": line("realname", realname), "comment": text("comment", comment)}
    with refusals("the email is taken"), transaction.atomic(durable=True):
        if not User.objects.filter(pk=user.pk).update(updated_at=Now(), **values):
            raise NotFound("there is no such user")
        user.refresh_from_db()
        _tell("update", user)


@retried
def user_set_password(*, user: User, password: str) -> None:
    """The password is `password`; sessions and registry tokens issued before are refused. Access tokens stay.

    BadRequest when it is no password, or the one it was (Harbor).
    """
    require_person(user)
    with passwords.place():
        is_the_same = user.has_usable_password() and passwords.is_right(user, password)
    if is_the_same:
        raise BadRequest("New password is identical to old password")
    set_password(user, password)
    with transaction.atomic(durable=True):
        change(user, password=user.password)
        _tell("update", user, "change user password")


def user_change_password(*, user: User, old_password: str, password: str) -> None:
    """As above, if `old_password` is right. Denied when it is not, which counts as a failed sign-in."""
    if not password_check(account=user.username_key, user=user, password=old_password, name=user.username):
        raise Denied("Current password is incorrect")
    user_set_password(user=user, password=password)


@retried
def user_disable(*, user: User) -> None:
    """The account can't sign in, nor use what it was given before. Denied for the last administrator."""
    require_person(user)
    with transaction.atomic(durable=True):
        keep_an_admin(besides=user)
        change(user, is_active=False)
        _tell("update", user, "disable user")


@retried
def user_enable(*, user: User) -> None:
    """The account can sign in again."""
    require_person(user)
    with transaction.atomic(durable=True):
        change(user, is_active=True)
        _tell("update", user, "enable user")


@retried
def user_set_admin(*, user: User, is_admin: bool) -> None:
    """The person is an administrator of the system, or no more. Denied for the last one."""
    require_person(user)
    with transaction.atomic(durable=True):
        if not is_admin:
            keep_an_admin(besides=user)
        change(user, is_superuser=is_admin)
        _tell("update", user, f"{'add' if is_admin else 'remove'} user as system administrator")


@retried
def user_delete(*, user: User) -> None:
    """The account is gone with its tokens and memberships; what it made stays. Denied for the last administrator.

    The row is removed, not hidden: its id never comes back, so nobody inherits anything by taking the name.
    """
    require_person(user)
    with transaction.atomic(durable=True):
        keep_an_admin(besides=user)
        lock_for_removal([user.pk])
        if User.objects.filter(pk=user.pk).delete()[0]:
            _tell("delete", user)


def _tell(operation: str, user: User, what: str = "") -> None:
    description = f"{operation} user: {user.username}"
    events.emit(operation, "user", user.username, description=f"{description}, {what}" if what else description)


def set_password(user: User, password: str | None) -> None:
    """`user`, not yet saved, has that password, or none that is usable. BadRequest when it does not keep the rule."""
    if password is None:
        user.set_unusable_password()
    elif _PASSWORD.fullmatch(password) and is_text(password):
        with passwords.place():
            user.set_password(password)
    else:
        raise BadRequest(_RULE)


def _email(email: str | None) -> str | None:
    if not email:
        return None
    try:
        validate_email(email)
    except ValidationError:
        raise BadRequest("email with illegal format") from None
    return email


def _password() -> str:
    """A random password that keeps the rule."""
    while True:
        password = tokens.random_secret()[:24]
        if _PASSWORD.fullmatch(password):
            return password
