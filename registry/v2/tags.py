"""The list of tags (spec end-8a, end-8b)."""

from django.http import HttpRequest, JsonResponse

from registry import queries
from registry.v2 import paging
from registry.v2.base import V2View


class TagList(V2View):
    needs = {"GET": "pull", "HEAD": "pull"}

    def get(self, request: HttpRequest, name: str) -> JsonResponse:
        page = paging.page_of(request)
        found, has_more = queries.tags_page(self.repository_id(), after=page.after, limit=page.limit)
        response = JsonResponse({"name": name, "tags": found})
        if has_more and found:
            response["Link"] = page.next_link(f"/v2/{name}/tags/list", found[-1])
        return response
