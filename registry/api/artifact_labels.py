"""Labels on artifacts: put one on, take one off."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Id
from harborlite.rest.openapi import operation
from registry import artifacts
from registry.api.base import ArtifactView
from registry.services.artifacts import artifact_label, artifact_unlabel


class LabelIdIn(serializers.Serializer[Any]):
    """Of Harbor's label, only the id is looked at."""

    id = Id()


class ArtifactLabels(ArtifactView):
    needs = {"POST": "artifact-label:create"}

    @operation(takes=LabelIdIn)
    def post(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """Put a label of the project, or of the whole instance, on an artifact"""
        label = artifacts.label_in(self.project, self.body(LabelIdIn)["id"])
        artifact_label(repository=self.repository, artifact=self.artifact(), label=label)
        return self.done()


class ArtifactLabel(ArtifactView):
    needs = {"DELETE": "artifact-label:delete"}

    @operation()
    def delete(
        self, request: HttpRequest, project: str, repository: str, reference: str, label_id: int
    ) -> HttpResponse:
        """Take a label off an artifact"""
        label = artifacts.label_in(self.project, label_id)
        artifact_unlabel(repository=self.repository, artifact=self.artifact(), label=label)
        return self.done()
