"""An artifact in the API's form, with what the client wants to see beside it."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborlite.rest.fields import Moment
from projects.api.labels import LabelOut
from registry.api.converters import path_of
from registry.api.sizes import SizesOut
from registry.api.tags import TagOut
from registry.artifacts import Accessory, Shown, full_name
from registry.models import ManifestReference
from registry.oci.config import Kind, additions_of


class ReferenceOut(serializers.Serializer[ManifestReference]):
    parent_id = serializers.IntegerField(source="manifest_id")
    child_id = serializers.IntegerField()
    child_digest = serializers.CharField(source="digest")
    platform = serializers.DictField(
        source="shown.platform", required=False, help_text="architecture, os, os.version, os.features, variant"
    )
    annotations = serializers.DictField(child=serializers.CharField(), source="shown.annotations", required=False)
    urls = serializers.ListField(child=serializers.CharField(), source="shown.urls", required=False)


class AdditionLinkOut(serializers.Serializer[Any]):
    href = serializers.CharField()
    absolute = serializers.BooleanField()


class AccessoryOut(serializers.Serializer[Accessory]):
    id = serializers.IntegerField(source="artifact.pk")
    artifact_id = serializers.IntegerField(source="artifact.pk")
    subject_artifact_id = serializers.IntegerField(source="subject_id", required=False)
    subject_artifact_digest = serializers.CharField(source="artifact.accessory_of")
    subject_artifact_repo = serializers.SerializerMethodField()
    size = serializers.IntegerField(source="artifact.artifact_size")
    digest = serializers.CharField(source="artifact.digest")
    type = serializers.CharField(source="artifact.accessory_type")
    icon = serializers.SerializerMethodField(help_text="None is kept: it is empty.")
    creation_time = Moment(source="artifact.pushed_at")

    def get_subject_artifact_repo(self, accessory: Accessory) -> str:
        return full_name(accessory.artifact.repository)

    def get_icon(self, accessory: Accessory) -> str:
        return ""


class ArtifactOut(serializers.Serializer[Shown]):
    """Lists leave out annotations and references of manifests above 64 KiB; the artifact itself shows them.

    tags, labels, accessories, inherited_accessories and sizes are there when they were asked for.
    """

    id = serializers.IntegerField(source="artifact.pk")
    type = serializers.CharField(source="artifact.type", help_text="IMAGE, CHART, CNAB, WASM, SBOM ...")
    media_type = serializers.CharField(
        source="artifact.config_media_type", help_text="The config's; of an index its own."
    )
    manifest_media_type = serializers.CharField(source="artifact.media_type")
    artifact_type = serializers.SerializerMethodField()
    project_id = serializers.IntegerField(source="artifact.project_id")
    repository_id = serializers.IntegerField(source="artifact.repository_id")
    repository_name = serializers.SerializerMethodField()
    digest = serializers.CharField(source="artifact.digest")
    size = serializers.IntegerField(source="artifact.artifact_size")
    push_time = Moment(source="artifact.pushed_at")
    pull_time = Moment(source="artifact.pulled_at", help_text="The year 1 when it was never pulled.")
    extra_attrs = serializers.DictField(source="artifact.extra_attrs")
    annotations = serializers.DictField(child=serializers.CharField(), source="artifact.notes")
    references = ReferenceOut(many=True)
    tags = TagOut(many=True, required=False)
    labels = LabelOut(many=True, required=False)
    accessories = AccessoryOut(many=True, required=False)
    inherited_accessories = AccessoryOut(many=True, required=False)
    sizes = SizesOut(required=False)
    addition_links = serializers.SerializerMethodField()

    def to_representation(self, instance: Shown) -> dict[str, Any]:
        return {name: value for name, value in super().to_representation(instance).items() if value is not None}

    def get_artifact_type(self, shown: Shown) -> str:
        return shown.artifact.artifact_type or ""

    def get_repository_name(self, shown: Shown) -> str:
        return full_name(shown.artifact.repository)

    @extend_schema_field(serializers.DictField(child=AdditionLinkOut()))
    def get_addition_links(self, shown: Shown) -> dict[str, dict[str, Any]]:
        artifact = shown.artifact
        base = f"{path_of(artifact.repository)}/artifacts/{artifact.digest}/additions"
        names = additions_of(Kind(artifact.type, artifact.config_media_type))
        return {name: {"href": f"{base}/{name}", "absolute": False} for name in names}
