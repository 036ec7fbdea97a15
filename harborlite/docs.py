"""The API's description and the page that shows it, from files of our own: it works without the internet."""

import json
from functools import lru_cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@require_safe
def openapi(_request: HttpRequest) -> HttpResponse:
    """The description of the REST API in OpenAPI 3."""
    return HttpResponse(_document(), content_type="application/json", headers={"Cache-Control": "no-cache"})


@require_safe
def version(_request: HttpRequest) -> HttpResponse:
    """Which version of Harbor's API this is; outside of it, so that clients can ask before they choose."""
    return JsonResponse({"version": "v2.0"})


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The description for people, with forms that try it out."""
    response = render(request, "api_docs.html")
    response["Content-Security-Policy"] = _POLICY
    return response


@lru_cache(maxsize=1)
def _document() -> bytes:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.dumps(document).encode()
