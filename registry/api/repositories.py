"""Repositories: lists, one, its description, its name and the names it had before, deleting it or many."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Line, Moment, Text
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from projects import rbac
from projects.api.base import ProjectView
from projects.models import Project
from registry import queries
from registry.api.base import RepositoryView
from registry.models import Repository
from registry.services import repositories

LISTING = Listing(
    {
        "name": Field("full_name"),
        "description": Field("description"),
        "repository_id": Field("pk", Number),
        "project_id": Field("project_id", Number),
        "pull_count": Field("pull_count", Number),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
    }
)


class RepositoryOut(serializers.Serializer[Repository]):
    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    name = serializers.CharField(source="full_name", help_text="PROJECT/PATH")
    description = serializers.CharField()
    artifact_count = serializers.IntegerField()
    pull_count = serializers.IntegerField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")


class RepositoryIn(serializers.Serializer[Any]):
    """Of Harbor's object, only the description can be written."""

    description = Text(max_length=64 * 1024, default="", allow_blank=True)


class NameIn(serializers.Serializer[Any]):
    name = Line(help_text="The new name, without the project's.")


class RedirectOut(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="A name the repository had before, without the project's.")
    creation_time = Moment(source="created_at")


class RepositoryListOfAll(RestView):
    needs = {"GET": None}

    @operation(gives=RepositoryOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The repositories of all projects in which the caller may list them"""
        projects = rbac.projects_allowing(self.actor, "repository:list")
        return self.listed(queries.repositories_of(projects), LISTING, RepositoryOut)


class RepositoryList(ProjectView):
    needs = {"GET": "repository:list"}

    @operation(gives=RepositoryOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        """The repositories of a project"""
        return self.listed(_of(self.project), LISTING, RepositoryOut)


class RepositoryDetail(RepositoryView):
    needs = {
        "GET": "repository:read",
        "PUT": "repository:update",
        "PATCH": "repository:delete",
        "DELETE": "repository:delete",
    }

    @operation(gives=RepositoryOut)
    def get(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """A repository"""
        return self._shown(self.repository)

    @operation(takes=RepositoryIn)
    def put(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Describe a repository"""
        repositories.repository_update(repository=self.repository, **self.body(RepositoryIn))
        return self.done()

    @operation(takes=NameIn, gives=RepositoryOut)
    def patch(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Rename a repository inside its project

        The old name goes on standing for it everywhere, for pulls and for pushes, until another repository is given
        that name or the redirect is deleted.
        """
        path = self.body(NameIn)["name"]
        return self._shown(repositories.repository_rename(repository=self.repository, path=path))

    @operation()
    def delete(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Delete a repository with all its artifacts and tags"""
        repositories.repository_delete(repository=self.repository)
        return self.done()

    def _shown(self, repository: Repository) -> HttpResponse:
        return self.shown(RepositoryOut(_of(self.project).get(pk=repository.pk)))


class RedirectList(RepositoryView):
    needs = {"GET": "repository:read"}

    @operation(gives=RedirectOut, many=True)
    def get(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """The names a repository had before, which go on standing for it"""
        return self.listed(queries.redirects_of(self.repository), None, RedirectOut)


class RedirectDetail(RepositoryView):
    needs = {"DELETE": "repository:delete"}

    @operation()
    def delete(self, request: HttpRequest, project: str, repository: str, name: str) -> HttpResponse:
        """Let a repository's former name stand for it no longer; then a push makes a new repository of that name"""
        repositories.redirect_delete(repository=self.repository, path=name)
        return self.done()


def _of(project: Project) -> Any:
    return queries.repositories_of(Project.objects.filter(pk=project.pk))
