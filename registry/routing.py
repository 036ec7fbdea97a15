"""From the name in a URL to the project and the repository: the only place that does it."""

from dataclasses import dataclass

from django.db import connection

from harborlite.errors import NameInvalid
from projects.models import Project
from registry import queries
from registry.oci import names


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request points. Project and repository may not exist; whether the caller may know is decided later."""

    name: str
    path: str
    """The repository's, behind its project's name: the present one, also where `name` is one it had before."""
    project: Project | None
    repository_id: int | None
    actor_version: int | None
    """The `access_version` of the account that asks, as it is now; None when there is none or it is disabled."""
    limit: int
    """How many bytes the project may hold (projects.quota), and UNLIMITED when there is no project."""

    @property
    def new_name(self) -> str | None:
        """What the repository is called now; None when it has the name that was asked for."""
        name = f"{self.project}/{self.path}"
        return name if self.repository_id is not None and name != self.name else None


_RESOLVE = """
    SELECT project.id, project.name, project.is_public, project.access_version, repository.id, actor.access_version,
        coalesce((SELECT hard FROM projects_quota WHERE project_id = project.id), -1)
    FROM (VALUES (1)) AS one
    LEFT JOIN projects_project AS project ON project.name = %s
    LEFT JOIN registry_repository AS repository ON repository.project_id = project.id AND repository.name = %s
    LEFT JOIN accounts_user AS actor ON actor.id = %s AND actor.is_active
"""


def resolve(name: str, actor_id: int | None = None) -> Target:
    """The target that `name` (PROJECT/PATH) stands for, in one query. NameInvalid when it is no such name.

    Written by hand: every request on a repository asks it, and building it by the ORM costs more than running it.
    Where no repository has the name a second query asks whether one had it before.
    """
    project_name, path = names.split_project(name)
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [project_name, path, actor_id])
        *project, repository_id, actor_version, limit = cursor.fetchone()
    found = Project.from_db(None, ["id", "name", "is_public", "access_version"], project) if project[0] else None
    if found and repository_id is None and (renamed := queries.repository_called(found.pk, path)):
        repository_id, path = renamed.pk, renamed.name
    return Target(name, path, found, repository_id, actor_version, limit)


def try_resolve(name: str) -> Target | None:
    """As `resolve`, but None for what is no name: for parameters whose badness is not the request's."""
    return resolve(name) if is_name(name) else None


def is_name(text: str) -> bool:
    """Whether `text` is a name that `resolve` takes."""
    try:
        names.split_project(text)
    except NameInvalid:
        return False
    return True
