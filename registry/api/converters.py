"""Repositories in paths of the REST API."""

from urllib.parse import quote, unquote

from registry.models import Repository


class RepositoryConverter:
    """A repository's path in one segment: clients encode its slashes twice, and the server has decoded once."""

    regex = r"[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        return quote(value, safe="")


def path_of(repository: Repository) -> str:
    """Where the API shows `repository`, as clients have to write it."""
    name = quote(quote(repository.name, safe=""), safe="")
    return f"/api/v2.0/projects/{quote(repository.project.name)}/repositories/{name}"
