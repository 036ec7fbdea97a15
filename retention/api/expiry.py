"""REST: when a tag goes by itself."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Moment
from harborlite.rest.openapi import operation
from registry import queries
from registry.api.base import RepositoryView
from registry.models import Tag
from registry.oci import names
from retention.services.expiry import expiry_set


class ExpiryOut(serializers.Serializer[Tag]):
    name = serializers.CharField()
    expires_at = Moment(help_text="The year 1 when it does not go by itself.")


class ExpiryIn(serializers.Serializer[Any]):
    expires_at = serializers.DateTimeField(allow_null=True, help_text="With its time zone; null: never.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = self.initial_data["expires_at"]
        if given is not None and not given.endswith(("Z", "z")) and given[-6:-5] not in ("+", "-"):
            raise serializers.ValidationError({"expires_at": "it needs a time zone, such as Z"})
        return attrs


class TagExpiry(RepositoryView):
    needs = {"GET": "tag:list", "PUT": "tag:delete"}

    @operation(gives=ExpiryOut)
    def get(self, request: Request, project: str, repository: str, tag: str) -> HttpResponse:
        """When a tag goes by itself"""
        return self.shown(ExpiryOut(queries.tag_get(self.repository, names.check_tag(tag))))

    @operation(takes=ExpiryIn, gives=ExpiryOut)
    def put(self, request: Request, project: str, repository: str, tag: str) -> HttpResponse:
        """Say when a tag goes by itself, and its artifact when it was the last tag of it; or that it stays

        A tag that is moved to another artifact stays until it is said again.
        """
        expires_at = self.body(ExpiryIn)["expires_at"]
        held = expiry_set(repository=self.repository, name=names.check_tag(tag), expires_at=expires_at)
        return self.shown(ExpiryOut(held))
