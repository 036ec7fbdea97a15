"""Writes of robots. What a robot is given is checked against what may be given at all and what its giver has."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import services as accounts
from accounts.constraints import refusals, retried
from accounts.models import User
from accounts.names import MAX_LENGTH, ROBOT_MARK
from harborlite.actors import Actor
from harborlite.errors import BadRequest, Denied, NotFound
from harborlite.text import is_text
from projects import permissions as grammar
from projects import rbac
from projects.models import Project, Robot, RobotPermission
from projects.names import RULE, is_name
from projects.permissions import Permission
from system.events import emit

FOR_EVER = -1
_MOST_DAYS = 36_500
_DESCRIPTION_LENGTH = 1024


@retried
def robot_create(
    *,
    creator: Actor,
    name: str,
    project: Project | None,
    permissions: Sequence[Permission],
    duration: int = FOR_EVER,
    description: str = "",
    is_enabled: bool = True,
) -> tuple[Robot, str]:
    """A robot of `project`, or of the system, with its secret, which is shown this once.

    BadRequest when something is not allowed to any robot, Denied when `creator` would give more than they have,
    Conflict when there is a robot of that name. That `creator` may make robots here, the face has checked.
    """
    if not is_name(name):
        raise BadRequest(f"name: a robot's name has {RULE}")
    login = f"{project.name}+{name}" if project else name
    if len(ROBOT_MARK + login) > MAX_LENGTH:
        raise BadRequest("name: the robot's name is too long")
    _check_description(description)
    with refusals(f"there is a robot {name} already", "the project is gone"), transaction.atomic(durable=True):
        scopes = _scopes(creator, project, permissions)
        expires_at = _expires_at(timezone.now(), duration)
        user, secret = accounts.robot_account_create(name=login, expires_at=expires_at)
        robot = Robot.objects.create(
            user=user,
            project=project,
            name=name,
            description=description,
            duration=duration,
            creator=User.objects.filter(pk=creator.user_id or 0).first(),
        )
        _write(robot, scopes)
        if not is_enabled:
            accounts.robot_account_update(user=user, is_active=False, expires_at=expires_at)
        _told("create", robot, {"permissions": grammar.render(permissions)})
    return robot, secret


@retried
def robot_update(
    *,
    editor: Actor,
    robot: Robot,
    permissions: Sequence[Permission],
    duration: int,
    description: str,
    is_enabled: bool | None = None,
) -> None:
    """The robot carries `permissions` and no others; it lasts `duration` days from its creation, and is enabled or not.

    BadRequest and Denied as in `robot_create`.
    """
    _check_description(description)
    with refusals("the robot is being changed", "the project is gone"), transaction.atomic(durable=True):
        locked = _locked(robot)
        scopes = _scopes(editor, locked.project, permissions)
        expires_at = _expires_at(locked.created_at, duration)
        Robot.objects.filter(pk=robot.pk).update(duration=duration, description=description, updated_at=Now())
        RobotPermission.objects.filter(robot=robot).delete()
        _write(robot, scopes)
        is_active = locked.user.is_active if is_enabled is None else is_enabled
        accounts.robot_account_update(user=robot.user, is_active=is_active, expires_at=expires_at)
        _told("update", locked, {"permissions": grammar.render(permissions), "disable": not is_active})
        robot.refresh_from_db()


@retried
def robot_refresh_secret(*, robot: Robot, secret: str | None = None) -> str:
    """The robot's secret is the new one returned, or `secret`; the old one is refused. When it expires does not change.

    BadRequest for a secret that is no better than a bad password, Conflict for one that has been given out.
    """
    with refusals("secret: choose another one"), transaction.atomic(durable=True):
        _told("update", _locked(robot), {"rotated": True})
        return accounts.robot_account_secret(user=robot.user, secret=secret)


@retried
def robot_set_enabled(*, robot: Robot, is_enabled: bool) -> None:
    """The robot can sign in, or can't and what it was given before is refused."""
    with transaction.atomic(durable=True):
        locked = _locked(robot)
        expires_at = _expires_at(locked.created_at, locked.duration)
        accounts.robot_account_update(user=robot.user, is_active=is_enabled, expires_at=expires_at)
        _told("update", locked, {"disable": not is_enabled})


@retried
def robot_delete(*, robot: Robot) -> None:
    """The robot is gone, and with it whatever it was given."""
    with transaction.atomic(durable=True):
        _told("delete", _locked(robot), {})
        accounts.robot_accounts_delete(user_ids=[robot.user_id])


def _locked(robot: Robot) -> Robot:
    """The robot as it is now, its row locked. NotFound when it is gone."""
    locked = Robot.objects.select_for_update(of=("self",)).select_related("user", "project").filter(pk=robot.pk).first()
    if locked is None:
        raise NotFound("there is no such robot")
    return locked


def _told(operation: str, robot: Robot, extra: dict[str, Any]) -> None:
    project = robot.project
    name = project.name if project else ""
    emit(operation, "robot", robot.user.login, project_id=robot.project_id, project=name, extra=extra)


def _check_description(description: str) -> None:
    if len(description) > _DESCRIPTION_LENGTH or not is_text(description):
        raise BadRequest(f"description: it has at most {_DESCRIPTION_LENGTH} characters and no control characters")


def _expires_at(start: datetime, duration: int) -> datetime | None:
    if duration == FOR_EVER:
        return None
    if not 1 <= duration <= _MOST_DAYS:
        raise BadRequest(f"duration: it is -1 (for ever) or 1 to {_MOST_DAYS} days")
    return start + timedelta(days=duration)


def _scopes(
    giver: Actor, project: Project | None, permissions: Sequence[Permission]
) -> list[tuple[Permission, Project | None]]:
    """`permissions` with the projects they name, checked; `project` is the robot's own, None for the system's."""
    _check_shape(project, permissions)
    found = rbac.actions_by_name(giver, [permission.namespace for permission in permissions])
    scopes = []
    for permission in permissions:
        target, held = None, rbac.NOTHING
        if permission.kind == grammar.SYSTEM:
            held = rbac.system_actions(giver)
        elif permission.namespace == grammar.EVERY_PROJECT:
            held = rbac.actions_everywhere(giver)
        elif permission.namespace in found:
            target, held = found[permission.namespace]
        elif giver.is_admin:  # others are not told which projects there are
            raise BadRequest(f"permissions: there is no project {permission.namespace}")
        if not permission.actions <= held:
            raise Denied("a robot can't be given more than its giver may do")
        scopes.append((permission, target))
    return scopes


def _check_shape(project: Project | None, permissions: Sequence[Permission]) -> None:
    """BadRequest when no robot of `project`, or of the system, can have `permissions`."""
    for permission in permissions:
        grammar.check(permission)
    namespaces = [(permission.kind, permission.namespace) for permission in permissions]
    if project is not None and namespaces != [(grammar.PROJECT, project.name)]:
        raise BadRequest("permissions: a project's robot has one permission: for this project")
    if not namespaces or len(set(namespaces)) != len(namespaces):
        raise BadRequest("permissions: a robot has at least one, and for each namespace one")


def _write(robot: Robot, scopes: list[tuple[Permission, Project | None]]) -> None:
    RobotPermission.objects.bulk_create(
        RobotPermission(robot=robot, kind=permission.kind, project=project, access=sorted(permission.actions))
        for permission, project in scopes
    )
