"""The bases of every view inside a repository."""

from projects.api.base import ProjectView
from registry import queries
from registry.artifacts import artifact_get
from registry.models import Manifest, Repository
from registry.oci import names


class RepositoryView(ProjectView):
    """A resource of the repository that the path names by `repository`, encoded twice, in a project.

    `needs` are actions in the project ("artifact:read").
    """

    repository: Repository

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        self.repository = queries.repository_get(self.project, self.kwargs["repository"])


class ArtifactView(RepositoryView):
    """A resource of the artifact that the path names by `reference`, a tag or a digest, in a repository."""

    def artifact(self) -> Manifest:
        """ManifestUnknown when there is none."""
        return artifact_get(self.repository, names.parse_reference(self.kwargs["reference"]))
