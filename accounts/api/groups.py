"""Groups of people."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts import queries, services
from accounts.models import Group
from harborlite.rest.fields import Id, Line
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView

PATH = "/api/v2.0/usergroups"


class GroupFound(serializers.Serializer[Group]):
    id = serializers.IntegerField(source="pk")
    group_name = serializers.CharField(source="name")
    group_type = serializers.IntegerField(source="kind")


class GroupOut(GroupFound):
    ldap_group_dn = serializers.CharField()


class RenameIn(serializers.Serializer[Any]):
    group_name = Line(max_length=150)


class GroupIn(RenameIn):
    group_type = Id()
    ldap_group_dn = Line(max_length=512, default="", allow_blank=True)


class PartsIn(serializers.Serializer[Any]):
    group_name = Line(required=False, help_text="A part of the name.")
    ldap_group_dn = Line(required=False, max_length=512)


class SearchIn(serializers.Serializer[Any]):
    groupname = Line(help_text="A part of the name.")


class Groups(RestView):
    needs = {"GET": "user-group:list", "POST": "user-group:create"}

    @operation(gives=GroupOut, many=True, query=PartsIn)
    def get(self, request: Request) -> HttpResponse:
        """List groups."""
        return self.listed(queries.groups_list(**self.parameters(PartsIn)), None, GroupOut)

    @operation(takes=GroupIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Register a group."""
        values = self.body(GroupIn)
        group = services.group_create(
            name=values["group_name"], kind=values["group_type"], ldap_group_dn=values["ldap_group_dn"]
        )
        return self.created(f"{PATH}/{group.pk}")


class Search(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=GroupFound, many=True, query=SearchIn)
    def get(self, request: Request) -> HttpResponse:
        """Find groups by a part of their name."""
        found = queries.groups_search(self.parameters(SearchIn)["groupname"])
        return self.listed(found, None, GroupFound)


class One(RestView):
    needs = {"GET": "user-group:read", "PUT": "user-group:update", "DELETE": "user-group:delete"}

    @operation(gives=GroupOut)
    def get(self, request: Request, group_id: int) -> HttpResponse:
        """Show a group."""
        return self.shown(GroupOut(queries.group_by_id(group_id)))

    @operation(takes=RenameIn)
    def put(self, request: Request, group_id: int) -> HttpResponse:
        """Rename a group."""
        services.group_rename(group=queries.group_by_id(group_id), name=self.body(RenameIn)["group_name"])
        return self.done()

    @operation()
    def delete(self, request: Request, group_id: int) -> HttpResponse:
        """Delete a group; whoever is in it loses its roles."""
        services.group_delete(group=queries.group_by_id(group_id))
        return self.done()
