"""Reads of projects. Faces fetch by `project_for`, which finds and checks in one call."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from accounts.authentication import actor_of
from accounts.models import Group, User
from accounts.names import ROBOT_MARK, fold
from accounts.queries import group_get, groups_list, user_get
from harborlite.actors import ANONYMOUS, Actor
from harborlite.errors import BadRequest, Denied, HarborliteError, NotFound, Unauthorized
from harborlite.text import is_line
from projects import permissions, rbac
from projects.models import DeletedProject, Label, Member, Project, Robot, RobotPermission
from projects.names import is_name
from projects.permissions import Permission
from projects.roles import HIGHEST_FIRST, Role
from system import config

_SEES_ROBOTS = frozenset({"robot:read", "robot:list"})
_SEES_LABELS = frozenset({"label:read", "label:list"})
_ID = re.compile(r"[0-9]{1,18}")
_ROBOTS = Robot.objects.select_related("user", "project", "creator__robot").prefetch_related(
    "scopes__project", "user__tokens"
)


def project_get(ref: str | int, *, is_name_given: bool = False) -> Project:
    """The project of id or name `ref`; NotFound when there is none.

    Digits are an id, unless `is_name_given` says that they are a name (Harbor's X-Is-Resource-Name).
    """
    project = _project(ref, is_name_given=is_name_given)
    if project is None:
        raise NotFound("there is no such project")
    return project


def project_for(actor: Actor, ref: str | int, action: str, *, is_name_given: bool = False) -> Project:
    """The project `ref` in which `actor` may do `action`.

    NotFound when there is none or `actor` may do nothing in it, which answers alike; Denied when only not `action`.
    Unauthorized instead of both for who has not signed in.
    """
    project = _project(ref, is_name_given=is_name_given)
    granted = rbac.actions(actor, project) if project else rbac.NOTHING
    if project is None or action not in granted:
        raise _refusal(actor, "project", is_seen=bool(granted))
    return project


def project_seen(actor: Actor, ref: str | int, *, is_name_given: bool = False) -> Project:
    """The project `ref` in which `actor` may do anything at all; NotFound or Unauthorized as in `project_for`."""
    project = _project(ref, is_name_given=is_name_given)
    if project is None or not rbac.grants(actor, project):
        raise _refusal(actor, "project", is_seen=False)
    return project


def _project(ref: str | int, *, is_name_given: bool) -> Project | None:
    if isinstance(ref, int) or (_ID.fullmatch(ref) and not is_name_given):
        return Project.objects.filter(pk=int(ref)).first()
    return Project.objects.filter(name=ref).first() if is_name(ref) else None


def projects_list() -> QuerySet[Project]:
    """All projects with their owners, by name."""
    return Project.objects.select_related("owner").order_by("name")


def projects_for(actor: Actor) -> QuerySet[Project]:
    """The projects that `actor` may see in a list, with their owners and `repo_count`.

    All of them for robots that may list projects, though inside they may do no more than what else they carry.
    """
    sees_all = "project:list" in rbac.system_actions(actor)
    return _counted((Project.objects.all() if sees_all else rbac.visible_projects(actor)).select_related("owner"))


def project_counted(project: Project) -> Project:
    """`project` with its owner and `repo_count`; NotFound when it is gone by now."""
    found = _counted(Project.objects.select_related("owner")).filter(pk=project.pk).first()
    if found is None:
        raise NotFound("there is no such project")
    return found


def _counted(projects: QuerySet[Project]) -> QuerySet[Project]:
    # A query in the columns, so that it is made for the rows of a page and not for all that were left out.
    own = Project.objects.filter(pk=OuterRef("pk")).annotate(number=Count("repositories")).values("number")
    return projects.annotate(repo_count=Subquery(own))


def repository_count(project: Project) -> int:
    """How many repositories `project` has."""
    return Project.objects.filter(pk=project.pk, repositories__isnull=False).count()


def has_repositories(project: Project) -> bool:
    """Whether anything is in the way of deleting `project`."""
    return Project.objects.filter(pk=project.pk, repositories__isnull=False).exists()


def deleted_projects_for(actor: Actor) -> QuerySet[DeletedProject]:
    """The deleted projects that `actor` may restore or forget: all, or those they were an administrator of."""
    rows = DeletedProject.objects.filter(expires_at__gt=Now())
    if actor.is_admin:
        return rows
    if actor.kind != "user" or actor.user_id is None:
        return rows.none()
    return rows.filter(rows__members__contains=[{"fields": {"user": actor.user_id, "role": Role.ADMIN.value}}])


def deleted_project_for(actor: Actor, project_id: int) -> DeletedProject:
    """The deleted project; NotFound when there is none that `actor` may restore."""
    found = deleted_projects_for(actor).filter(pk=project_id).first()
    if found is None:
        raise NotFound("there is no such deleted project")
    return found


def roles_of(actor: Actor, projects: Collection[Project]) -> Mapping[int, list[Role]]:
    """The roles that `actor` has as a member, by themselves and by groups, in `projects` by id; the highest first."""
    found: dict[int, set[Role]] = defaultdict(set)
    if actor.kind == "user" and actor.user_id is not None and projects:
        whose = Q(user=actor.user_id) | Q(group__user=actor.user_id)
        members = Member.objects.filter(whose, project__in=[project.pk for project in projects])
        for project_id, role in members.values_list("project", "role"):
            found[project_id].add(Role(role))
    return {project_id: sorted(roles, key=HIGHEST_FIRST.index) for project_id, roles in found.items()}


def member_counts(project: Project) -> Mapping[Role, int]:
    """How many members of `project` have each role."""
    rows = Member.objects.filter(project=project).values_list("role").annotate(number=Count("pk"))
    counted = dict(rows.order_by("role"))
    return {role: counted.get(role, 0) for role in Role}


def members_of(project: Project) -> QuerySet[Member]:
    """The members of `project` with their accounts, oldest first."""
    return Member.objects.filter(project=project).select_related("user", "group").order_by("pk")


def members_named(project: Project) -> QuerySet[Member]:
    """The members of `project`, each with its `entity_name`, a username's or a group's."""
    return members_of(project).annotate(entity_name=Coalesce("user__username", "group__name"))


def members_by_name(project: Project, name: str = "") -> QuerySet[Member]:
    """The members of `project` by name; with `name` those called so: a user, a group, or one of each."""
    members = members_of(project).order_by(Coalesce("user__username", "group__name"), "pk")
    return members.filter(Q(user__username_key=fold(name)) | Q(group__name=name)) if name else members


def subject_of(user: Mapping[str, Any], group: Mapping[str, Any]) -> User | Group:
    """The user or group that a request names, as Harbor reads it: ids first, a user's name before a group's.

    BadRequest for ids there are none of, and when nobody is named; NotFound for names there are none of.
    """
    found: User | Group | None = None
    if user.get("user_id"):
        found = User.objects.filter(pk=user["user_id"], kind=User.Kind.USER).first()
    elif group.get("id"):
        found = Group.objects.filter(pk=group["id"]).first()
    elif user.get("username"):
        return user_get(user["username"])
    elif group.get("ldap_group_dn"):
        found = groups_list(ldap_group_dn=group["ldap_group_dn"]).first()
        if found is None:
            raise NotFound("member_group.ldap_group_dn: there is no such group")
    elif group.get("group_name"):
        return group_get(group["group_name"])
    else:
        raise BadRequest("member_user or member_group: one of them must be provided")
    if found is None:
        raise BadRequest("member_user.user_id or member_group.id: there is no such user or group")
    return found


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
    return _ROBOTS.filter(project=project).order_by("name")


def robot_get(project: Project | None, name: str) -> Robot:
    """The robot `name` of `project`, or of the system; NotFound when there is none."""
    robot = robots_of(project).filter(name=name).first() if is_name(name) else None
    if robot is None:
        raise NotFound("there is no such robot")
    return robot


def robot_for(actor: Actor, robot_id: int, action: str) -> Robot:
    """The robot `robot_id`, to which `actor` may do `action` ("robot:read").

    NotFound when there is none or `actor` sees no robots where it belongs, which answers alike; else Denied.
    """
    robot = _ROBOTS.filter(pk=robot_id).first()
    if robot is None:
        raise NotFound("there is no such robot")
    granted = rbac.actions(actor, robot.project) if robot.project else rbac.system_actions(actor)
    if action not in granted:
        raise _refusal(actor, "robot", is_seen=bool(granted & _SEES_ROBOTS))
    return robot


def labels_of(project: Project | None) -> QuerySet[Label]:
    """The labels of `project`, or of the whole instance."""
    return Label.objects.filter(project=project)


def label_for(actor: Actor, label_id: int, action: str) -> Label:
    """The label `label_id`, to which `actor` may do `action` ("label:update").

    NotFound when there is none or `actor` sees no labels where it belongs, which answers alike; else Denied. Labels of
    the whole instance are seen by everybody who has signed in. Unauthorized instead for who has not.
    """
    label = Label.objects.select_related("project").filter(pk=label_id).first()
    if label is None:
        raise _refusal(actor, "label", is_seen=False)
    granted = rbac.actions(actor, label.project) if label.project else rbac.system_actions(actor)
    if action not in granted:
        raise _refusal(actor, "label", is_seen=label.project is None or bool(granted & _SEES_LABELS))
    return label


def _refusal(actor: Actor, what: str, *, is_seen: bool) -> HarborliteError:
    if actor.kind == "anonymous":
        return Unauthorized()
    return Denied() if is_seen else NotFound(f"there is no such {what}")


def actor_asked_about(asker: Actor, project: Project, name: str | None) -> Actor:
    """Whom `asker` asks about: `name` in `project`, nobody in particular when it is empty, themselves when it is None.

    Denied for who does not manage the members of the project and asks about others, NotFound when there is no such
    account. Of robots from elsewhere only those are found that have a permission here.
    """
    if name is None or name == asker.username:
        return asker
    if "member:update" not in rbac.actions(asker, project):
        raise Denied("about others, only administrators of the project may ask")
    if not name:
        return ANONYMOUS
    prefix = config.get("robot_name_prefix")
    if not name.startswith(prefix):
        return actor_of(user_get(name))
    robots = _ROBOTS.filter(user__username_key=fold(ROBOT_MARK + name.removeprefix(prefix)))
    here = Q(project=project) | Q(scopes__kind=RobotPermission.Kind.PROJECT, scopes__project=project)
    here |= Q(scopes__kind=RobotPermission.Kind.PROJECT, scopes__project=None)
    robot = robots.filter(Q() if asker.is_admin else here).first() if is_line(name) else None
    if robot is None:
        raise NotFound(f"there is no robot {name!a}")
    return actor_of(robot.user)


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
