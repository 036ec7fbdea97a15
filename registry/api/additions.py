"""What is read out of an artifact's blobs: an image's build history, a Helm chart's values, readme and dependencies."""

import json
from collections.abc import Callable
from contextlib import closing

from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes

from harborlite.database.base import release
from harborlite.errors import BadRequest, Precondition
from harborlite.rest.openapi import operation
from registry import artifacts
from registry.api.base import ArtifactView
from registry.models import Manifest
from registry.oci import chart, config
from registry.services import blobs

Addition = tuple[bytes, str]
"""The content, and its media type."""


def _build_history(artifact: Manifest) -> Addition:
    return _json(config.history_of(_config(artifact)))


def _dependencies(artifact: Manifest) -> Addition:
    return _json(config.dependencies_of(_config(artifact)))


def _values(artifact: Manifest) -> Addition:
    return _chart_file(artifact, "values.yaml"), "text/plain; charset=utf-8"


def _readme(artifact: Manifest) -> Addition:
    return _chart_file(artifact, "readme.md"), "text/markdown; charset=utf-8"


ADDITIONS: dict[str, Callable[[Manifest], Addition]] = {
    config.BUILD_HISTORY: _build_history,
    config.DEPENDENCIES: _dependencies,
    config.VALUES: _values,
    config.README: _readme,
}


def _config(artifact: Manifest) -> bytes:
    storage_key, size = artifacts.config_of(artifact)
    if size > config.MAX_CONFIG:
        raise Precondition(f"the config of the artifact is longer than {config.MAX_CONFIG} bytes")
    return blobs.blob_read(storage_key=storage_key, size=size)


def _chart_file(artifact: Manifest, name: str) -> bytes:
    storage_key, size = artifacts.layer_of(artifact, config.HELM_CHART)
    if size > chart.MAX_ARCHIVE:
        raise Precondition(f"the chart's archive is longer than {chart.MAX_ARCHIVE} bytes")
    release()
    with closing(blobs.blob_open(storage_key=storage_key, start=0, length=size)) as archive:
        return chart.file_of(archive, name)


def _json(found: object) -> Addition:
    return json.dumps(found, ensure_ascii=False).encode(), "application/json; charset=utf-8"


class ArtifactAddition(ArtifactView):
    needs = {"GET": "artifact-addition:read"}

    @operation(gives=OpenApiTypes.ANY, media="*/*")
    def get(self, request: HttpRequest, project: str, repository: str, reference: str, addition: str) -> HttpResponse:
        """An addition of an artifact, which its addition_links name

        build_history and dependencies are JSON, values.yaml is plain text and readme.md is Markdown.
        """
        artifact, name = self.artifact(), addition.lower()
        if name not in config.additions_of(config.Kind(artifact.type, artifact.config_media_type)):
            raise BadRequest(f"addition: an artifact of type {artifact.type} has no {addition[:80]!a}")
        content, media_type = ADDITIONS[name](artifact)
        return HttpResponse(content, content_type=media_type, headers={"X-Content-Type-Options": "nosniff"})
