"""Deleted projects: kept for HARBORLITE_RESTORE_DAYS as the rows that went with them, and restored from these.

Their repositories were deleted before them, and can be restored after them (registry.services.restorations).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import serializers
from django.db import transaction
from django.db.models import Model, Q
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from accounts.models import Group, User
from accounts.services import robot_accounts_kept, robot_accounts_restore
from harborlite import generations, origin
from harborlite.errors import NotFound
from projects import rbac
from projects.models import DeletedProject, ImmutableRule, Label, Member, Project, Quota, Robot, RobotPermission
from projects.roles import Role
from system.events import emit

Rows = dict[str, list[dict[str, Any]]]


def project_keep(*, project: Project) -> None:
    """The project, which the caller deletes next, can be restored. In the caller's transaction, which has locked it."""
    if not settings.RESTORE_DAYS:
        return
    robots = Robot.objects.filter(project=project)
    rows: Rows = {
        "accounts": robot_accounts_kept(user_ids=robots.values_list("user", flat=True)),
        "project": _kept(Project.objects.filter(pk=project.pk)),
        "quota": _kept(Quota.objects.filter(project=project)),
        "members": _kept(Member.objects.filter(project=project)),
        "labels": _kept(Label.objects.filter(project=project)),
        "rules": _kept(ImmutableRule.objects.filter(project=project)),
        "robots": _kept(robots),
        "permissions": _kept(RobotPermission.objects.filter(Q(project=project) | Q(robot__project=project))),
    }
    DeletedProject.objects.create(
        project_id=project.pk,
        name=project.name,
        username=origin.current().actor.username,
        rows=rows,
        expires_at=Now() + timedelta(days=settings.RESTORE_DAYS),
    )


@retried
def project_restore(*, deleted: DeletedProject) -> Project:
    """The project is there again with its id, members, robots and their secrets, labels, rules and limit; it is empty.

    Who was deleted meanwhile is no member any more. Tokens from before the deletion stay refused. Conflict when another
    project has the name now, NotFound when it can't be restored any more.
    """
    taken = f"there is a project {deleted.name} already; delete that one first"
    with refusals(taken, "a member is being deleted; try again"), transaction.atomic(durable=True):
        rows = _taken(deleted).rows
        (project,) = _back(rows["project"])
        assert isinstance(project, Project)  # noqa: S101 - for the types
        project.access_version += 1
        people = _there(User, (project.owner_id, *_ids(rows["members"], "user"), *_ids(rows["robots"], "creator")))
        project.owner_id = project.owner_id if project.owner_id in people else None
        project.save(force_insert=True)
        for quota in _back(rows["quota"]):
            assert isinstance(quota, Quota)  # noqa: S101
            quota.folded = 0  # what came and went in between was in entries, which are gone
            quota.save(force_insert=True)
        _members_restore(project, rows["members"], people)
        for row in (*_back(rows["labels"]), *_back(rows["rules"])):
            row.save(force_insert=True)
        _robots_restore(rows, people)
        emit("restore", "project", project.name, project_id=project.pk, project=project.name)
        generations.bump_on_commit("project", project.pk)
    return project


@retried
def deleted_project_purge(*, deleted: DeletedProject) -> None:
    """The project can't be restored any more. NotFound when it can't already."""
    with transaction.atomic(durable=True):
        gone = _taken(deleted)
        emit("purge", "project", gone.name, project_id=gone.project_id, project=gone.name)


def deleted_projects_expire(*, limit: int) -> int:
    """Up to `limit` projects whose time is over can't be restored any more; returns how many. In a transaction."""
    over = DeletedProject.objects.filter(expires_at__lte=Now()).order_by("expires_at")
    ids = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
    return DeletedProject.objects.filter(pk__in=ids).delete()[0]


def _taken(deleted: DeletedProject) -> DeletedProject:
    """The row, which is gone when the transaction commits. NotFound when its time is over."""
    rows = DeletedProject.objects.filter(pk=deleted.pk, expires_at__gt=Now())
    held = rows.select_for_update().first()
    if held is None:
        raise NotFound("there is no such deleted project")
    DeletedProject.objects.filter(pk=held.pk).delete()
    return held


def _members_restore(project: Project, kept: Sequence[dict[str, Any]], people: set[int]) -> None:
    groups = _there(Group, _ids(kept, "group"))
    for member in _back(kept):
        assert isinstance(member, Member)  # noqa: S101
        if member.user_id in people or member.group_id in groups:
            member.save(force_insert=True)
            subject = member.user or member.group
            assert subject is not None  # noqa: S101 - a constraint of the table
            rbac.grant(project, subject, Role(member.role))


def _robots_restore(rows: Mapping[str, Sequence[dict[str, Any]]], people: set[int]) -> None:
    robot_accounts_restore(kept=rows["accounts"])
    for robot in _back(rows["robots"]):
        assert isinstance(robot, Robot)  # noqa: S101
        robot.creator_id = robot.creator_id if robot.creator_id in people else None
        robot.save(force_insert=True)
    robots = _there(Robot, _ids(rows["permissions"], "robot"))
    for permission in _back(rows["permissions"]):
        assert isinstance(permission, RobotPermission)  # noqa: S101
        if permission.robot_id in robots:
            permission.save(force_insert=True)


def _kept(rows: Iterable[Model]) -> list[dict[str, Any]]:
    """The rows as JSON."""
    kept: list[dict[str, Any]] = json.loads(json.dumps(serializers.serialize("python", rows), default=str))
    return kept


def _back(kept: Sequence[dict[str, Any]]) -> list[Model]:
    """The rows, to be saved."""
    return [back.object for back in serializers.deserialize("python", kept)]


def _ids(kept: Sequence[dict[str, Any]], name: str) -> list[int]:
    return [row["fields"][name] for row in kept]


def _there(kind: type[Model], ids: Iterable[int | None]) -> set[int]:
    """Those of the ids that there are."""
    wanted = [pk for pk in ids if pk is not None]
    return set(kind._default_manager.filter(pk__in=wanted).values_list("pk", flat=True))
