"""Facts of the instance: its configuration, one row for every change anybody made (the audit trail), and its jobs.

No foreign key leads out of this app: a record of what happened outlives what it happened to.

    Schedule --- at its times ---> Execution ---> Task ---> TaskLog
                                   what was asked  pieces of it that a worker takes one by one

These rows are the truth about jobs: Celery only tells workers to look at them, and may lose or double every message.
"""

from typing import Any

from django.db import models
from django.db.models.functions import Now


class Configuration(models.Model):
    """One setting that an administrator gave another value than its default; `key` is Harbor's name for it."""

    key = models.CharField(max_length=64, primary_key=True)
    value: "models.JSONField[Any]" = models.JSONField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


class Event(models.Model):
    """Somebody did something, or tried to: written in the transaction of the change itself, never changed again."""

    at = models.DateTimeField(db_default=Now())
    username = models.CharField(max_length=255)
    user_id = models.BigIntegerField(null=True)
    address = models.CharField(max_length=45, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    operation = models.CharField(max_length=32)
    resource_type = models.CharField(max_length=32)
    resource = models.TextField()
    project_id = models.BigIntegerField(null=True)
    description = models.TextField(blank=True, default="")
    is_successful = models.BooleanField(default=True)
    extra: "models.JSONField[Any]" = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        # One for everything a list can be asked for, each in the order of time: measured by benchmarks/audit.py.
        # Two more, for parts of a resource's name and of a username, are in the migration: they need an extension.
        indexes = [
            models.Index(fields=["at", "id"], name="event_at"),
            models.Index(fields=["project_id", "at", "id"], include=["operation"], name="event_project"),
            models.Index(fields=["username", "at", "id"], include=["project_id", "operation"], name="event_username"),
            models.Index(fields=["operation", "at", "id"], name="event_operation"),
            models.Index(fields=["resource_type", "at", "id"], name="event_resource_type"),
            models.Index(fields=["resource"], name="event_resource"),
            models.Index(fields=["at", "id"], condition=models.Q(is_successful=False), name="event_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.username} {self.operation} {self.resource_type} {self.resource}"


class Status(models.TextChoices):
    """Of an execution and of a task, in Harbor's words."""

    PENDING = "Pending"
    RUNNING = "Running"
    STOPPED = "Stopped"
    SUCCESS = "Success"
    ERROR = "Error"


class Execution(models.Model):
    """One run of a job: somebody, a schedule or an event asked for it, and its tasks do it."""

    class Trigger(models.TextChoices):
        MANUAL = "MANUAL"
        SCHEDULE = "SCHEDULE"
        EVENT = "EVENT"

    kind = models.CharField(max_length=32)
    """What it does: a name in system.jobs.kinds, which is Harbor's vendor type."""
    vendor_id = models.BigIntegerField(default=0)
    """Of the policy it carries out; 0 when its kind has none."""
    project_id = models.BigIntegerField(null=True)
    """Of the project whose members may see it; null for the instance's own."""
    trigger = models.CharField(max_length=8, choices=Trigger)
    username = models.CharField(max_length=255, blank=True, default="")
    """Who asked; empty for a schedule."""
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    status_message = models.TextField(blank=True, default="")
    parameters: "models.JSONField[Any]" = models.JSONField(default=dict)
    result: "models.JSONField[Any]" = models.JSONField(default=dict)
    """What came of it, in words and numbers that its kind knows."""
    is_single = models.BooleanField(default=False)
    """No other of this kind and vendor id may be under way."""
    is_stopping = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "vendor_id"],
                name="execution_single",
                condition=models.Q(is_single=True, ended_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "vendor_id", "-id"], name="execution_of_kind"),
            models.Index(fields=["kind", "id"], name="execution_open", condition=models.Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Task(models.Model):
    """A piece of an execution, done by one worker at a time under a lease.

    Each claim raises `fence`; whatever a worker writes for the task it writes only while the row still has the fence it
    claimed it with, in the same transaction. So a worker that lost its lease changes nothing.
    """

    execution = models.ForeignKey(Execution, models.CASCADE, related_name="tasks", db_index=False)
    kind = models.CharField(max_length=32)
    """The execution's."""
    name = models.CharField(max_length=64)
    """Which handler does it."""
    queue = models.CharField(max_length=32)
    arguments: "models.JSONField[Any]" = models.JSONField(default=dict)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    status_message = models.TextField(blank=True, default="")
    attempt = models.IntegerField(default=0)
    """How often it was begun because of an error or a lost worker; continuing after a pause does not count."""
    fence = models.BigIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=255, blank=True, default="")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    """Of the same unit as `done`; null while nobody knows."""
    unit = models.CharField(max_length=16, blank=True, default="")
    checkpoint: "models.JSONField[Any]" = models.JSONField(default=dict)
    """Where the next worker goes on."""
    result: "models.JSONField[Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["execution", "id"], name="task_of_execution"),
            models.Index(fields=["kind", "due_at", "id"], name="task_due", condition=models.Q(status="Pending")),
            models.Index(fields=["execution"], name="task_open", condition=models.Q(ended_at__isnull=True)),
            models.Index(fields=["lease_until"], name="task_leased", condition=models.Q(status="Running")),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class TaskLog(models.Model):
    """Some lines that a task wrote down, in the order of their ids."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="logs", db_index=False)
    at = models.DateTimeField(db_default=Now())
    text = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["task", "id"], name="tasklog_of_task")]

    def __str__(self) -> str:
        return self.text


class Schedule(models.Model):
    """When a job of one kind (for one policy) is to be run by itself."""

    kind = models.CharField(max_length=32)
    vendor_id = models.BigIntegerField(default=0)
    type = models.CharField(max_length=8)
    """Harbor's word for it: Hourly, Daily, Weekly, Custom."""
    cron = models.CharField(max_length=128)
    """Six fields, seconds first."""
    time_zone = models.CharField(max_length=64, default="UTC")
    """The name of a zone of the tz database, in which `cron` is read."""
    parameters: "models.JSONField[Any]" = models.JSONField(default=dict)
    """Of the executions it makes."""
    project_id = models.BigIntegerField(null=True)
    is_enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "vendor_id"], name="schedule_unique")]
        indexes = [models.Index(fields=["next_at"], name="schedule_due", condition=models.Q(is_enabled=True))]

    def __str__(self) -> str:
        return f"{self.kind} {self.cron}"


class PausedKind(models.Model):
    """No task of this kind is begun, and no schedule of it makes an execution, until the row goes."""

    kind = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.kind


class Worker(models.Model):
    """A worker's main process that was seen lately, by its own word."""

    name = models.CharField(max_length=255, primary_key=True)
    """host:process number"""
    host = models.CharField(max_length=255)
    process = models.IntegerField()
    concurrency = models.IntegerField()
    queues: "models.JSONField[Any]" = models.JSONField(default=list)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
