"""Deleting many repositories, artifacts or tags by one request: each by itself, with an answer of its own."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.errors import HarborliteError
from harborlite.rest import answers
from harborlite.rest.fields import Line
from harborlite.rest.openapi import operation
from harborlite.rest.views import HARBOR_CODES
from projects.api.base import ProjectView
from registry import queries
from registry.api.base import RepositoryView
from registry.artifacts import artifact_get
from registry.oci import names
from registry.services import artifacts, repositories, tags

MAX = 100
"""Things a request may name."""


def _names(text: str) -> serializers.ListField:
    return serializers.ListField(child=Line(), min_length=1, max_length=MAX, help_text=text)


class RepositoriesIn(serializers.Serializer[Any]):
    repositories = _names("Names, without the project's.")


class ArtifactsIn(serializers.Serializer[Any]):
    artifacts = _names("Tags or digests.")


class TagsIn(serializers.Serializer[Any]):
    tags = _names("Tags.")


class DoneOut(serializers.Serializer[Any]):
    """What became of one of them."""

    name = serializers.CharField()
    status = serializers.IntegerField(help_text="That a request for it alone would have got.")
    code = serializers.CharField(help_text="Empty when it went well, like the message.")
    message = serializers.CharField()


class RepositoriesDelete(ProjectView):
    needs = {"POST": "repository:delete"}

    @operation(takes=RepositoriesIn, gives=DoneOut, many=True, is_paged=False)
    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        """Delete many repositories of a project

        Each by itself: the answer says of each what became of it.
        """
        return self.shown(_each(self.body(RepositoriesIn)["repositories"], self._delete))

    def _delete(self, path: str) -> None:
        repositories.repository_delete(repository=queries.repository_get(self.project, path))


class ArtifactsDelete(RepositoryView):
    needs = {"POST": "artifact:delete"}

    @operation(takes=ArtifactsIn, gives=DoneOut, many=True, is_paged=False)
    def post(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Delete many artifacts of a repository with their tags

        Each by itself: the answer says of each what became of it.
        """
        return self.shown(_each(self.body(ArtifactsIn)["artifacts"], self._delete))

    def _delete(self, reference: str) -> None:
        found = artifact_get(self.repository, names.parse_reference(reference))
        artifacts.artifact_delete(repository=self.repository, digest=found.digest, actor=self.actor.username)


class TagsDelete(RepositoryView):
    needs = {"POST": "tag:delete"}

    @operation(takes=TagsIn, gives=DoneOut, many=True, is_paged=False)
    def post(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Delete many tags of a repository; the artifacts stay

        Each by itself: the answer says of each what became of it.
        """
        return self.shown(_each(self.body(TagsIn)["tags"], self._delete))

    def _delete(self, name: str) -> None:
        tags.tag_delete(repository_id=self.repository.pk, name=names.check_tag(name), actor=self.actor.username)


def _each(asked: Iterable[str], delete: Callable[[str], object]) -> DoneOut:
    """Each of `asked` was deleted, or not, whatever became of the others."""
    return DoneOut([_done(name, delete) for name in dict.fromkeys(asked)], many=True)


def _done(name: str, delete: Callable[[str], object]) -> dict[str, object]:
    try:
        delete(name)
    except (HarborliteError, DatabaseError) as refused:
        error = answers.translate(refused)
        code = HARBOR_CODES.get(error.code, error.code)
        return {"name": name, "status": error.status, "code": code, "message": error.message}
    return {"name": name, "status": HTTPStatus.OK, "code": "", "message": ""}
