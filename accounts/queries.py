"""Reads of accounts."""

from django.db.models import QuerySet

from accounts.actors import Actor
from accounts.models import AccessToken, Group, User
from accounts.names import fold, is_line
from harborlite.errors import NotFound


def user_get(username: str) -> User:
    """The person called `username`, in any case and form; NotFound when there is none. Robots are no people."""
    user = User.objects.filter(username_key=fold(username), kind=User.Kind.USER).first() if is_line(username) else None
    if user is None:
        raise NotFound(f"there is no user {username!a}")
    return user


def users_list() -> QuerySet[User]:
    """All people, by name."""
    return User.objects.filter(kind=User.Kind.USER).order_by("username_key")


def users_search(prefix: str) -> QuerySet[User]:
    """Active people whose username starts with `prefix`, by name. Wildcards of LIKE mean themselves."""
    if not is_line(prefix):
        return User.objects.none()
    return users_list().filter(username_key__startswith=fold(prefix), is_active=True)


def group_get(name: str) -> Group:
    """The group called `name`; NotFound when there is none."""
    group = Group.objects.filter(name=name).first() if is_line(name) else None
    if group is None:
        raise NotFound(f"there is no group {name!a}")
    return group


def groups_of(user: User) -> QuerySet[Group]:
    """The groups `user` is in, by name."""
    return Group.objects.filter(user=user).order_by("name")


def tokens_of(user: User) -> QuerySet[AccessToken]:
    """The personal access tokens of `user`, newest first; their secrets are not known here."""
    return AccessToken.objects.filter(user=user).order_by("-pk")


def owner_by_default() -> User | None:
    """The oldest active administrator, who owns what nobody in particular made."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()


def is_current(actor: Actor) -> bool:
    """Whether the account behind `actor` is active and unchanged since the actor was made; nobody is always."""
    if actor.user_id is None:
        return True
    return User.objects.filter(pk=actor.user_id, is_active=True, access_version=actor.version).exists()
