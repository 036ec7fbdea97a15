"""REST: retention policies, one a project, and what rules there may be."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from harborlite.errors import BadRequest, Conflict
from harborlite.rest.fields import Flag, Id, Line
from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN, RestView
from projects.models import Project
from projects.queries import project_for
from projects.rules import Decoration
from retention import queries
from retention.api.rules import MAX_RULES, RuleIn, RuleOut, are_different, numbered
from retention.models import Policy
from retention.rules import TEMPLATES, LabelDecoration
from retention.services import policies
from retention.stored import ACTION, ALGORITHM, DOUBLESTAR, LABEL
from system import jobs

SCHEDULE, LEVEL = "Schedule", "project"


# What is given.


class ParamOut(serializers.Serializer[Any]):
    type = serializers.CharField()
    unit = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # DRF has an attribute of that name


class TemplateOut(serializers.Serializer[Any]):
    rule_template = serializers.CharField()
    display_text = serializers.CharField()
    action = serializers.CharField()
    params = ParamOut(many=True)


class SelectorKindOut(serializers.Serializer[Any]):
    display_text = serializers.CharField()
    kind = serializers.CharField()
    decorations = serializers.ListField(child=serializers.CharField())


class MetadataOut(serializers.Serializer[Any]):
    templates = TemplateOut(many=True)
    scope_selectors = SelectorKindOut(many=True)
    tag_selectors = SelectorKindOut(many=True)


def _selector_kind(text: str, kind: str, *decorations: str) -> dict[str, Any]:
    return {"display_text": text, "kind": kind, "decorations": list(map(str, decorations))}


METADATA = {
    "templates": [
        {
            "rule_template": template.name,
            "display_text": template.text,
            "action": ACTION,
            "params": [{"type": "int", "unit": template.unit, "required": True}] if template.unit else [],
        }
        for template in TEMPLATES.values()
    ],
    "scope_selectors": [
        _selector_kind("Repositories", DOUBLESTAR, Decoration.REPOSITORIES, Decoration.OTHER_REPOSITORIES)
    ],
    "tag_selectors": [
        _selector_kind("Tags", DOUBLESTAR, Decoration.TAGS, Decoration.OTHER_TAGS),
        _selector_kind("Labels", LABEL, LabelDecoration.WITH, LabelDecoration.WITHOUT),
    ],
}


class TriggerOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    references = serializers.DictField()
    settings = serializers.DictField()


class LevelOut(serializers.Serializer[Any]):
    level = serializers.CharField()
    ref = serializers.IntegerField()


class PolicyOut(serializers.Serializer[Policy]):
    id = serializers.IntegerField()
    algorithm = serializers.CharField(read_only=True, default=ALGORITHM)
    rules = RuleOut(many=True)
    trigger = serializers.SerializerMethodField()
    scope = serializers.SerializerMethodField()
    may_empty = serializers.BooleanField()

    def get_trigger(self, policy: Policy) -> TriggerOut:
        schedule = jobs.schedule_get(queries.KIND, policy.pk) if policy.cron else None
        settings = {"cron": policy.cron, "time_zone": policy.time_zone}
        if schedule is not None and schedule.next_at is not None:
            settings["next_scheduled_time"] = schedule.next_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        return TriggerOut({"kind": SCHEDULE, "references": {}, "settings": settings}).data  # type: ignore[return-value]  # for the description

    def get_scope(self, policy: Policy) -> LevelOut:
        return LevelOut({"level": LEVEL, "ref": policy.project_id}).data  # type: ignore[return-value]  # as above


# What is taken.


class SettingsIn(serializers.Serializer[Any]):
    cron = Line(
        max_length=128, required=False, allow_blank=True, allow_null=True, help_text="Six fields, seconds first."
    )
    time_zone = Line(max_length=64, required=False, allow_null=True, help_text="In which cron is read; UTC.")

    def validate_cron(self, cron: str | None) -> str:
        if cron and cron.split()[:1] != ["0"]:
            raise serializers.ValidationError("its first field, the second, must be 0")
        return cron or ""


class TriggerIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([SCHEDULE], required=False, allow_blank=True, allow_null=True)
    settings = SettingsIn(required=False, allow_null=True)


class LevelIn(serializers.Serializer[Any]):
    level = serializers.ChoiceField([LEVEL])
    ref = Id(min_value=1, help_text="The project's id.")


class PolicyIn(serializers.Serializer[Any]):
    id = Id(required=False, allow_null=True)
    algorithm = serializers.ChoiceField([ALGORITHM], required=False, allow_blank=True, allow_null=True)
    rules = serializers.ListField(child=RuleIn(), max_length=MAX_RULES, required=False, allow_null=True)
    trigger = TriggerIn(required=False, allow_null=True)
    scope = LevelIn()
    may_empty = Flag(
        required=False, help_text="A run may take the last artifact of a repository without a confirmation; false."
    )

    def validate_rules(self, rules: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return numbered(rules or [])

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """What the services take, with the project's id under `ref`."""
        settings = ((attrs.get("trigger") or {}).get("settings")) or {}
        values = {
            "rules": attrs.get("rules") or [],
            "cron": settings.get("cron") or "",
            "time_zone": settings.get("time_zone") or "UTC",
            "may_empty": bool(attrs.get("may_empty")),
        }
        return {"id": attrs.get("id"), "ref": attrs["scope"]["ref"], "values": values}


class PolicyView(RestView):
    """Something of the policy that the path names by `policy_id`. `needs` are actions in its project."""

    policy: Policy
    project: Project

    def authorize(self, need: str | None) -> None:
        assert need is not None, "every method of a policy needs an action"  # noqa: S101 - a programming error
        self.policy, self.project = queries.policy_for(self.actor, self.kwargs["policy_id"], need)


class Metadata(RestView):
    needs = {"GET": SIGNED_IN}

    @operation(gives=MetadataOut)
    def get(self, request: Request) -> HttpResponse:
        """What rules of retention there may be"""
        return Response(METADATA)


class PolicyList(RestView):
    needs = {"POST": SIGNED_IN}

    @operation(takes=PolicyIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Give a project a retention policy, of which it has one at most"""
        given = _different(self.body(PolicyIn))
        project = project_for(self.actor, given["ref"], "tag-retention:create")
        policy = policies.policy_create(project=project, **given["values"])
        return self.created(f"{request.path.rstrip('/')}/{policy.pk}")


class PolicyDetail(PolicyView):
    needs = {"GET": "tag-retention:read", "PUT": "tag-retention:update", "DELETE": "tag-retention:delete"}

    @operation(gives=PolicyOut)
    def get(self, request: Request, policy_id: int) -> HttpResponse:
        """A retention policy"""
        return self.shown(PolicyOut(self.policy))

    @operation(takes=PolicyIn)
    def put(self, request: Request, policy_id: int) -> HttpResponse:
        """Replace a retention policy: what it did not say by now is not said any more

        A run under way deletes nothing more; a plan that was made before can't be carried out any more.
        """
        given = _different(self.body(PolicyIn))
        if given["id"] not in (None, 0, self.policy.pk):
            raise BadRequest("id: it is not that of the policy in the path")
        if given["ref"] != self.project.pk:
            raise BadRequest("scope.ref: it is not the project of the policy")
        policies.policy_update(policy=self.policy, project=self.project, **given["values"])
        return self.done()

    @operation()
    def delete(self, request: Request, policy_id: int) -> HttpResponse:
        """Delete a retention policy"""
        policies.policy_delete(policy=self.policy, project=self.project)
        return self.done()


def _different(given: dict[str, Any]) -> dict[str, Any]:
    if not are_different(given["values"]["rules"]):
        raise Conflict("rules: two of them say the same")
    return given
