"""Where things of repositories are in the REST API."""

from tests.images import Image
from tests.rest.api import twice


def project_of(repository: str) -> str:
    return repository.partition("/")[0]


def path_of(repository: str, below: str = "") -> str:
    """The path of a repository, given as PROJECT/PATH, and of what is `below` it."""
    project, _, path = repository.partition("/")
    return f"/projects/{project}/repositories/{twice(path)}{below}"


def list_path(repository: str) -> str:
    """The path of the artifacts of a repository, given as PROJECT/PATH."""
    return path_of(repository, "/artifacts")


def artifact_path(image: Image, below: str = "", reference: str | None = None) -> str:
    """The path of an artifact, by its digest or by `reference`, and of what is `below` it."""
    return path_of(image.repository, f"/artifacts/{reference or image.digest}{below}")
