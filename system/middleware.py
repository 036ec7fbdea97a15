"""What every request passes: its id, the framing of its answer, and the gate of a server that is read only."""

import re
import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from harborlite.actors import ANONYMOUS
from harborlite.errors import Denied, HarborliteError
from harborlite.http import client_address
from harborlite.origin import Origin, began
from harborlite.rest import answers
from system import config

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({
    ("PUT", "/api/v2.0/configurations"),
    ("POST", "/c/login"),
    ("POST", "/c/log_out"),
    ("POST", "/c/userExists"),
    ("POST", "/service/token"),
})  # fmt: skip
"""What can be done while the server is read only: settings, signing in and out, tokens."""
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Every answer carries X-Request-Id, the client's own when it sent a sane one, else a new one; and its length."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _ID.match(given) else uuid.uuid4().hex
        with began(Origin(ANONYMOUS, client_address(request.META), request_id)):
            response = get_response(request)
        response["X-Request-Id"] = request_id
        if not response.streaming and response.status_code not in BODILESS and "Content-Length" not in response:
            response["Content-Length"] = str(len(response.content))
        return response

    return middleware


def read_only(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """While administrators have made the server read only, what changes something is refused (Harbor's words)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in _SAFE or (request.method, request.path_info) in _OPEN:
            return get_response(request)
        refusal = _refusal()
        if refusal is None:
            return get_response(request)
        answers.close_if_unread(refusal, request)
        return answers.error_response(refusal)

    return middleware


def _refusal() -> HarborliteError | None:
    try:
        is_read_only = config.get("read_only")
    except Exception as error:  # noqa: BLE001 - no view is reached, whose base would answer
        return answers.translate(error)
    return Denied("The system is in read only mode. Any modification is prohibited.") if is_read_only else None
