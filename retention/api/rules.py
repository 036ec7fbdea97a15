"""How the REST API takes and gives the rules of a retention policy: Harbor's form, checked, as it is then stored."""

import json
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from harborlite import patterns
from harborlite.rest.fields import Flag, Id, Line
from projects.rules import Decoration
from retention.rules import TEMPLATES, LabelDecoration
from retention.stored import ACTION, DOUBLESTAR, LABEL, labels_in

MAX_RULES = 15
"""Harbor's."""
_DECORATIONS = {
    DOUBLESTAR: (str(Decoration.TAGS), str(Decoration.OTHER_TAGS)),
    LABEL: (str(LabelDecoration.WITH), str(LabelDecoration.WITHOUT)),
}
_INT32 = 2**31


class SelectorOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    decoration = serializers.CharField()
    pattern = serializers.CharField()
    extras = serializers.CharField(required=False)


class ScopeOut(serializers.Serializer[Any]):
    repository = SelectorOut(many=True)


class RuleOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    priority = serializers.IntegerField()
    disabled = serializers.BooleanField()
    action = serializers.CharField()
    template = serializers.CharField()
    params = serializers.DictField(child=serializers.IntegerField())
    tag_selectors = SelectorOut(many=True)
    scope_selectors = ScopeOut()


def _pattern(text: str) -> str:
    try:
        patterns.read(text)
    except patterns.BadPattern as error:
        raise serializers.ValidationError({"pattern": str(error)}) from None
    return text


class RepositorySelectorIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([DOUBLESTAR], required=False, allow_blank=True, allow_null=True)
    decoration = serializers.ChoiceField([str(Decoration.REPOSITORIES), str(Decoration.OTHER_REPOSITORIES)])
    pattern = Line(max_length=patterns.MAX_LENGTH, help_text="Doublestar: * ? ** [a-z] {a,b}")
    extras = Line(max_length=1024, required=False, allow_blank=True, allow_null=True)

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        return {"kind": DOUBLESTAR, "decoration": attrs["decoration"], "pattern": _pattern(attrs["pattern"])}


class ArtifactSelectorIn(serializers.Serializer[Any]):
    """Of the kind doublestar by tags; of the kind label by the names of labels between commas."""

    kind = serializers.ChoiceField([DOUBLESTAR, LABEL], required=False, allow_blank=True, allow_null=True)
    decoration = serializers.ChoiceField([*_DECORATIONS[DOUBLESTAR], *_DECORATIONS[LABEL]])
    pattern = Line(max_length=patterns.MAX_LENGTH)
    extras = Line(
        max_length=1024,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text='{"untagged": true}: the pattern applies to artifacts without a tag too.',
    )

    def validate_extras(self, text: str | None) -> str:
        if not text:
            return ""
        try:
            extras = json.loads(text)
        except (ValueError, RecursionError):
            raise serializers.ValidationError("it is no JSON") from None
        if not isinstance(extras, dict) or not isinstance(extras.get("untagged", False), bool):
            raise serializers.ValidationError('it is {"untagged": true} or {"untagged": false}')
        return text

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        kind = attrs.get("kind") or DOUBLESTAR
        if attrs["decoration"] not in _DECORATIONS[kind]:
            raise serializers.ValidationError({"decoration": f"of {kind} it is {' or '.join(_DECORATIONS[kind])}"})
        if kind == LABEL:
            if not labels_in(attrs["pattern"]):
                raise serializers.ValidationError({"pattern": "it names no label"})
        else:
            _pattern(attrs["pattern"])
        found = {"kind": kind, "decoration": attrs["decoration"], "pattern": attrs["pattern"]}
        return {**found, "extras": extras} if (extras := attrs.get("extras")) else found


class ScopeIn(serializers.Serializer[Any]):
    repository = serializers.ListField(child=RepositorySelectorIn(), min_length=1, max_length=10)


class RuleIn(serializers.Serializer[Any]):
    id = Id(required=False, allow_null=True, max_value=_INT32 - 1, help_text="0 or left out: it gets its place.")
    priority = serializers.IntegerField(required=False, allow_null=True, min_value=-_INT32, max_value=_INT32 - 1)
    disabled = Flag(required=False, allow_null=True)
    action = serializers.ChoiceField([ACTION], required=False, allow_blank=True, allow_null=True)
    template = serializers.ChoiceField(list(TEMPLATES))
    params = serializers.DictField(required=False, allow_null=True)
    tag_selectors = serializers.ListField(child=ArtifactSelectorIn(), min_length=1, max_length=10)
    scope_selectors = ScopeIn()

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        template = TEMPLATES[attrs["template"]]
        params = attrs.get("params") or {}
        number = {template.name: _number(params.get(template.name), template.most)} if template.unit else {}
        return {
            "id": attrs.get("id") or 0,
            "priority": attrs.get("priority") or 0,
            "disabled": bool(attrs.get("disabled")),
            "action": ACTION,
            "template": template.name,
            "params": number,
            "tag_selectors": attrs["tag_selectors"],
            "scope_selectors": attrs["scope_selectors"],
        }


def _number(value: object, most: int) -> int:
    """Clients send it as a number, with or without a fraction, or as digits."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise serializers.ValidationError({"params": f"it needs a number from 0 to {most} under the template's name"})
    return value


def numbered(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules with ids of which each is there once: the given ones, and for the others the lowest that are free."""
    taken: set[int] = set()
    for rule in rules:
        if rule["id"] in taken:
            rule["id"] = 0
        taken.add(rule["id"])
    free = (number for number in range(1, len(rules) + len(taken) + 2) if number not in taken)
    return [{**rule, "id": rule["id"] or next(free)} for rule in rules]


def are_different(rules: list[dict[str, Any]]) -> bool:
    """Whether no rule says the same as another one."""
    said = [json.dumps({**rule, "id": 0}, sort_keys=True) for rule in rules]
    return len(set(said)) == len(said)
