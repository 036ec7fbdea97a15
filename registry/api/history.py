"""Where tags pointed: the history of a repository and of each tag in it, and back to what a tag was."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Id, Line, Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from registry import queries
from registry.api.base import RepositoryView
from registry.api.tags import TagOut
from registry.models import TagMove
from registry.oci import names
from registry.oci.digest import Digest
from registry.services import restorations

LISTING = Listing(
    {
        "id": Field("pk", Number),
        "tag": Field("tag"),
        "username": Field("actor"),
        "from_digest": Field("from_digest"),
        "to_digest": Field("to_digest"),
        "op_time": Field("at", MomentKind),
    },
    default="-id",
)


class MoveOut(serializers.Serializer[TagMove]):
    id = serializers.IntegerField()
    tag = serializers.CharField()
    from_digest = serializers.CharField(allow_null=True, help_text="null when there was no such tag before.")
    to_digest = serializers.CharField(allow_null=True, help_text="null when the tag was deleted.")
    from_exists = serializers.BooleanField(help_text="Whether the repository still holds that artifact.")
    to_exists = serializers.BooleanField()
    from_restorable = serializers.BooleanField(help_text="Whether it does not, and that artifact can be restored.")
    to_restorable = serializers.BooleanField()
    username = serializers.CharField(source="actor")
    op_time = Moment(source="at")


class PastQuery(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="Such as 2026-11-24T10:00:00Z.")


class PastOut(serializers.Serializer[TagMove]):
    """What a tag pointed to."""

    tag = serializers.CharField()
    digest = serializers.CharField(source="to_digest", allow_null=True, help_text="null when there was no such tag.")
    exists = serializers.BooleanField(source="to_exists", help_text="Whether it can be pulled by that digest.")
    restorable = serializers.BooleanField(source="to_restorable", help_text="Whether it can be, once it is restored.")
    move_id = serializers.IntegerField(source="id", help_text="The move that made it point there.")
    username = serializers.CharField(source="actor")
    op_time = Moment(source="at")


class RestoreIn(serializers.Serializer[Any]):
    """Where to: an artifact, or what the tag was after one of its moves (before it, if that was its deletion)."""

    digest = Line(required=False)
    move_id = Id(required=False)

    def validate_digest(self, digest: str) -> str:
        if Digest.parse_or_none(digest) is None:
            raise serializers.ValidationError("it is no digest")
        return digest

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("give either digest or move_id")
        return attrs


class RepositoryHistory(RepositoryView):
    needs = {"GET": "tag:list"}

    @operation(gives=MoveOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest, project: str, repository: str) -> HttpResponse:
        """Every move of every tag of a repository, the latest first"""
        return self.listed(queries.tag_moves(self.repository), LISTING, MoveOut)


class TagHistory(RepositoryView):
    needs = {"GET": "tag:list"}

    @operation(gives=MoveOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest, project: str, repository: str, tag: str) -> HttpResponse:
        """Every move of a tag, also of one that was deleted, the latest first"""
        return self.listed(queries.tag_moves(self.repository, names.check_tag(tag)), LISTING, MoveOut)


class TagPast(RepositoryView):
    needs = {"GET": "tag:list"}

    @operation(gives=PastOut, query=PastQuery)
    def get(self, request: HttpRequest, project: str, repository: str, tag: str) -> HttpResponse:
        """What a tag pointed to at a time: the digest by which that can be pulled now"""
        at = self.parameters(PastQuery)["at"]
        return self.shown(PastOut(queries.tag_move_at(self.repository, names.check_tag(tag), at)))


class TagRestore(RepositoryView):
    needs = {"POST": "tag:create"}

    @operation(takes=RestoreIn, gives=TagOut)
    def post(self, request: HttpRequest, project: str, repository: str, tag: str) -> HttpResponse:
        """Let a tag point to an artifact that it pointed to before; if that was deleted, it is restored"""
        asked = self.body(RestoreIn)
        digest = queries.digest_to_restore(self.repository, names.check_tag(tag), **asked)
        restorations.tag_restore(repository=self.repository, digest=digest, name=tag, actor=self.actor.username)
        return self.shown(TagOut(queries.tag_get(self.repository, tag)))
