"""Fields of what the REST API takes and gives, on top of DRF's."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from harborlite.text import is_line, is_text

NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""How Harbor writes a time that has not come: Go's zero."""


class Text(serializers.CharField):
    """A text without control characters but line ends and tabs, and without marks that reorder it. Not stripped."""

    default_error_messages = {"unsafe": "control characters and marks that change the direction are not allowed"}

    def __init__(self, **options: Any) -> None:
        options.setdefault("trim_whitespace", False)
        options.setdefault("max_length", 1024)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):  # DRF would take numbers
            self.fail("invalid")
        if not self.is_safe(data):
            self.fail("unsafe")
        return super().to_internal_value(data)

    def is_safe(self, text: str) -> bool:
        return is_text(text)


class Line(Text):
    """A Text on one line, of up to 255 characters."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 255)
        super().__init__(**options)

    def is_safe(self, text: str) -> bool:
        return is_line(text)


class Secret(serializers.CharField):
    """A password or the like: taken as it is, never given."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("trim_whitespace", False)
        options.setdefault("max_length", 4096)
        super().__init__(write_only=True, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not is_text(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(serializers.IntegerField):
    """An id, or another number of 64 bits that is not negative."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 2**63 - 1, **options})

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | str):  # JSON has numbers
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Flag(serializers.BooleanField):
    """true or false, as JSON has them; DRF would take "yes" and 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Moment(serializers.DateTimeField):
    """A time as Harbor writes it: UTC with milliseconds, and for a time that has not come the year 1."""

    def get_attribute(self, instance: Any) -> Any:
        return super().get_attribute(instance) or NEVER

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
