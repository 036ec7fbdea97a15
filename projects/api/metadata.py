"""REST: the flags of a project, one by one. All values are strings, also "true" and "false"."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from harborlite.errors import BadRequest, NotFound
from harborlite.rest.fields import Line
from harborlite.rest.openapi import operation
from projects import metadata
from projects.api.base import ProjectView
from projects.models import Project
from projects.services import projects as services


class MetadataIn(serializers.Serializer[Any]):
    """Flags of a project, all strings; others than these are passed over."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: Line(required=False, allow_null=True, allow_blank=True) for name in metadata.NAMES}


class MetadataOut(serializers.Serializer[Project]):
    """All flags of a project."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: serializers.CharField(required=False) for name in metadata.NAMES}

    def to_representation(self, instance: Project) -> dict[str, str]:
        return {metadata.PUBLIC: str(instance.is_public).lower(), **instance.metadata}


class MetadataList(ProjectView):
    needs = {"GET": "metadata:list", "POST": "metadata:create"}

    @operation(gives=MetadataOut)
    def get(self, request: Request, project: str) -> HttpResponse:
        """All metadata of a project"""
        return self.shown(MetadataOut(self.project))

    @operation(takes=MetadataIn)
    def post(self, request: Request, project: str) -> HttpResponse:
        """Add one metadata to a project that has not got it"""
        given = list(self.body(MetadataIn).items())
        if len(given) != 1:
            raise BadRequest(f"metadata: exactly one of {', '.join(metadata.NAMES)}")
        name, value = given[0]
        services.metadata_add(project=self.project, flags={name: metadata.check(name, value or "")})
        return self.done()


class MetadataSlash(MetadataList):
    """The same under the path with a slash at its end, as Harbor's description has it."""

    schema = None


class MetadataDetail(ProjectView):
    needs = {"GET": "metadata:read", "PUT": "metadata:update", "DELETE": "metadata:delete"}

    @operation(gives=MetadataOut)
    def get(self, request: Request, project: str, name: str) -> HttpResponse:
        """One metadata of a project; an empty object when it has not got it"""
        _require_known(name)
        flags = MetadataOut(self.project).data
        return Response({name: flags[name]} if name in flags else {})

    @operation(takes=MetadataIn)
    def put(self, request: Request, project: str, name: str) -> HttpResponse:
        """Set one metadata of a project"""
        value = self.body(MetadataIn).get(name)
        services.project_update(project=self.project, flags={name: metadata.check(name, value or "")})
        return self.done()

    @operation()
    def delete(self, request: Request, project: str, name: str) -> HttpResponse:
        """Take one metadata from a project"""
        _require_known(name)
        services.metadata_delete(project=self.project, name=name)
        return self.done()


def _require_known(name: str) -> None:
    """NotFound for what no project has."""
    if name not in metadata.NAMES:
        raise NotFound("there is no such metadata")
