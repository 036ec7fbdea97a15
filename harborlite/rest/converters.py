"""Path converters of the REST API; importing this module makes them known."""

from django.urls import register_converter


class Unreadable(str):
    """What stands in a path where a number is needed; RestView answers it with 400, by the parameter's name."""

    __slots__ = ()


class IdConverter:
    """An id. What is none still finds its view, so that the answer can say what is wrong."""

    regex = r"[^/]+"

    def to_python(self, value: str) -> "int | Unreadable":
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 40 else Unreadable(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(IdConverter, "id")
