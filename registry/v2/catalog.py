"""The version check, the list of repositories, and what is no route at all."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from harborlite.errors import NotFound
from projects import rbac
from registry import access, queries
from registry.v2 import paging
from registry.v2.base import V2View


class Base(V2View):
    """GET /v2/: 200 for who is known, else the challenge that tells clients where tokens come from (spec end-1)."""

    def get(self, request: HttpRequest) -> HttpResponse:
        access.require_known(self.caller)
        return HttpResponse(b"{}", content_type="application/json", status=HTTPStatus.OK)

    head = get


class Catalog(V2View):
    """GET /v2/_catalog: the repositories the caller may pull, whatever its token's scopes (distribution's API)."""

    def get(self, request: HttpRequest) -> HttpResponse:
        access.require_known(self.caller)
        page = paging.page_of(request)
        projects = rbac.projects_allowing(self.caller.actor, access.ACTIONS["pull"])
        found, has_more = queries.catalog_page(projects, after=page.after, limit=page.limit)
        response = JsonResponse({"repositories": found})
        if has_more and found:
            response["Link"] = page.next_link("/v2/_catalog", found[-1])
        return response

    def scopes(self, request: HttpRequest, name: str | None) -> list[str]:
        return ["registry:catalog:*"]


class Unknown(V2View):
    """Anything else under /v2/."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        self.args, self.kwargs, self.request = args, kwargs, self.initialize_request(request)
        return self.finalize_response(request, self.handle_exception(NotFound("no such endpoint")))
