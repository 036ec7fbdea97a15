"""REST: what whoever asks may do, in a project or outside of all."""

import re
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Line
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects import rbac
from projects.api.permissions import PermissionOut

_PROJECT = re.compile(r"(?P<namespace>/project/(?P<id>[0-9]{1,18}))(/|\Z)")
_SYSTEM = re.compile(r"(?P<namespace>/system)(/|\Z)")


class ScopeIn(serializers.Serializer[Any]):
    scope = Line(default="", help_text="/project/ID or /system, and a resource behind it or none.")
    relative = serializers.BooleanField(
        default=False, help_text="Whether resources are told as seen from the scope, and only those inside it."
    )


class CurrentPermissions(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=PermissionOut, many=True, is_paged=False, query=ScopeIn)
    def get(self, request: Request) -> HttpResponse:
        """List what whoever asks may do in a scope; nothing in one that is not there."""
        asked = self.parameters(ScopeIn)
        found = self._found(asked["scope"])
        if asked["relative"]:
            found = _seen_from(asked["scope"].rstrip("/"), found)
        return self.shown(
            PermissionOut([{"resource": resource, "action": action} for resource, action in found], many=True)
        )

    def _found(self, scope: str) -> Iterator[tuple[str, str]]:
        """Resources, with the scope's namespace before them, and actions. The project itself is its namespace."""
        if match := _PROJECT.match(scope):
            project = rbac.visible_projects(self.actor).filter(pk=int(match["id"])).first()
            actions = rbac.actions(self.actor, project) if project else rbac.NOTHING
        elif match := _SYSTEM.match(scope):
            actions = rbac.system_actions(self.actor)
        else:
            return
        for resource, _, action in (text.partition(":") for text in sorted(actions)):
            is_itself = match.re is _PROJECT and resource == "project"
            yield match["namespace"] + ("" if is_itself else f"/{resource}"), action


def _seen_from(scope: str, found: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for resource, action in found:
        if resource == scope:
            yield ".", action
        elif resource.startswith(f"{scope}/"):
            yield resource.removeprefix(f"{scope}/"), action
