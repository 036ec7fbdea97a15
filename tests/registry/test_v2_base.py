"""What every view of the protocol does to its answers."""

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from registry.v2.base import V2View


class Stale(V2View):
    """A view that has something to say beside its answer."""

    def get(self, request: HttpRequest) -> HttpResponse:
        self.warnings.append("the upstream did not answer")
        self.warnings.append("this image is deprecated")
        return HttpResponse(b"{}", content_type="application/json")


def test_warnings_go_out_in_the_specs_form() -> None:
    answer = Stale.as_view()(RequestFactory(HTTP_HOST="localhost").get("/v2/"))
    assert answer["Warning"] == '299 - "the upstream did not answer", 299 - "this image is deprecated"'
    assert answer["Docker-Distribution-API-Version"] == "registry/2.0"
