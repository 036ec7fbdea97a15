"""REST: what robots can be given."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.errors import Denied
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects import rbac
from projects.roles import ROBOT_PROJECT_ACTIONS, SYSTEM_ACTIONS


class PermissionOut(serializers.Serializer[Any]):
    resource = serializers.CharField()
    action = serializers.CharField()


class PermissionsOut(serializers.Serializer[Any]):
    system = PermissionOut(many=True, required=False)
    project = PermissionOut(many=True)


class Permissions(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=PermissionsOut)
    def get(self, request: Request) -> HttpResponse:
        """What robots can be given, for those who can make some: administrators of the system or of any project

        Outside projects, to administrators of the system only.
        """
        told = {"project": _pairs(ROBOT_PROJECT_ACTIONS)}
        if self.actor.is_admin:
            told["system"] = _pairs(SYSTEM_ACTIONS)
        elif not rbac.administers_a_project(self.actor):
            raise Denied("only administrators of the system and of projects see this")
        return self.shown(PermissionsOut(told))


def _pairs(actions: frozenset[str]) -> list[dict[str, str]]:
    return [
        {"resource": resource, "action": action}
        for resource, _, action in (text.partition(":") for text in sorted(actions))
    ]
