"""The configuration: read by administrators with what can be changed, written in part."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.rest.fields import Flag, Id, Secret, Text
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from system import config, keys
from system.services import configuration_update

_SHOWN = [key for key in keys.TABLE if not key.is_secret]


class TextItemOut(serializers.Serializer[Any]):
    value = serializers.CharField()
    editable = serializers.BooleanField()


class NumberItemOut(TextItemOut):
    value = serializers.IntegerField()  # type: ignore[assignment]  # DRF lets a field be declared anew


class FlagItemOut(TextItemOut):
    value = serializers.BooleanField()  # type: ignore[assignment]  # as above


_ITEMS = {"string": TextItemOut, "integer": NumberItemOut, "boolean": FlagItemOut}


def _field(key: keys.Key) -> serializers.Field[Any, Any, Any, Any]:
    options: dict[str, Any] = {"required": False, "allow_null": True, "help_text": key.help}
    match key.kind:
        case keys.Flag():
            return Flag(**options)
        case keys.Number(least, most, besides):
            return Id(min_value=least if besides is None else min(least, besides), max_value=most, **options)
        case keys.Choice(words):
            return serializers.ChoiceField(words, **options)
        case keys.Text(most, is_secret=True):
            return Secret(max_length=most, allow_blank=True, **options)
        case keys.Text(most):
            return Text(max_length=most, allow_blank=True, **options)
    return Text(max_length=4096, allow_blank=True, **options)


ConfigurationsOut = type(
    "ConfigurationsOut", (serializers.Serializer,), {key.name: _ITEMS[key.kind.json]() for key in _SHOWN}
)
ConfigurationsIn = type("ConfigurationsIn", (serializers.Serializer,), {key.name: _field(key) for key in keys.TABLE})


class Configurations(RestView):
    needs = {"GET": "configuration:read", "PUT": "configuration:update"}

    @operation(gives=ConfigurationsOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """All settings but the secret ones, each with whether it can be changed"""
        values, fixed = config.everything(), keys.fixed()
        items = {key.name: {"value": values[key.name], "editable": key.name not in fixed} for key in _SHOWN}
        return self.shown(ConfigurationsOut(items))

    @operation(takes=ConfigurationsIn)
    def put(self, request: HttpRequest) -> HttpResponse:
        """Changes the settings that are named; those that the server's environment fixes can't be"""
        configuration_update(values=self.body(ConfigurationsIn))
        return self.done()
