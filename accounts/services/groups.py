"""Writes of groups."""

from django.db import transaction

from accounts.constraints import refusals, retried
from accounts.models import Group, User
from accounts.services.revocation import access_changed, change, require_person
from accounts.services.texts import line
from harborlite.errors import BadRequest, NotFound
from system import events

_NAME_LENGTH = 150  # Django's
_DN_LENGTH = 512


@retried
def group_create(*, name: str, kind: int, ldap_group_dn: str = "") -> Group:
    """A group without members. Conflict when the name or the LDAP DN is taken."""
    ldap_group_dn = line("ldap_group_dn", ldap_group_dn, _DN_LENGTH)
    if kind not in Group.Kind.values:
        raise BadRequest("group_type is 1 (LDAP), 2 (HTTP) or 3 (OIDC)")
    if bool(ldap_group_dn) != (kind == Group.Kind.LDAP):
        raise BadRequest("ldap_group_dn belongs to LDAP groups, and to each of them")
    with refusals("there is a group of that name or DN"), transaction.atomic(durable=True):
        group = Group.objects.create(name=_name(name), kind=kind, ldap_group_dn=ldap_group_dn)
        _tell("create", group.name)
    return group


@retried
def group_rename(*, group: Group, name: str) -> None:
    """The group is called `name`. Conflict when another one is."""
    name = _name(name)
    with refusals("there is a group of that name"), transaction.atomic(durable=True):
        if not Group.objects.filter(pk=group.pk).update(name=name):
            raise NotFound("there is no such group")
        _tell("update", name, f"was {group.name}")


@retried
def group_add_user(*, group: Group, user: User) -> None:
    """`user` is in `group` and has its roles."""
    require_person(user)
    with refusals("in the group already", "the group or the user is gone"), transaction.atomic(durable=True):
        user.groups.add(group)
        change(user)
        _tell("update", group.name, f"add user {user.username}")


@retried
def group_remove_user(*, group: Group, user: User) -> None:
    """`user` is not in `group` and has none of its roles."""
    with transaction.atomic(durable=True):
        user.groups.remove(group)
        change(user)
        _tell("update", group.name, f"remove user {user.username}")


@retried
def group_delete(*, group: Group) -> None:
    """The group is gone, and everybody in it has lost its roles."""
    with transaction.atomic(durable=True):
        # Who joins at this moment waits for this lock at their commit, and then learns that the group is gone.
        Group.objects.select_for_update().filter(pk=group.pk).first()
        users = User.objects.filter(groups=group).order_by("pk")
        access_changed(users.select_for_update(of=("self",)).values_list("pk", flat=True))
        if Group.objects.filter(pk=group.pk).delete()[0]:
            _tell("delete", group.name)


def _name(name: str) -> str:
    if not name.strip():
        raise BadRequest("group_name can't be empty")
    return line("group_name", name.strip(), _NAME_LENGTH)


def _tell(operation: str, name: str, what: str = "") -> None:
    description = f"{operation} user group: {name}"
    events.emit(operation, "group", name, description=f"{description}, {what}" if what else description)
