"""Writes of accounts. Whatever changes what somebody may do adds 1 to their access_version in the same transaction."""

import re
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts import tokens
from accounts.constraints import refusals, retried
from accounts.models import AccessToken, Group, User
from accounts.names import ROBOT_MARK, fold, is_line, is_text, why_refused
from harborlite import generations
from harborlite.errors import BadRequest, Conflict, NotFound, Precondition

PASSWORD_RULE = "a password has 8 to 128 characters, among them an upper case letter, a lower case letter and a digit"  # noqa: S105 - a message
_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,128}", re.DOTALL)
_TEXT_LENGTH = 255
_GROUP_NAME_LENGTH = 150  # Django's
_DN_LENGTH = 512
_ROBOT_TOKEN = "secret"  # noqa: S105 - the name of the one token a robot has


# People.


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
    reason = why_refused(username, robot_prefix=settings.ROBOT_NAME_PREFIX)
    if reason:
        raise BadRequest(reason)
    user = User(username=username, username_key=fold(username), is_superuser=is_admin)
    _set_password(user, password)
    user.email, user.realname, user.comment = _email(email), _line("realname", realname), _text("comment", comment)
    with refusals("the username or the email is taken"), transaction.atomic(durable=True):
        user.save(force_insert=True)
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
    values = {"email": _email(email), "realname": _line("realname", realname), "comment": _text("comment", comment)}
    with refusals("the email is taken"), transaction.atomic(durable=True):
        if not User.objects.filter(pk=user.pk).update(updated_at=Now(), **values):
            raise NotFound("there is no such user")
        user.refresh_from_db()


@retried
def user_set_password(*, user: User, password: str) -> None:
    """The password is `password`; sessions and registry tokens issued before are refused. Access tokens stay."""
    _require_person(user)
    _set_password(user, password)
    with transaction.atomic(durable=True):
        _change(user, password=user.password)


@retried
def user_disable(*, user: User) -> None:
    """The account can't sign in, nor use what it was given before. Precondition for the last administrator."""
    _require_person(user)
    with transaction.atomic(durable=True):
        _keep_an_admin(besides=user)
        _change(user, is_active=False)


@retried
def user_enable(*, user: User) -> None:
    """The account can sign in again."""
    _require_person(user)
    with transaction.atomic(durable=True):
        _change(user, is_active=True)


@retried
def user_set_admin(*, user: User, is_admin: bool) -> None:
    """The person is an administrator of the system, or no more. Precondition for the last one."""
    _require_person(user)
    with transaction.atomic(durable=True):
        if not is_admin:
            _keep_an_admin(besides=user)
        _change(user, is_superuser=is_admin)


@retried
def user_delete(*, user: User) -> None:
    """The account is gone with its tokens and memberships; what it made stays. Precondition for the last administrator.

    The row is removed, not hidden: its id never comes back, so nobody inherits anything by taking the name.
    """
    _require_person(user)
    with transaction.atomic(durable=True):
        _keep_an_admin(besides=user)
        _lock_for_removal([user.pk])
        User.objects.filter(pk=user.pk).delete()


def password_rehash(*, user: User, password: str, encoded: str) -> None:
    """The same password is kept by today's hasher, unless it changed meanwhile. Nobody loses anything by it."""
    User.objects.filter(pk=user.pk, password=encoded).update(password=make_password(password))


# Groups.


@retried
def group_create(*, name: str, kind: int, ldap_group_dn: str = "") -> Group:
    """A group without members. Conflict when the name or the LDAP DN is taken."""
    name, ldap_group_dn = name.strip(), _line("LDAP DN", ldap_group_dn, _DN_LENGTH)
    if not name or kind not in Group.Kind.values:
        raise BadRequest("a group has a name and one of the kinds 1 (LDAP), 2 (HTTP), 3 (OIDC)")
    if bool(ldap_group_dn) != (kind == Group.Kind.LDAP):
        raise BadRequest("a DN belongs to LDAP groups, and to each of them")
    with refusals("there is a group of that name or DN"), transaction.atomic(durable=True):
        return Group.objects.create(
            name=_line("name", name, _GROUP_NAME_LENGTH), kind=kind, ldap_group_dn=ldap_group_dn
        )


@retried
def group_add_user(*, group: Group, user: User) -> None:
    """`user` is in `group` and has its roles."""
    _require_person(user)
    with refusals("in the group already", "the group or the user is gone"), transaction.atomic(durable=True):
        user.groups.add(group)
        _change(user)


@retried
def group_remove_user(*, group: Group, user: User) -> None:
    """`user` is not in `group` and has none of its roles."""
    with transaction.atomic(durable=True):
        user.groups.remove(group)
        _change(user)


@retried
def group_delete(*, group: Group) -> None:
    """The group is gone, and everybody in it has lost its roles."""
    with transaction.atomic(durable=True):
        # Who joins at this moment waits for this lock at their commit, and then learns that the group is gone.
        Group.objects.select_for_update().filter(pk=group.pk).first()
        users = User.objects.filter(groups=group).order_by("pk")
        _access_changed(users.select_for_update(of=("self",)).values_list("pk", flat=True))
        Group.objects.filter(pk=group.pk).delete()


# Access tokens.


@retried
def token_issue(*, user: User, name: str, expires_at: datetime | None = None) -> tuple[AccessToken, str]:
    """A personal access token and its secret, which is shown this once. Conflict when `user` has one of that name."""
    _require_person(user)
    name = name.strip()
    if not name:
        raise BadRequest("a token has a name")
    if expires_at is not None and expires_at <= timezone.now():
        raise BadRequest("a token expires in the future")
    secret = tokens.PREFIX + tokens.random_secret()
    with refusals("there is a token of that name", "the user is gone"), transaction.atomic(durable=True):
        token = AccessToken.objects.create(
            user=user, name=_line("name", name), digest=tokens.digest(secret), expires_at=expires_at
        )
    return token, secret


@retried
def token_revoke(*, token: AccessToken) -> None:
    """The token is gone; registry tokens of its user issued before are refused."""
    with transaction.atomic(durable=True):
        AccessToken.objects.filter(pk=token.pk).delete()
        _access_changed([token.user_id])


def token_used(*, token: AccessToken, at: datetime) -> None:
    """It is known that the token was used then."""
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=at)


# Robots' accounts, for projects.services.robots; inside the caller's transaction.


def robot_account_create(*, name: str, expires_at: datetime | None) -> tuple[User, str]:
    """An account of kind robot that signs in as the prefix and `name`, and its secret.

    IntegrityError when there is one; the caller has checked the grammar of `name`.
    """
    username = ROBOT_MARK + name
    user = User(username=username, username_key=fold(username), kind=User.Kind.ROBOT)
    user.set_unusable_password()
    user.save(force_insert=True)
    secret = tokens.random_secret()
    AccessToken.objects.create(user=user, name=_ROBOT_TOKEN, digest=tokens.digest(secret), expires_at=expires_at)
    return user, secret


def robot_account_secret(*, user: User) -> str:
    """The robot's secret is the new one returned; it expires when the old one would have."""
    secret = tokens.random_secret()
    if not AccessToken.objects.filter(user=user, name=_ROBOT_TOKEN).update(
        digest=tokens.digest(secret), created_at=Now(), last_used_at=None
    ):
        raise NotFound("there is no such robot")
    _change(user)
    return secret


def robot_account_update(*, user: User, is_active: bool, expires_at: datetime | None) -> None:
    """The robot can sign in or not, until `expires_at`; registry tokens it holds are refused."""
    AccessToken.objects.filter(user=user, name=_ROBOT_TOKEN).update(expires_at=expires_at)
    _change(user, is_active=is_active)


def robot_accounts_delete(*, user_ids: Iterable[int]) -> None:
    """The accounts are gone with all that hangs on them."""
    ids = list(user_ids)
    _lock_for_removal(ids)
    User.objects.filter(pk__in=ids, kind=User.Kind.ROBOT).delete()


# What is allowed.


def _require_person(user: User) -> None:
    if user.kind != User.Kind.USER:
        raise BadRequest("a robot is changed as a robot, not as a user")


def _set_password(user: User, password: str | None) -> None:
    if password is None:
        user.set_unusable_password()
    elif _PASSWORD.fullmatch(password) and is_text(password):
        user.set_password(password)
    else:
        raise BadRequest(PASSWORD_RULE)


def _email(email: str | None) -> str | None:
    if not email:
        return None
    try:
        validate_email(email)
    except ValidationError:
        raise BadRequest("that is no email address") from None
    return email


def _line(what: str, value: str, length: int = _TEXT_LENGTH) -> str:
    if len(value) > length or not is_line(value):
        raise BadRequest(f"{what} has at most {length} characters, on one line and without control characters")
    return value


def _text(what: str, value: str) -> str:
    if len(value) > _TEXT_LENGTH or not is_text(value):
        raise BadRequest(f"{what} has at most {_TEXT_LENGTH} characters and no control characters")
    return value


def _password() -> str:
    """A random password that keeps the rule."""
    while True:
        password = tokens.random_secret()[:24]
        if _PASSWORD.fullmatch(password):
            return password


# Revocation; inside the caller's transaction.


def _change(user: User, **values: object) -> None:
    """`user`'s row has `values` and its version is one higher; the instance follows. NotFound when it is gone."""
    changes = {"access_version": F("access_version") + 1, "updated_at": Now(), **values}
    if not User.objects.filter(pk=user.pk).update(**changes):
        raise NotFound("there is no such user")
    user.refresh_from_db()
    generations.bump_on_commit("user", user.pk)


def _access_changed(user_ids: Iterable[int]) -> None:
    ids = list(user_ids)
    User.objects.filter(pk__in=ids).update(access_version=F("access_version") + 1, updated_at=Now())
    for user_id in ids:
        generations.bump_on_commit("user", user_id)


def _lock_for_removal(user_ids: list[int]) -> None:
    """Nobody can add rows that point to these accounts any more: their commit waits for ours and finds none."""
    list(User.objects.select_for_update().filter(pk__in=user_ids).order_by("pk").values_list("pk"))
    for user_id in user_ids:
        generations.bump_on_commit("user", user_id)


def _keep_an_admin(*, besides: User) -> None:
    """Precondition when `besides` is the only active administrator.

    All their rows are locked, so that two administrators who remove each other at the same moment don't both succeed.
    """
    admins = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").select_for_update()
    if list(admins.values_list("pk", flat=True)) == [besides.pk]:
        raise Precondition("this is the last administrator; make another one first")
