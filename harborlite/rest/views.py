"""The base of every view of the REST API, and Harbor's conventions, once: who asks, what is taken, how it is answered.

status    200 shown, changed or deleted; 201 created, with a Location that is a path
lists     X-Total-Count and a relative Link; a page past the end is empty (harborlite.rest.listing)
errors    {"errors": [{"code", "message"}]} in Harbor's codes; what may not be seen answers as what is not there
"""

import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView

from harborlite import origin
from harborlite.actors import ANONYMOUS, Actor
from harborlite.errors import (
    BadRequest,
    Denied,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from harborlite.http import Body
from harborlite.rest import answers
from harborlite.rest.converters import Unreadable
from harborlite.rest.listing import Listing, Page, Rows, page_of

MAX_BYTES = 1024 * 1024
SIGNED_IN = "signed-in"
JSON = "application/json"
HARBOR_CODES = {
    "DENIED": "FORBIDDEN",
    "UNSUPPORTED": "METHOD_NOT_ALLOWED",
    "TOOMANYREQUESTS": "TOO_MANY_REQUEST",
    "SIZE_INVALID": "REQUEST_ENTITY_TOO_LARGE",
    "NAME_INVALID": "BAD_REQUEST",
    "NAME_UNKNOWN": "NOT_FOUND",
    "BLOB_UNKNOWN": "NOT_FOUND",
    "MANIFEST_UNKNOWN": "NOT_FOUND",
    "QUOTA_EXCEEDED": "DENIED",
}
"""Harbor's word, where the registry protocol or our own vocabulary has another."""


class NoNegotiation(BaseContentNegotiation):
    """There is one form of every answer; what clients accept never makes it another, nor an error."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class RestView(APIView):
    """A resource of the REST API.

    `needs` says for each method who may: an action outside projects ("user:list"), SIGNED_IN, or None for everybody.
    A method that does not stand there is not allowed. HEAD is answered wherever GET is.
    """

    content_negotiation_class = NoNegotiation
    needs: ClassVar[dict[str, str | None]] = {}
    actor: Actor = ANONYMOUS

    # Who asks.

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.get_host()  # refuses a Host that is not ours, before anything is built from it
        if request.method == "OPTIONS":
            return
        for name, value in kwargs.items():
            if isinstance(value, Unreadable):
                raise BadRequest(f"{name}: {value[:80]!a} is not a number")
        method = str(request.method)
        if method == "HEAD" and "HEAD" not in self.needs:
            method = "GET"
        if method not in self.needs:
            raise MethodNotAllowed()
        user: Any = request.user  # what RestAuthentication found; None is nobody
        self.actor = user or ANONYMOUS
        origin.set_actor(self.actor)
        self.authorize(self.needs[method])
        _check_query(str(request.META.get("QUERY_STRING", "")))

    def authorize(self, need: str | None) -> None:
        """Returns when the caller may do `need`; Unauthorized when signing in may help, Denied when it won't."""
        if need is None:
            return
        if self.actor.kind == "anonymous":
            raise Unauthorized()
        if need != SIGNED_IN and need not in system_actions(self.actor):
            raise Denied()

    @property
    def is_name_given(self) -> bool:
        """Whether digits in the path are to be read as a name (Harbor's X-Is-Resource-Name)."""
        return str(self.request.headers.get("X-Is-Resource-Name", "")).lower() == "true"

    # What is taken.

    def body(self, kind: type[BaseSerializer[Any]]) -> Any:
        """The request's body, JSON, as `kind` has checked it. BadRequest names the field that is wrong."""
        media_type = str(self.request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
        if media_type not in ("", JSON):
            raise UnsupportedMediaType(f"the body is to be {JSON}, not {media_type[:80]!a}")
        content = Body(self.request.META).read_all(MAX_BYTES, TooLarge)
        return checked(kind(data=_json(content)))

    def parameters(self, kind: type[Serializer[Any]]) -> dict[str, Any]:
        """The query parameters as `kind` has checked them; others are passed over. BadRequest names the wrong one."""
        known = {key: value for key, value in self.request.GET.items() if value != ""}
        return dict(checked(kind(data=known)))

    # How it is answered.

    def listed(
        self,
        rows: Rows | Sequence[Any],
        listing: Listing | None,
        kind: type[BaseSerializer[Any]],
        *,
        fill: Callable[[list[Any]], dict[str, Any]] | None = None,
    ) -> HttpResponse:
        """A page of `rows`, each as `kind` shows it, by the request's q, sort, page and page_size.

        `fill` gets the rows of the page and returns the context that `kind` needs to show them all: one place for
        the queries whose number must not grow with the rows.
        """
        if listing is not None:
            asked = self.request.GET
            rows = listing.select(rows, asked.get("q", ""), asked.get("sort", ""))  # type: ignore[arg-type]
        page = page_of(self.request, rows)
        context = fill(list(page.rows)) if fill else {}
        return self.paged(page, kind(page.rows, many=True, context=context).data)

    def paged(self, page: Page, shown: Any) -> HttpResponse:
        """`shown`, which is `page` in the API's form."""
        response = Response(shown)
        response["X-Total-Count"] = str(page.total)
        if page.link:
            response["Link"] = page.link
        return response

    def shown(self, kind: BaseSerializer[Any]) -> HttpResponse:
        """200 and what `kind` holds."""
        return Response(kind.data)

    def created(self, path: str, name: str | None = None, body: Any = None) -> HttpResponse:
        """201 with the new thing's path, by id or, when the client asks for that and there is one, by `name`."""
        wants_name = str(self.request.headers.get("X-Resource-Name-In-Location", "")).lower() == "true"
        location = name if wants_name and name else path
        headers = {"Location": location}
        if body is None:
            return HttpResponse(status=HTTPStatus.CREATED, headers=headers)
        return Response(body, status=HTTPStatus.CREATED, headers=headers)

    def done(self) -> HttpResponse:
        """200 and nothing else."""
        return HttpResponse(status=HTTPStatus.OK)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]  # any answer will do
        error = answers.translate(exc)
        error.code = HARBOR_CODES.get(error.code, error.code)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers.setdefault("Allow", ", ".join(self.allowed_methods))
        answers.close_if_unread(error, self.request)
        response = answers.error_response(error)
        response["Content-Type"] = f"{JSON}; charset=utf-8"
        return response

    def finalize_response(  # type: ignore[override]  # any answer will do
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        answer: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)
        if not answer.streaming and not isinstance(answer, Response) and not answer.content:  # type: ignore[attr-defined]
            answer.headers.pop("Content-Type", None)
        return answer

    @property
    def allowed_methods(self) -> list[str]:
        return [*self.needs, *(["HEAD"] if "GET" in self.needs and "HEAD" not in self.needs else []), "OPTIONS"]

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(self.allowed_methods)})


class NoSuchOperation(RestView):
    """Whatever the API does not have."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.get_host()
        raise NotFound("the API has no such operation; see /api/docs")


def system_actions(actor: Actor) -> frozenset[str]:
    """What `actor` may do outside projects. The decision is the tenant's: settings name the function that makes it."""
    decide: Callable[[Actor], frozenset[str]] = import_string(settings.SYSTEM_ACTIONS)
    return decide(actor)


def checked(serializer: BaseSerializer[Any]) -> Any:
    """The valid values of `serializer`; DRF's ValidationError, which answers.translate puts into words, when not."""
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def _check_query(text: str) -> None:
    """BadRequest for a query that is not UTF-8; Django would read something else in the place of what is not."""
    for pair in text.split("&") if "%" in text else ():
        try:
            unquote_to_bytes(pair).decode()
        except UnicodeDecodeError:
            raise BadRequest(f"{pair.partition('=')[0][:80]}: the value is not UTF-8") from None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("the body is no JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
