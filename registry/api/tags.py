"""The tags of an artifact: the list, one more, one less."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Line, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from projects.immutability import matcher_for
from registry import queries
from registry.api.base import ArtifactView
from registry.api.converters import path_of
from registry.models import Tag
from registry.oci import names
from registry.services import tags

LISTING = Listing(
    {
        "name": Field("name"),
        "id": Field("pk", Number),
        "repository_id": Field("repository_id", Number),
        "artifact_id": Field("manifest_id", Number),
        "push_time": Field("moved_at", MomentKind),
        "pull_time": Field("pulled_at", MomentKind),
    },
    default="-push_time",
)


class TagOut(serializers.Serializer[Tag]):
    id = serializers.IntegerField()
    repository_id = serializers.IntegerField()
    artifact_id = serializers.IntegerField(source="manifest_id")
    name = serializers.CharField()
    push_time = Moment(source="moved_at")
    pull_time = Moment(source="pulled_at", help_text="The year 1 when it was never pulled.")
    immutable = serializers.SerializerMethodField(help_text="false also when it was not asked for.")

    def get_immutable(self, tag: Tag) -> bool:
        return tag.pk in self.context.get("immutable", ())


class TagIn(serializers.Serializer[Any]):
    name = Line(max_length=names.MAX_TAG)

    def validate_name(self, name: str) -> str:
        if not names.is_tag(name):
            raise serializers.ValidationError(names.TAG_RULE)
        return name


class TagsQuery(serializers.Serializer[Any]):
    with_immutable_status = serializers.BooleanField(default=False)
    with_signature = serializers.BooleanField(default=False, help_text="Of Harbor's API before 2.0; has no effect.")


class TagList(ArtifactView):
    needs = {"GET": "tag:list", "POST": "tag:create"}

    @operation(gives=TagOut, many=True, listing=LISTING, query=TagsQuery)
    def get(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """The tags of an artifact"""
        fill = self._immutable if self.parameters(TagsQuery)["with_immutable_status"] else None
        return self.listed(queries.tags_of(self.artifact()), LISTING, TagOut, fill=fill)

    def _immutable(self, rows: list[Tag]) -> dict[str, Any]:
        is_immutable = matcher_for(self.project)
        return {"immutable": {tag.pk for tag in rows if is_immutable(self.repository.name, tag.name)}}

    @operation(takes=TagIn, status=201)
    def post(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """Give an artifact one more tag"""
        name, digest = self.body(TagIn)["name"], self.artifact().digest
        tags.tag_create(repository=self.repository, digest=digest, name=name, actor=self.actor.username)
        return self.created(f"{path_of(self.repository)}/artifacts/{digest}/tags/{name}")


class TagDetail(ArtifactView):
    needs = {"DELETE": "tag:delete"}

    @operation()
    def delete(self, request: HttpRequest, project: str, repository: str, reference: str, name: str) -> HttpResponse:
        """Take a tag from an artifact, which stays"""
        tags.tag_delete(
            repository_id=self.repository.pk,
            name=names.check_tag(name),
            actor=self.actor.username,
            digest=self.artifact().digest,
        )
        return self.done()
