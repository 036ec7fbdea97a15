"""Who may do what in a project: decided here and nowhere else. The only user of guardian.

    administrator of the system      every action
    anybody, in a public project     roles.PUBLIC
    a person                         + the actions of each role they have, themselves or by a group
    a robot                          + the actions in its RobotPermission rows for this project or for every one

A role is a guardian object permission (roles.Role.codename) on the project. Accounts that are disabled and robots
that have expired have what anybody has. A role, kind or action that is not known grants nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from guardian.shortcuts import assign_perm

from accounts.actors import Actor
from accounts.models import AccessToken, Group, User
from projects import roles
from projects.models import Project, ProjectGroupObjectPermission, ProjectUserObjectPermission, RobotPermission
from projects.names import is_name
from projects.roles import Role

NOTHING: frozenset[str] = frozenset()
PUSH = frozenset({"repository:push"})
_ROLES = {role.codename: role for role in Role}


# What an actor may.


def actions(actor: Actor, project: Project) -> frozenset[str]:
    """Everything `actor` may do in `project`. One query for people and robots, none for others."""
    return _actions_in(actor, [project])[project.pk]


def allowed(actor: Actor, project: Project, action: str) -> bool:
    """Whether `actor` may do `action` in `project`."""
    return action in actions(actor, project)


def actions_by_name(actor: Actor, names: Iterable[str]) -> dict[str, tuple[Project, frozenset[str]]]:
    """For each of `names` that is a project: it, and what `actor` may do in it (perhaps nothing). At most 2 queries."""
    projects = list(Project.objects.filter(name__in=[name for name in names if is_name(name)]))
    found = _actions_in(actor, projects)
    return {project.name: (project, found[project.pk]) for project in projects}


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
        return roles.SYSTEM_ACTIONS
    if actor.kind != "robot" or actor.user_id is None:
        return NOTHING
    rows = _scopes(actor.user_id, RobotPermission.Kind.SYSTEM).values_list("access", flat=True)
    return NOTHING.union(*rows) & roles.SYSTEM_ACTIONS


def actions_everywhere(actor: Actor) -> frozenset[str]:
    """What `actor` may do in every project, also those to come. One query for robots, none for others."""
    if actor.is_admin:
        return roles.PROJECT_ACTIONS
    if actor.kind != "robot" or actor.user_id is None:
        return NOTHING
    rows = _scopes(actor.user_id, RobotPermission.Kind.PROJECT).filter(project=None)
    return NOTHING.union(*rows.values_list("access", flat=True)) & roles.ROBOT_PROJECT_ACTIONS


def _actions_in(actor: Actor, projects: Sequence[Project]) -> dict[int, frozenset[str]]:
    if actor.is_admin:
        return {project.pk: roles.PROJECT_ACTIONS for project in projects}
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    if projects and actor.user_id is not None:
        ids = [project.pk for project in projects]
        match actor.kind:
            case "user":
                found |= _actions_of_person(actor.user_id, ids)
            case "robot":
                found |= _actions_of_robot(actor.user_id, ids)
    return {project.pk: found[project.pk] | (roles.PUBLIC if project.is_public else NOTHING) for project in projects}


def _actions_of_person(user_id: int, project_ids: list[int]) -> dict[int, frozenset[str]]:
    by_user, by_group = (
        rows.filter(content_object__in=project_ids).values_list("content_object", "permission__codename")
        for rows in _role_rows(user_id)
    )
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    for project_id, codename in by_user.union(by_group):
        if codename in _ROLES:
            found[project_id] |= roles.ACTIONS[_ROLES[codename]]
    return found


def _actions_of_robot(user_id: int, project_ids: list[int]) -> dict[int, frozenset[str]]:
    rows = _scopes(user_id, RobotPermission.Kind.PROJECT).filter(Q(project__in=project_ids) | Q(project=None))
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    for project_id, access, home in rows.values_list("project", "access", "robot__project"):
        granted = roles.ROBOT_PROJECT_ACTIONS.intersection(access)
        for target in project_ids if project_id is None else [project_id]:
            found[target] |= roles.closed(granted) if home else granted
    return found


def _role_rows(
    user_id: int,
) -> tuple[QuerySet[ProjectUserObjectPermission], QuerySet[ProjectGroupObjectPermission]]:
    """guardian's rows of an active person, their own and their groups'."""
    return (
        ProjectUserObjectPermission.objects.filter(user=user_id, user__is_active=True),
        ProjectGroupObjectPermission.objects.filter(group__user=user_id, group__user__is_active=True),
    )


def _scopes(user_id: int, kind: RobotPermission.Kind) -> QuerySet[RobotPermission]:
    """The permissions of an active robot whose secret has not expired."""
    live = AccessToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user=user_id)
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
