"""Reads of projects. Faces fetch by `project_for`, which finds and checks in one call."""

import re

from django.db.models import Q, QuerySet

from accounts.actors import Actor
from accounts.models import Group, User
from harborlite.errors import Denied, NotFound
from projects import permissions, rbac
from projects.models import Member, Project, Robot, RobotPermission
from projects.names import is_name
from projects.permissions import Permission

_ID = re.compile(r"[0-9]{1,18}")


def project_get(ref: str | int, *, is_name_given: bool = False) -> Project:
    """The project of id or name `ref`; NotFound when there is none.

    Digits are an id, unless `is_name_given` says that they are a name (Harbor's X-Is-Resource-Name).
    """
    project = None
    if isinstance(ref, int) or (_ID.fullmatch(ref) and not is_name_given):
        project = Project.objects.filter(pk=int(ref)).first()
    elif is_name(ref):
        project = Project.objects.filter(name=ref).first()
    if project is None:
        raise NotFound("there is no such project")
    return project


def project_for(actor: Actor, ref: str | int, action: str, *, is_name_given: bool = False) -> Project:
    """The project `ref` in which `actor` may do `action`.

    NotFound when there is none or `actor` may do nothing in it, which answers alike; Denied when only not `action`.
    """
    project = project_get(ref, is_name_given=is_name_given)
    granted = rbac.actions(actor, project)
    if not granted:
        raise NotFound("there is no such project")
    if action not in granted:
        raise Denied()
    return project


def projects_list() -> QuerySet[Project]:
    """All projects with their owners, by name."""
    return Project.objects.select_related("owner").order_by("name")


def members_of(project: Project) -> QuerySet[Member]:
    """The members of `project` with their accounts, oldest first."""
    return Member.objects.filter(project=project).select_related("user", "group").order_by("pk")


def member_get(project: Project, member_id: int) -> Member:
    """The member `member_id` of `project`; NotFound when it is none of this project."""
    member = members_of(project).filter(pk=member_id).first()
    if member is None:
        raise NotFound("there is no such member")
    return member


def member_of(project: Project, subject: User | Group) -> Member:
    """The membership of `subject` in `project`; NotFound when there is none."""
    whose = Q(user=subject) if isinstance(subject, User) else Q(group=subject)
    member = members_of(project).filter(whose).first()
    if member is None:
        raise NotFound(f"{subject} is no member of {project}")
    return member


def robots_of(project: Project | None) -> QuerySet[Robot]:
    """The robots of `project`, or of the system, with their accounts, by name."""
    robots = Robot.objects.filter(project=project).select_related("user", "project")
    return robots.prefetch_related("scopes__project", "user__tokens").order_by("name")


def robot_get(project: Project | None, name: str) -> Robot:
    """The robot `name` of `project`, or of the system; NotFound when there is none."""
    robot = robots_of(project).filter(name=name).first() if is_name(name) else None
    if robot is None:
        raise NotFound("there is no such robot")
    return robot


def permissions_of(robot: Robot) -> list[Permission]:
    """What `robot` carries."""
    return [
        Permission(scope.kind, _namespace(scope), frozenset(scope.access))
        for scope in sorted(robot.scopes.all(), key=lambda scope: scope.pk)
    ]


def _namespace(scope: RobotPermission) -> str:
    if scope.kind == RobotPermission.Kind.SYSTEM:
        return permissions.SYSTEM_NAMESPACE
    return scope.project.name if scope.project else permissions.EVERY_PROJECT
