"""One box to search everything that has a name: projects and repositories."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Line
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from projects import queries as projects_queries
from projects import rbac
from projects.api.projects import ProjectOut
from registry import queries
from registry.models import Repository

MOST = 1000
"""Of each kind; there are no pages."""


class FoundRepositoryOut(serializers.Serializer[Repository]):
    project_id = serializers.IntegerField()
    project_name = serializers.CharField(source="project.name")
    project_public = serializers.BooleanField(source="project.is_public")
    repository_name = serializers.CharField(source="full_name")
    pull_count = serializers.IntegerField()
    artifact_count = serializers.IntegerField()


class FoundOut(serializers.Serializer[Any]):
    project = ProjectOut(many=True)
    repository = FoundRepositoryOut(many=True)


class SearchQuery(serializers.Serializer[Any]):
    q = Line(allow_blank=True, help_text="A part of the name; of a repository's, with its project's.")


class Search(RestView):
    needs = {"GET": None}

    @operation(gives=FoundOut, query=SearchQuery)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The projects and repositories the caller may see, by a part of their names

        An empty one finds everything. At most 1000 of each kind are shown.
        """
        text = "" if request.GET.get("q") == "" else self.parameters(SearchQuery)["q"]
        projects = list(projects_queries.projects_for(self.actor).filter(name__icontains=text).order_by("name")[:MOST])
        listed = rbac.projects_allowing(self.actor, "repository:list")
        found = {"project": projects, "repository": queries.repositories_called(listed, text)[:MOST]}
        return self.shown(FoundOut(found, context={"roles": projects_queries.roles_of(self.actor, projects)}))
