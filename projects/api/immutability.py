"""REST: the immutable tag rules of a project."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite import patterns
from harborlite.errors import BadRequest
from harborlite.rest.fields import Flag as FlagField
from harborlite.rest.fields import Id, Line
from harborlite.rest.listing import Field, Flag, Listing, Number
from harborlite.rest.openapi import operation
from projects import immutability
from projects.api.base import ProjectView
from projects.models import ImmutableRule
from projects.rules import Decoration, Selector
from projects.services import immutability as services

ACTION, TEMPLATE, KIND = "immutable", "immutable_template", "doublestar"
"""Harbor has one of each."""
LISTING = Listing(
    {
        "id": Field("pk", Number),
        "disabled": Field("is_disabled", Flag),
        "priority": Field("priority", Number),
    },
    default="id",
)


class SelectorOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    decoration = serializers.CharField()
    pattern = serializers.CharField()


class ScopeOut(serializers.Serializer[Any]):
    repository = SelectorOut(many=True)


class RuleOut(serializers.Serializer[ImmutableRule]):
    id = serializers.IntegerField(source="pk")
    disabled = serializers.BooleanField(source="is_disabled")
    action = serializers.CharField(read_only=True, default=ACTION)
    template = serializers.CharField()
    priority = serializers.IntegerField()
    scope_selectors = ScopeOut()
    tag_selectors = SelectorOut(many=True)


class SelectorIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([KIND], required=False, allow_blank=True)
    pattern = Line(max_length=patterns.MAX_LENGTH, help_text="Doublestar: * ? ** [a-z] {a,b}")

    def validate_pattern(self, pattern: str) -> str:
        try:
            patterns.read(pattern)
        except patterns.BadPattern as error:
            raise serializers.ValidationError(str(error)) from None
        return pattern

    def validate(self, given: dict[str, Any]) -> Selector:
        return Selector(Decoration(given["decoration"]), given["pattern"])


class RepositorySelectorIn(SelectorIn):
    decoration = serializers.ChoiceField([str(Decoration.REPOSITORIES), str(Decoration.OTHER_REPOSITORIES)])


class TagSelectorIn(SelectorIn):
    decoration = serializers.ChoiceField([str(Decoration.TAGS), str(Decoration.OTHER_TAGS)])


class ScopeIn(serializers.Serializer[Any]):
    repository = serializers.ListField(child=RepositorySelectorIn(), min_length=1, max_length=1)

    def validate(self, given: dict[str, Any]) -> Selector:
        return given["repository"][0]  # type: ignore[no-any-return]


class RuleIn(serializers.Serializer[Any]):
    """One selector of repositories and one of tags: Harbor looks at the first of each and passes over the others."""

    id = Id(required=False, allow_null=True)
    disabled = FlagField(required=False, allow_null=True)
    action = serializers.ChoiceField([ACTION], required=False, allow_null=True, allow_blank=True)
    template = serializers.ChoiceField([TEMPLATE], required=False, allow_null=True, allow_blank=True)
    priority = serializers.IntegerField(required=False, allow_null=True, min_value=-(2**31), max_value=2**31 - 1)
    scope_selectors = ScopeIn()
    tag_selectors = serializers.ListField(child=TagSelectorIn(), min_length=1, max_length=1)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the services take."""
        values = {
            "is_disabled": given.get("disabled"),
            "priority": given.get("priority"),
            "repositories": given.get("scope_selectors"),
            "tags": (given.get("tag_selectors") or [None])[0],
        }
        return {"id": given.get("id"), "values": {name: value for name, value in values.items() if value is not None}}


class RuleChangeIn(RuleIn):
    """What is left out stays."""

    scope_selectors = ScopeIn(required=False, allow_null=True)
    tag_selectors = serializers.ListField(
        child=TagSelectorIn(), min_length=1, max_length=1, required=False, allow_null=True
    )


class RuleList(ProjectView):
    needs = {"GET": "immutable-tag:list", "POST": "immutable-tag:create"}

    @operation(gives=RuleOut, many=True, listing=LISTING)
    def get(self, request: Request, project: str) -> HttpResponse:
        """The immutable tag rules of a project"""
        return self.listed(immutability.rules_of(self.project), LISTING, RuleOut)

    @operation(takes=RuleIn, status=201)
    def post(self, request: Request, project: str) -> HttpResponse:
        """Make tags immutable: what the rule covers can't be moved or deleted any more"""
        rule = services.rule_create(project=self.project, **self.body(RuleIn)["values"])
        return self.created(f"{request.path}/{rule.pk}")


class RuleDetail(ProjectView):
    needs = {"PUT": "immutable-tag:update", "DELETE": "immutable-tag:delete"}

    @operation(takes=RuleChangeIn)
    def put(self, request: Request, project: str, rule_id: int) -> HttpResponse:
        """Change an immutable tag rule, or switch it off and on"""
        rule = immutability.rule_get(self.project, rule_id)
        given = self.body(RuleChangeIn)
        if given["id"] not in (None, 0, rule.pk):
            raise BadRequest("id: it is not that of the rule in the path")
        services.rule_update(rule=rule, **given["values"])
        return self.done()

    @operation()
    def delete(self, request: Request, project: str, rule_id: int) -> HttpResponse:
        """Delete an immutable tag rule"""
        services.rule_delete(rule=immutability.rule_get(self.project, rule_id))
        return self.done()
