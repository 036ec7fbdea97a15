"""How big a project, a repository or an artifact is, and what deleting it would give back."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.openapi import operation
from projects import rbac
from projects.api.base import ProjectView
from registry import sizes
from registry.api.base import RepositoryView


class SizesOut(serializers.Serializer[Any]):
    """Bytes."""

    logical = serializers.IntegerField(help_text="Every artifact by itself, as if nothing were shared.")
    unique = serializers.IntegerField(help_text="Blobs that nothing else holds, each once: what deleting gives back.")
    shared = serializers.IntegerField(help_text="Blobs that something else holds too, each once.")


class ProjectSizes(ProjectView):
    needs = {"GET": "quota:read"}

    @operation(gives=SizesOut)
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        """How big the project is

        Shared is what another project holds too from which the caller may pull.
        """
        among = rbac.projects_allowing(self.actor, "repository:pull")
        return self.shown(SizesOut(sizes.of_project(self.project, among)))


class RepositorySizes(RepositoryView):
    needs = {"GET": "artifact:list"}

    @operation(gives=SizesOut)
    def get(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """How big the repository is

        Shared is what another repository of the project holds too.
        """
        return self.shown(SizesOut(sizes.of_repositories([self.repository.pk])[self.repository.pk]))
