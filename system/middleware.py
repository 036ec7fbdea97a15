"""What every request passes: its id, and the framing of its answer."""

import re
import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Every answer carries X-Request-Id, the client's own when it sent a sane one, else a new one; and its length."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request.META["harborlite.request_id"] = given if _ID.match(given) else uuid.uuid4().hex
        response = get_response(request)
        response["X-Request-Id"] = request.META["harborlite.request_id"]
        if not response.streaming and response.status_code not in BODILESS and "Content-Length" not in response:
            response["Content-Length"] = str(len(response.content))
        return response

    return middleware
