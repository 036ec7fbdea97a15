"""Facts of the instance: its configuration, and one row for every change anybody made (the audit trail).

No foreign key leads out of this app: a record of what happened outlives what it happened to.
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
