"""Which artifacts of a project are kept, what a run of its policy will do, and what must not go whatever a policy says.

    Policy --< Plan --< PlannedRepository        what a run found, rule by rule, before anything goes
                 '----< PlannedArtifact          each artifact: stays or goes, why, and what came of it
    InUse                                        digests that somebody reported as running, until they expire

Plans and policies name what they are about by id, without foreign keys: a project that is restored has its policy
again, and no run of 100,000 artifacts has to be deleted in the request that deletes a project.
"""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from projects.models import Project


class Policy(models.Model):
    """A project's rules of retention, in Harbor's form (retention.stored), and when they are carried out by itself."""

    project_id = models.BigIntegerField(unique=True)
    rules: "models.JSONField[Any]" = models.JSONField(default=list)
    cron = models.CharField(max_length=128, blank=True, default="")
    """Empty when it runs only when somebody asks for it."""
    time_zone = models.CharField(max_length=64, default="UTC")
    may_empty = models.BooleanField(default=False)
    """Whether a run may take the last artifact of a repository without anybody's confirmation."""
    version = models.IntegerField(default=1)
    """One higher with every change: a plan is carried out only by the version that made it."""
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"retention policy {self.pk}"


class Plan(models.Model):
    """What a policy would do, as an execution found it; others may carry it out later, each of its artifacts once."""

    policy_id = models.BigIntegerField()
    project_id = models.BigIntegerField()
    execution_id = models.BigIntegerField(unique=True)
    """The job that made it."""
    version = models.IntegerField()
    """The policy's."""
    rules: "models.JSONField[Any]" = models.JSONField()
    is_complete = models.BooleanField(default=False)
    idle_rules: "models.JSONField[Any]" = models.JSONField(default=list)
    """Ids of rules that chose nothing in the whole project."""
    total = models.IntegerField(default=0)
    going = models.IntegerField(default=0)
    freed_bytes = models.BigIntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["policy_id", "-id"], name="plan_of_policy")]

    def __str__(self) -> str:
        return f"plan {self.pk}"


class PlannedRepository(models.Model):
    """A repository at which a rule looks, in a plan."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="repositories", db_index=False)
    repository_id = models.BigIntegerField()
    name = models.CharField(max_length=255)
    """Its path in the project, at that time."""
    total = models.IntegerField()
    """Artifacts in it."""
    going = models.IntegerField()
    would_be_empty = models.BooleanField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["plan", "repository_id"], name="plannedrepository_unique")]

    def __str__(self) -> str:
        return self.name


class PlannedArtifact(models.Model):
    """An artifact in a plan; those that go, in the order of their ids."""

    class Outcome(models.TextChoices):
        DELETED = "deleted"
        SKIPPED = "skipped"
        """It would not go any more, or something forbade it."""
        HELD = "held"
        """Nothing would be left; somebody has to confirm it."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="artifacts", db_index=False)
    repository_id = models.BigIntegerField()
    digest = models.CharField(max_length=135)
    tags: "models.JSONField[Any]" = models.JSONField(default=list)
    labels: "models.JSONField[Any]" = models.JSONField(default=list)
    pushed_at = models.DateTimeField()
    pulled_at = models.DateTimeField(null=True)
    is_kept = models.BooleanField()
    rule = models.IntegerField(null=True)
    """The id of the first rule that keeps it."""
    reason = models.TextField()
    manifest_ids: "models.JSONField[Any]" = models.JSONField(default=list)
    """Of what goes with it, itself included."""
    freed_bytes = models.BigIntegerField(default=0)
    """Of blobs that nothing in the project needs any more once it and all before it are gone."""
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True, default="")
    outcome_reason = models.TextField(blank=True, default="")
    outcome_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["plan", "repository_id", "is_kept", "id"], name="plannedartifact_in_repository"),
            models.Index(fields=["plan", "is_kept", "id"], name="plannedartifact_of_plan"),
        ]

    def __str__(self) -> str:
        return self.digest


class InUse(models.Model):
    """`source`, such as a cluster, reported the digest as running in some repository of the project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    source = models.CharField(max_length=64)
    digest = models.CharField(max_length=135)
    reported_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["project", "digest", "source"], name="inuse_unique")]
        indexes = [models.Index(fields=["project", "source", "id"], name="inuse_of_source")]

    def __str__(self) -> str:
        return self.digest
