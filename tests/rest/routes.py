"""What the URL configuration serves."""

from collections.abc import Iterable, Iterator, Sequence

from django.urls import URLPattern, URLResolver, get_resolver

from harborlite.console.pages import PageView
from tests.rest.contract import PREFIX


def served() -> Iterator[tuple[str, str]]:
    """Method and route of everything below the API's prefix, a slash at the end left out."""
    for route, methods in walk(get_resolver().url_patterns):
        if route.startswith(PREFIX[1:] + "/"):
            for method in methods:
                yield method, route.rstrip("/")


def pages() -> dict[str, Iterable[str]]:
    """Each route of the console, with the methods that it takes."""
    found = _views(get_resolver().url_patterns)
    return {route: view.needs for route, view in found if issubclass(view, PageView)}


def _views(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, type]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        else:
            yield route, getattr(pattern.callback, "view_class", object)


def walk(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each route with the methods its view has code for."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        else:
            yield route, _methods(pattern)


def _methods(pattern: URLPattern) -> list[str]:
    view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    if view is None:
        return ["GET", "HEAD"]  # a function; that it takes no other method is a test of its own
    methods = [name.upper() for name in view.http_method_names if hasattr(view, name)]
    if "GET" in methods and "HEAD" not in methods:
        methods.append("HEAD")  # Django adds it
    return sorted(methods) if view.__name__ != "Unknown" else ["GET", "OPTIONS"]
