"""REST: who has which role in a project."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Id, Line
from harborlite.rest.openapi import operation
from projects import queries
from projects.api.base import ProjectView
from projects.models import Member
from projects.roles import Role
from projects.services import members as services


class MemberUserIn(serializers.Serializer[Any]):
    user_id = Id(required=False)
    username = Line(required=False, allow_blank=True)


class MemberGroupIn(serializers.Serializer[Any]):
    id = Id(required=False)
    group_name = Line(required=False, allow_blank=True)
    group_type = Id(required=False)
    ldap_group_dn = Line(required=False, allow_blank=True, max_length=512)


class RoleIn(serializers.Serializer[Any]):
    role_id = serializers.ChoiceField([(role.value, role.label) for role in Role])


class MemberIn(RoleIn):
    member_user = MemberUserIn(required=False, allow_null=True)
    member_group = MemberGroupIn(required=False, allow_null=True)


class MemberOut(serializers.Serializer[Member]):
    id = serializers.IntegerField(source="pk")
    project_id = serializers.IntegerField()
    entity_name = serializers.SerializerMethodField()
    entity_id = serializers.SerializerMethodField()
    entity_type = serializers.SerializerMethodField()
    role_id = serializers.IntegerField(source="role")
    role_name = serializers.SerializerMethodField()

    def get_entity_name(self, member: Member) -> str:
        return str(member.user or member.group)

    def get_entity_id(self, member: Member) -> int:
        return int(member.user_id or member.group_id or 0)

    def get_entity_type(self, member: Member) -> str:
        """u for a user, g for a group."""
        return "u" if member.user_id else "g"

    def get_role_name(self, member: Member) -> str:
        return Role(member.role).label


class ListQuery(serializers.Serializer[Any]):
    entityname = Line(required=False, help_text="The name of the user or group.")


class MemberList(ProjectView):
    needs = {"GET": "member:list", "POST": "member:create"}

    @operation(gives=MemberOut, many=True, query=ListQuery)
    def get(self, request: Request, project: str) -> HttpResponse:
        """The members of a project"""
        name = self.parameters(ListQuery).get("entityname", "")
        return self.listed(queries.members_by_name(self.project, name), None, MemberOut)

    @operation(takes=MemberIn, status=201)
    def post(self, request: Request, project: str) -> HttpResponse:
        """Give a user or a group a role in a project"""
        given = self.body(MemberIn)
        subject = queries.subject_of(given.get("member_user") or {}, given.get("member_group") or {})
        member = services.member_add(project=self.project, subject=subject, role=given["role_id"])
        return self.created(f"/api/v2.0/projects/{project}/members/{member.pk}")


class MemberDetail(ProjectView):
    needs = {"GET": "member:read", "PUT": "member:update", "DELETE": "member:delete"}

    @operation(gives=MemberOut)
    def get(self, request: Request, project: str, member_id: int) -> HttpResponse:
        """A member of a project"""
        return self.shown(MemberOut(queries.member_get(self.project, member_id)))

    @operation(takes=RoleIn)
    def put(self, request: Request, project: str, member_id: int) -> HttpResponse:
        """Change a member's role"""
        role = self.body(RoleIn)["role_id"]
        services.member_set_role(member=queries.member_get(self.project, member_id), role=role)
        return self.done()

    @operation()
    def delete(self, request: Request, project: str, member_id: int) -> HttpResponse:
        """Take a member's role away"""
        services.member_remove(member=queries.member_get(self.project, member_id))
        return self.done()
