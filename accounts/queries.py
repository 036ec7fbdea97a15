"""Reads of accounts."""

from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Length, Now
from django.utils import timezone

from accounts import lockout
from accounts.models import AccessToken, FailedSignIns, Group, User
from accounts.names import fold
from harborlite.actors import Actor
from harborlite.errors import NotFound, TooManyRequests
from harborlite.text import is_line


def user_get(username: str) -> User:
    """The person called `username`, in any case and form; NotFound when there is none. Robots are no people."""
    user = User.objects.filter(username_key=fold(username), kind=User.Kind.USER).first() if is_line(username) else None
    if user is None:
        raise NotFound(f"there is no user {username!a}")
    return user


def user_by_id(user_id: int) -> User:
    """The person with that id; NotFound when there is none."""
    user = User.objects.filter(pk=user_id, kind=User.Kind.USER).first()
    if user is None:
        raise NotFound(f"user {user_id} not found")
    return user


def is_only_one() -> bool:
    """Whether there is no other person than the first administrator yet."""
    return len(User.objects.filter(kind=User.Kind.USER)[:2]) < 2


def users_list(*, username: str = "", email: str = "") -> QuerySet[User]:
    """All people with these parts in their names and addresses, in any case; by name."""
    found = User.objects.filter(kind=User.Kind.USER).order_by("username_key")
    if username:
        found = found.filter(username__icontains=username)
    return found.filter(email__icontains=email) if email else found


def users_search(part: str) -> QuerySet[User]:
    """Active people whose username has `part` in it, the shortest first. Wildcards of LIKE mean themselves."""
    if not is_line(part):
        return User.objects.none()
    found = users_list().filter(username_key__contains=fold(part), is_active=True)
    return found.order_by(Length("username_key"), "username_key")


def user_exists(target: str, value: str) -> bool:
    """Whether somebody has `value` as their `target`: "username", in any case and form, or "email", in any case."""
    if not is_line(value):
        return False
    match target:
        case "username":
            return User.objects.filter(username_key=fold(value)).exists()
        case "email":
            return User.objects.filter(email__iexact=value).exists()
    return False


def group_get(name: str) -> Group:
    """The group called `name`; NotFound when there is none."""
    group = Group.objects.filter(name=name).first() if is_line(name) else None
    if group is None:
        raise NotFound(f"there is no group {name!a}")
    return group


def group_by_id(group_id: int) -> Group:
    """The group with that id; NotFound when there is none."""
    group = Group.objects.filter(pk=group_id).first()
    if group is None:
        raise NotFound(f"the user group with id {group_id} is not found")
    return group


def groups_list(*, group_name: str = "", ldap_group_dn: str = "") -> QuerySet[Group]:
    """The groups with this part in their name, in any case, and that DN if one is given; by name."""
    found = Group.objects.order_by("name", "pk")
    if ldap_group_dn:
        found = found.filter(ldap_group_dn__iexact=ldap_group_dn)
    return found.filter(name__icontains=group_name) if group_name else found


def groups_search(part: str) -> QuerySet[Group]:
    """The groups with `part` in their name, in any case, the shortest first."""
    return groups_list(group_name=part).order_by(Length("name"), "name")


def groups_of(user: User) -> QuerySet[Group]:
    """The groups `user` is in, by name."""
    return Group.objects.filter(user=user).order_by("name")


def tokens_of(user: User) -> QuerySet[AccessToken]:
    """The personal access tokens of `user`, newest first; their secrets are not known here."""
    return AccessToken.objects.filter(user=user).order_by("-pk")


def token_by_id(user: User, token_id: int) -> AccessToken:
    """The personal access token of `user` with that id; NotFound when they have none."""
    token = tokens_of(user).select_related("user").filter(pk=token_id).first()
    if token is None:
        raise NotFound(f"access token {token_id} not found")
    return token


def owner_by_default() -> User | None:
    """The oldest active administrator, who owns what nobody in particular made."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()


def is_current(actor: Actor) -> bool:
    """Whether the account behind `actor` is active and unchanged since the actor was made; nobody is always."""
    if actor.user_id is None:
        return True
    return User.objects.filter(pk=actor.user_id, is_active=True, access_version=actor.version).exists()


# Doors that wrong passwords close (accounts.lockout).


def failed_sign_ins(account: str, source: str) -> QuerySet[FailedSignIns]:
    """What is counted of signing in to `account` from `source`: there, and to all accounts together."""
    return FailedSignIns.objects.filter(source=source, account__in={account, lockout.ANYBODY})


def closed_doors(account: str, source: str) -> QuerySet[FailedSignIns]:
    """What keeps people from signing in to `account` from `source` now; mostly nothing."""
    return failed_sign_ins(account, source).filter(locked_until__gt=Now())


def require_open_door(account: str, source: str) -> bool:
    """Whether there was a wrong password for `account` from `source` lately; TooManyRequests while that is too many."""
    failed = list(failed_sign_ins(account, source))
    now = timezone.now()
    wait = max((row.locked_until - now for row in failed if row.locked_until), default=timedelta())
    if wait > timedelta():
        seconds = int(wait.total_seconds()) + 1
        raise TooManyRequests("too many failed sign-ins; try again later", headers={"Retry-After": str(seconds)})
    return any(row.account == account for row in failed)
