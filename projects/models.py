"""The tenant: projects, who is a member, and robots with the permissions they carry.

    Project --< Member >-- User or Group        what people see and edit: a role
       |--< ProjectUserObjectPermission         what decides: the same role as a guardian object permission,
       |--< ProjectGroupObjectPermission          written with the Member in one transaction (projects.rbac)
       |--< Robot --< RobotPermission >-- Project
       '--- Quota, QuotaEntry                   how many bytes it may hold, and the ledger of what it holds

`Project.access_version` goes up whenever somebody loses something in the project; tokens issued before die by it.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import MD5, Cast, Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from accounts.models import Group
from projects.roles import Role


class Project(models.Model):
    """A namespace of repositories with its own members. `name` is the first part of every image name in it."""

    name = models.CharField(max_length=255, unique=True)
    is_public = models.BooleanField(default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="owned_projects")
    access_version = models.IntegerField(default=1)
    metadata: "models.JSONField[Any]" = models.JSONField(default=dict)
    """Harbor's flags by name, all values strings ("true"); `public` is not among them, that is `is_public`."""
    cve_allowlist: "models.JSONField[Any]" = models.JSONField(default=dict)
    """{"items": ["CVE-2024-1", ...], "expires_at": unix seconds or null}"""
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


class Label(models.Model):
    """A coloured word to put on artifacts: of one project, or (project null) of the whole instance."""

    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="labels")
    name = models.CharField(max_length=128)
    description = models.CharField(max_length=1024, blank=True, default="")
    color = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], nulls_distinct=False, name="label_unique_name"),
        ]

    def __str__(self) -> str:
        return self.name


class ImmutableRule(models.Model):
    """Tags that its `tag_selectors` choose never move nor go, in the repositories that its `scope_selectors` choose."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="immutable_rules")
    is_disabled = models.BooleanField(default=False)
    priority = models.IntegerField(default=0)
    template = models.CharField(max_length=64, default="immutable_template")
    scope_selectors: "models.JSONField[Any]" = models.JSONField(default=dict)
    """{"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}"""
    tag_selectors: "models.JSONField[Any]" = models.JSONField(default=list)
    """[{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}]"""
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            # Of digests: patterns may be longer than an index can hold.
            models.UniqueConstraint(
                "project",
                MD5(Cast("scope_selectors", models.TextField())),
                MD5(Cast("tag_selectors", models.TextField())),
                name="immutablerule_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.tag_selectors}"


class Quota(models.Model):
    """How many bytes a project may hold. It holds `folded` and the sum of its QuotaEntry rows together.

    No request changes a row of this table but one that sets the limit: what every push had to change would be waited
    for by every other push. A background task folds entries in.
    """

    UNLIMITED = -1

    project = models.OneToOneField(Project, models.CASCADE, related_name="quota")
    hard = models.BigIntegerField(default=UNLIMITED)
    """Bytes; UNLIMITED for no limit."""
    folded = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=models.Q(hard=-1) | models.Q(hard__gt=0), name="quota_limit_sensible"),
            models.CheckConstraint(condition=models.Q(folded__gte=0), name="quota_never_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.hard}"


class QuotaEntry(models.Model):
    """So many bytes came to a project, or (negative) went: written in the transaction that links or unlinks them."""

    # Without the database's check, which would lock the project's row for every push: what is charged has a row of its
    # own with a foreign key.
    project = models.ForeignKey(Project, models.CASCADE, related_name="quota_entries", db_constraint=False)
    delta = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.project_id}: {self.delta:+}"


class DeletedProject(models.Model):
    """A project that was deleted and can be restored until `expires_at`, from the rows that went with it."""

    project_id = models.BigIntegerField(primary_key=True)
    """Which it gets back."""
    name = models.CharField(max_length=255)
    username = models.CharField(max_length=255)
    rows: "models.JSONField[Any]" = models.JSONField()
    """By model, the values of the project's own row, members, robots, labels, rules and quota."""
    at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["expires_at"], name="deletedproject_expiry")]

    def __str__(self) -> str:
        return self.name
