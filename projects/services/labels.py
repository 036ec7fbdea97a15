"""Writes of labels."""

from django.db import transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite.errors import NotFound
from projects.models import Label, Project
from system.events import emit


@retried
def label_create(*, project: Project | None, name: str, description: str = "", color: str = "") -> Label:
    """A label of `project`, or of the whole instance. Conflict when there is one of that name."""
    with refusals(f"there is a label {name} already", "the project is gone"), transaction.atomic(durable=True):
        label = Label.objects.create(project=project, name=name, description=description, color=color)
        _told("create", label)
    return label


@retried
def label_update(*, label: Label, name: str, description: str, color: str) -> None:
    """The label is called so and looks so; whose it is does not change. Conflict when the name is taken."""
    values = {"name": name, "description": description, "color": color}
    with refusals(f"there is a label {name} already"), transaction.atomic(durable=True):
        if not Label.objects.filter(pk=label.pk).update(updated_at=Now(), **values):
            raise NotFound("there is no such label")
        label.refresh_from_db()
        _told("update", label)


@retried
def label_delete(*, label: Label) -> None:
    """The label is gone, also from every artifact that had it."""
    with transaction.atomic(durable=True):
        # Who puts it on an artifact at this moment waits for this lock at their commit, and learns that it is gone.
        if not Label.objects.select_for_update().filter(pk=label.pk).first():
            raise NotFound("there is no such label")
        Label.objects.filter(pk=label.pk).delete()
        _told("delete", label)


def _told(operation: str, label: Label) -> None:
    project = label.project
    emit(operation, "label", label.name, project_id=label.project_id, project=project.name if project else "")
