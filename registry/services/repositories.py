"""Writes to repositories."""

from django.db import IntegrityError

from harborlite.errors import Denied
from projects.models import Project
from registry.models import Repository


def repository_ensure(*, project: Project, path: str) -> int:
    """The id of the repository `path` of `project`, which exists afterwards, whoever of several makers wins.

    Denied when the project is gone.
    """
    found = Repository.objects.filter(project=project, name=path).values_list("pk", flat=True).first()
    if found is None:
        try:
            Repository.objects.bulk_create([Repository(project=project, name=path)], ignore_conflicts=True)
        except IntegrityError:  # the project was deleted in this moment
            raise Denied() from None
        found = Repository.objects.values_list("pk", flat=True).get(project=project, name=path)
    return found
