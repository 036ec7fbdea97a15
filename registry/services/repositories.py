"""Writes to repositories."""

from django.db import IntegrityError

from harborlite.errors import Denied
from projects.models import Project
from registry.models import Repository
from registry.services.inserts import insert_if_absent


def repository_ensure(*, project: Project, path: str) -> int:
    """The id of the repository `path` of `project`, which exists afterwards, whoever of several makers wins.

    Denied when the project is gone.
    """
    held = Repository.objects.filter(project=project, name=path).values_list("pk", flat=True)
    try:
        found = held.first() or insert_if_absent(Repository(project=project, name=path))
    except IntegrityError:  # the project was deleted in this moment
        raise Denied() from None
    return found or held.get()
