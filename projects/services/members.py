"""Writes of memberships: the Member row that people see and guardian's permission that decides, always together."""

from typing import cast

from django.db import transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from accounts.models import Group, User
from harborlite.errors import BadRequest, NotFound, Precondition
from projects import rbac
from projects.models import Member, Project
from projects.roles import Role
from projects.services.projects import access_changed
from system.events import emit


@retried
def member_add(*, project: Project, subject: User | Group, role: int) -> Member:
    """`subject` has `role` in `project`. Conflict when it is a member already, BadRequest for a robot."""
    known = _role(role)
    user, group = (subject, None) if isinstance(subject, User) else (None, subject)
    if user and user.kind != User.Kind.USER:
        raise BadRequest("a robot can't be a member; it carries its own permissions")
    with refusals(f"{subject} is a member already", f"{subject} is gone"), transaction.atomic(durable=True):
        access_changed(project)
        member = Member.objects.create(project=project, user=user, group=group, role=known)
        rbac.grant(project, subject, known)
        _told("create", project, subject, known)
    return member


@retried
def member_set_role(*, member: Member, role: int) -> None:
    """The member has `role`, and only that. Precondition for the project's owner, who stays its administrator."""
    known = _role(role)
    with refusals("the member is being changed", "there is no such member"), transaction.atomic(durable=True):
        project = _locked(member)
        if known != Role.ADMIN:
            _not_the_owner(project, member)
        if not Member.objects.filter(pk=member.pk).update(role=known, updated_at=Now()):
            raise NotFound("there is no such member")
        rbac.grant(project, _subject(member), known)
        _told("update", project, _subject(member), known)
        member.refresh_from_db()


@retried
def member_remove(*, member: Member) -> None:
    """The member has no role any more. Precondition for the project's owner."""
    with transaction.atomic(durable=True):
        project = _locked(member)
        _not_the_owner(project, member)
        Member.objects.filter(pk=member.pk).delete()
        rbac.revoke(project, _subject(member))
        _told("delete", project, _subject(member), Role(member.role))


def _role(number: int) -> Role:
    try:
        return Role(number)
    except ValueError:
        raise BadRequest("a role is one of " + ", ".join(f"{role.value} ({role.label})" for role in Role)) from None


def _locked(member: Member) -> Project:
    """The member's project as it is now, its version one higher, its row locked."""
    project = member.project
    access_changed(project)
    return project


def _not_the_owner(project: Project, member: Member) -> None:
    if member.user_id is not None and member.user_id == project.owner_id:
        raise Precondition("the owner stays an administrator of the project")


def _told(operation: str, project: Project, subject: User | Group, role: Role) -> None:
    kind = "user" if isinstance(subject, User) else "group"
    extra = {"kind": kind, "role": role.label}
    emit(operation, "member", str(subject), project_id=project.pk, project=project.name, extra=extra)


def _subject(member: Member) -> User | Group:
    return cast(User | Group, member.user or member.group)
