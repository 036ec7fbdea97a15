"""REST: why somebody may or may not do something in a project. Ours; Harbor has no such thing."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Line
from harborlite.rest.openapi import operation
from projects import explain, queries
from projects.api.base import ProjectView
from projects.roles import PROJECT_ACTIONS, ROBOT_PROJECT_ACTIONS


class ExplainQuery(serializers.Serializer[Any]):
    action = serializers.ChoiceField(sorted(PROJECT_ACTIONS | ROBOT_PROJECT_ACTIONS))
    actor = Line(
        required=False,
        help_text="A username, or a robot's full name; empty for who has not signed in. Without it, yourself.",
    )
    repository = Line(required=False, help_text="The repository's name in the project.")
    tag = Line(required=False)


class ReasonOut(serializers.Serializer[Any]):
    rule = serializers.CharField()
    reason = serializers.CharField()


class ExplanationOut(serializers.Serializer[Any]):
    actor = serializers.CharField()
    kind = serializers.CharField()
    project = serializers.CharField()
    action = serializers.CharField()
    repository = serializers.CharField()
    tag = serializers.CharField()
    allowed = serializers.BooleanField()
    rule = serializers.CharField()
    reason = serializers.CharField()
    reasons = ReasonOut(many=True)


class Explain(ProjectView):
    needs = {"GET": "project:read"}

    def authorize(self, need: str | None) -> None:
        """Whoever sees the project may ask about themselves."""
        self.project = queries.project_seen(self.actor, self._ref, is_name_given=self.is_name_given)

    @operation(gives=ExplanationOut, query=ExplainQuery)
    def get(self, request: Request, project: str) -> HttpResponse:
        """Why somebody may or may not do something in a project, and by which rule

        About others, for administrators of the project and of the system.
        """
        asked = self.parameters(ExplainQuery)
        actor = queries.actor_asked_about(self.actor, self.project, request.GET.get("actor"))
        named = {key: asked.get(key, "") for key in ("repository", "tag")}
        named["repository"] = named["repository"].removeprefix(f"{self.project.name}/")
        found = explain.explain(actor, self.project, asked["action"], **named)
        first = found.reasons[0]
        told = {"actor": actor.username, "kind": actor.kind, "project": self.project.name, "action": asked["action"]}
        verdict = {"allowed": found.is_allowed, "rule": first.rule, "reason": first.reason, "reasons": found.reasons}
        return self.shown(ExplanationOut({**told, **named, **verdict}))
