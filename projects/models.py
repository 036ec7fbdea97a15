"""The tenant: projects, who is a member, and robots with the permissions they carry.

    Project --< Member >-- User or Group        what people see and edit: a role
       |--< ProjectUserObjectPermission         what decides: the same role as a guardian object permission,
       |--< ProjectGroupObjectPermission          written with the Member in one transaction (projects.rbac)
       '--< Robot --< RobotPermission >-- Project

`Project.access_version` goes up whenever somebody loses something in the project; tokens issued before die by it.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from accounts.models import Group
from projects.roles import Role


class Project(models.Model):
    """A namespace of repositories with its own members. `name` is the first part of every image name in it."""

    name = models.CharField(max_length=255, unique=True)
    is_public = models.BooleanField(default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="owned_projects")
    access_version = models.IntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        permissions = [(role.codename, f"is {role.label}") for role in Role]

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """A person or a group has a role in a project; `role` is Harbor's number, see projects.roles.Role."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="memberships")
    group = models.ForeignKey(Group, models.CASCADE, null=True, related_name="memberships")
    role = models.SmallIntegerField(choices=[(role.value, role.label) for role in Role])
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="member_unique_user"),
            models.UniqueConstraint(fields=["project", "group"], name="member_unique_group"),
            models.CheckConstraint(
                condition=models.Q(user__isnull=True, group__isnull=False)
                | models.Q(user__isnull=False, group__isnull=True),
                name="member_user_or_group",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="member_known_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.group}: {Role(self.role).label}"


class ProjectUserObjectPermission(UserObjectPermissionBase):
    """guardian's row: a person has a permission on a project. A real foreign key instead of guardian's generic one."""

    content_object = models.ForeignKey(Project, models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        default_permissions = ()


class ProjectGroupObjectPermission(GroupObjectPermissionBase):
    """guardian's row: a group has a permission on a project."""

    content_object = models.ForeignKey(Project, models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        default_permissions = ()


class Robot(models.Model):
    """An account for programs, of one project or (project null) of the system. Its user signs in with one AccessToken.

    `duration` is how many days a secret lasts from creation; -1 means for ever. The date is the token's expires_at.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="robot")
    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="robots")
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=1024, blank=True, default="")
    duration = models.IntegerField(default=-1)
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], nulls_distinct=False, name="robot_unique_name"),
            models.CheckConstraint(
                condition=models.Q(duration=-1) | models.Q(duration__gt=0), name="robot_duration_sensible"
            ),
        ]

    def __str__(self) -> str:
        return self.user.login

    @property
    def level(self) -> str:
        """Harbor's word: project or system."""
        return "system" if self.project_id is None else "project"


class RobotPermission(models.Model):
    """What a robot may do in one project, in every project (kind project, project null) or on the system.

    A row and not a name inside JSON: when the project is deleted the permission goes with it, so a project made
    later under the same name, by somebody else, is not open to the robot.
    """

    class Kind(models.TextChoices):
        PROJECT = "project"
        SYSTEM = "system"

    robot = models.ForeignKey(Robot, models.CASCADE, related_name="scopes")
    kind = models.CharField(max_length=8, choices=Kind)
    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="+")
    access: "models.JSONField[Any]" = models.JSONField(default=list)
    """["resource:action", ...]"""

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["robot", "kind", "project"], nulls_distinct=False, name="robotpermission_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="project") | models.Q(kind="system", project__isnull=True),
                name="robotpermission_scope",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.project_id or '*'}"
