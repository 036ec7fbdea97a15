"""Who may do what in a project: decided here and nowhere else. The only user of guardian.

    administrator of the system      every action
    anybody, in a public project     roles.PUBLIC
    a person                         + the actions of each role they have, themselves or by a group
    a robot                          + the actions in its RobotPermission rows for this project or for every one

Each line is a Grant. What one may is the union of one's grants, and the answer to why one may is the grant that holds
the action: there is no second reading of the rules that could say otherwise.

A role is a guardian object permission (roles.Role.codename) on the project. Accounts that are disabled and robots
that have expired have what anybody has. A role, kind or action that is not known grants nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import BigIntegerField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now
from guardian.shortcuts import assign_perm

from accounts.models import AccessToken, Group, User
from harborlite.actors import Actor
from projects import roles
from projects.models import Project, ProjectGroupObjectPermission, ProjectUserObjectPermission, RobotPermission
from projects.names import is_name
from projects.roles import Role
from system import config

NOTHING: frozenset[str] = frozenset()
PUSH = frozenset({"repository:push"})
_ROLES = {role.codename: role for role in Role}


class Rule(StrEnum):
    """Why somebody may do something in a project."""

    ADMINISTRATOR = "administrator"
    PUBLIC = "public-project"
    ROLE = "role"
    GROUP_ROLE = "role-by-group"
    ROBOT = "robot-permission"
    ROBOT_EVERYWHERE = "robot-permission-everywhere"


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions that a rule gives somebody in a project; with a role, and for GROUP_ROLE the group that has it."""

    rule: Rule
    actions: frozenset[str]
    role: Role | None = None
    group_id: int | None = None


_ADMINISTRATOR = Grant(Rule.ADMINISTRATOR, roles.PROJECT_ACTIONS)
_PUBLIC = Grant(Rule.PUBLIC, roles.PUBLIC)


# What an actor may.


def grants(actor: Actor, project: Project) -> Sequence[Grant]:
    """Everything that lets `actor` do something in `project`. One query for people and robots, none for others."""
    return _grants_in(actor, [project])[project.pk]


def actions(actor: Actor, project: Project) -> frozenset[str]:
    """Everything `actor` may do in `project`. One query for people and robots, none for others."""
    return _united(grants(actor, project))


def allowed(actor: Actor, project: Project, action: str) -> bool:
    """Whether `actor` may do `action` in `project`."""
    return action in actions(actor, project)


def actions_by_name(actor: Actor, names: Iterable[str]) -> dict[str, tuple[Project, frozenset[str]]]:
    """For each of `names` that is a project: it, and what `actor` may do in it (perhaps nothing). At most 2 queries."""
    projects = list(Project.objects.filter(name__in=[name for name in names if is_name(name)]))
    found = _grants_in(actor, projects)
    return {project.name: (project, _united(found[project.pk])) for project in projects}


def visible_projects(actor: Actor) -> QuerySet[Project]:
    """The projects in which `actor` may do anything at all, as one query."""
    return _projects(actor, _ROLES, Q(), is_public=True)


def projects_allowing(actor: Actor, action: str) -> QuerySet[Project]:
    """The projects in which `actor` may do `action`, as one query. Where `actor` sees much, it may still not pull."""
    if action not in roles.PROJECT_ACTIONS:
        return Project.objects.none()
    codenames = [codename for codename, role in _ROLES.items() if action in roles.ACTIONS[role]]
    carried = Q(access__contains=[action]) if action in roles.ROBOT_PROJECT_ACTIONS else Q(pk=None)
    if action in roles.closed(PUSH):
        carried |= Q(access__contains=list(PUSH), robot__project__isnull=False)
    return _projects(actor, codenames, carried, is_public=action in roles.PUBLIC)


def _projects(actor: Actor, codenames: Iterable[str], carried: Q, *, is_public: bool) -> QuerySet[Project]:
    """Where `actor` has one of the roles `codenames`, or carries a permission of which `carried` is true.

    `is_public` adds all public projects.
    """
    if actor.is_admin:
        return Project.objects.all()
    here, found = OuterRef("pk"), Q(is_public=True) if is_public else Q(pk=None)
    if actor.kind == "user" and actor.user_id is not None:
        for rows in _role_rows(actor.user_id):
            found |= Q(Exists(rows.filter(content_object=here, permission__codename__in=list(codenames))))
    elif actor.kind == "robot" and actor.user_id is not None:
        scopes = _scopes(actor.user_id, RobotPermission.Kind.PROJECT).filter(carried)
        found |= Q(Exists(scopes.filter(Q(project=here) | Q(project=None))))
    return Project.objects.filter(found)


def system_actions(actor: Actor) -> frozenset[str]:
    """What `actor` may do outside projects. One query for robots, none for others."""
    if actor.is_admin:
        return roles.ADMINISTRATOR_ACTIONS
    if actor.kind != "robot" or actor.user_id is None:
        return NOTHING
    rows = _scopes(actor.user_id, RobotPermission.Kind.SYSTEM).values_list("access", flat=True)
    return NOTHING.union(*rows) & roles.SYSTEM_ACTIONS


def may_create_projects(actor: Actor) -> bool:
    """Whether `actor` may make projects: administrators, robots that carry it, and people where they are let."""
    if actor.kind == "user" and not actor.is_admin:
        return actor.user_id is not None and config.get("project_creation_restriction") == "everyone"
    return "project:create" in system_actions(actor)


def administers_a_project(actor: Actor) -> bool:
    """Whether `actor` is a person who administers a project, themselves or by a group. At most 2 queries."""
    if actor.kind != "user" or actor.user_id is None:
        return False
    own, by_group = _role_rows(actor.user_id)
    codename = Role.ADMIN.codename
    return own.filter(permission__codename=codename).exists() or by_group.filter(permission__codename=codename).exists()


def actions_everywhere(actor: Actor) -> frozenset[str]:
    """What `actor` may do in every project, also those to come. One query for robots, none for others."""
    if actor.is_admin:
        return roles.PROJECT_ACTIONS
    if actor.kind != "robot" or actor.user_id is None:
        return NOTHING
    rows = _scopes(actor.user_id, RobotPermission.Kind.PROJECT).filter(project=None)
    return NOTHING.union(*rows.values_list("access", flat=True)) & roles.ROBOT_PROJECT_ACTIONS


def _united(found: Iterable[Grant]) -> frozenset[str]:
    return NOTHING.union(*(grant.actions for grant in found))


def _grants_in(actor: Actor, projects: Sequence[Project]) -> Mapping[int, Sequence[Grant]]:
    if actor.is_admin:
        return {project.pk: (_ADMINISTRATOR,) for project in projects}
    found: dict[int, list[Grant]] = defaultdict(list)
    if projects and actor.user_id is not None:
        ids = [project.pk for project in projects]
        match actor.kind:
            case "user":
                found = _grants_of_person(actor.user_id, ids)
            case "robot":
                found = _grants_of_robot(actor.user_id, ids)
    return {project.pk: [*found[project.pk], *([_PUBLIC] if project.is_public else [])] for project in projects}


def _grants_of_person(user_id: int, project_ids: list[int]) -> dict[int, list[Grant]]:
    own, by_group = _role_rows(user_id)
    here = Q(content_object__in=project_ids)
    rows = own.filter(here).values_list("content_object", "permission__codename", Value(None, BigIntegerField()))
    rows = rows.union(by_group.filter(here).values_list("content_object", "permission__codename", "group"))
    found: dict[int, list[Grant]] = defaultdict(list)
    for project_id, codename, group_id in rows:
        if codename in _ROLES:
            role = _ROLES[codename]
            rule = Rule.ROLE if group_id is None else Rule.GROUP_ROLE
            found[project_id].append(Grant(rule, roles.ACTIONS[role], role, group_id))
    return found


def _grants_of_robot(user_id: int, project_ids: list[int]) -> dict[int, list[Grant]]:
    rows = _scopes(user_id, RobotPermission.Kind.PROJECT).filter(Q(project__in=project_ids) | Q(project=None))
    found: dict[int, list[Grant]] = defaultdict(list)
    for project_id, access, home in rows.values_list("project", "access", "robot__project"):
        granted = roles.ROBOT_PROJECT_ACTIONS.intersection(access)
        rule = Rule.ROBOT_EVERYWHERE if project_id is None else Rule.ROBOT
        for target in project_ids if project_id is None else [project_id]:
            found[target].append(Grant(rule, roles.closed(granted) if home else granted))
    return found


def _role_rows(
    user_id: int,
) -> tuple[QuerySet[ProjectUserObjectPermission], QuerySet[ProjectGroupObjectPermission]]:
    """guardian's rows of an active person, their own and their groups'."""
    return (
        ProjectUserObjectPermission.objects.filter(user=user_id, user__is_active=True),
        ProjectGroupObjectPermission.objects.filter(group__user=user_id, group__user__is_active=True),
    )


def is_live(robot: User) -> bool:
    """Whether the robot has a secret that has not expired."""
    return _live_secrets(robot.pk).exists()


def _live_secrets(user_id: int) -> QuerySet[AccessToken]:
    return AccessToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user=user_id)


def _scopes(user_id: int, kind: RobotPermission.Kind) -> QuerySet[RobotPermission]:
    """The permissions of an active robot whose secret has not expired."""
    live = _live_secrets(user_id)
    return RobotPermission.objects.filter(Exists(live), robot__user=user_id, robot__user__is_active=True, kind=kind)


# Giving and taking roles; inside the transaction that writes the Member.


def grant(project: Project, subject: User | Group, role: Role) -> None:
    """`subject` has `role` in `project` and no other role."""
    revoke(project, subject)
    assign_perm(role.codename, subject, project)


def revoke(project: Project, subject: User | Group) -> None:
    """`subject` has no role in `project`."""
    if isinstance(subject, User):
        ProjectUserObjectPermission.objects.filter(user=subject, content_object=project).delete()
    else:
        ProjectGroupObjectPermission.objects.filter(group=subject, content_object=project).delete()
