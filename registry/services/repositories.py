"""Writes to repositories."""

from projects.models import Project
from registry.models import Repository


def repository_ensure(*, project: Project, path: str) -> int:
    """The id of the repository `path` of `project`, which exists afterwards, whoever of several makers wins."""
    found = Repository.objects.filter(project=project, name=path).values_list("pk", flat=True).first()
    if found is None:
        Repository.objects.bulk_create([Repository(project=project, name=path)], ignore_conflicts=True)
        found = Repository.objects.values_list("pk", flat=True).get(project=project, name=path)
    return found
