"""The base of every view inside a repository."""

from projects.api.base import ProjectView
from registry import queries
from registry.models import Repository


class RepositoryView(ProjectView):
    """A resource of the repository that the path names by `repository`, encoded twice, in a project.

    `needs` are actions in the project ("artifact:read").
    """

    repository: Repository

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        self.repository = queries.repository_get(self.project, self.kwargs["repository"])
