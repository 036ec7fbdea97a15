"""The REST API's description in OpenAPI 3: what each operation takes and gives is written on the operation itself."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.serializers import BaseSerializer

from harborlite.rest.listing import MAX_PAGE_SIZE, PAGE_SIZE, Listing

PREFIX = "/api/v2.0/"
Handler = TypeVar("Handler", bound=Callable[..., Any])
Kind = type[BaseSerializer[Any]]


class ErrorOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    detail = serializers.JSONField(required=False)


class ErrorsOut(serializers.Serializer[Any]):
    errors = ErrorOut(many=True)  # type: ignore[assignment]  # DRF has a property of that name, which this does not need


_SAFE_ERRORS = (400, 401, 403, 404, 412, 429, 503)
_UNSAFE_ERRORS = (*_SAFE_ERRORS, 408, 409, 413, 415)


def operation(
    *,
    takes: Kind | None = None,
    gives: Kind | OpenApiTypes | None = None,
    many: bool = False,
    status: int = HTTPStatus.OK,
    listing: Listing | None = None,
    is_paged: bool | None = None,
    query: Kind | None = None,
    media: str = "application/json",
    also: str = "",
) -> Callable[[Handler], Handler]:
    """Describes a handler: its body, its answer, its query parameters. Its docstring's first line is the summary.

    A list (`many`) is paged unless `is_paged` says otherwise; with `listing` it knows q and sort. `also` is another
    media type in which the answer can be had, as a text.
    """
    paged = many if is_paged is None else is_paged
    parameters: list[Any] = [*_paging(listing, paged=paged), *_headers(status, paged=paged)]
    if query is not None:
        parameters.append(query)
    given: Any = gives
    if isinstance(gives, type) and many:
        given = gives(many=True)

    def describe(handler: Handler) -> Handler:
        method = handler.__name__
        errors = _SAFE_ERRORS if method in ("get", "head") else _UNSAFE_ERRORS
        summary = (handler.__doc__ or "").strip().splitlines()
        described: Handler = extend_schema(
            request={"application/json": takes} if takes else None,
            responses={
                (status, media) if given is not None else status: OpenApiResponse(given, HTTPStatus(status).phrase),
                **({(status, also): OpenApiResponse(OpenApiTypes.STR, HTTPStatus(status).phrase)} if also else {}),
                **{error: OpenApiResponse(ErrorsOut, HTTPStatus(error).phrase) for error in errors},
            },
            parameters=parameters,
            summary=summary[0] if summary else None,
            description="\n".join(line.strip() for line in summary[1:]).strip() or None,
        )(handler)
        return described

    return describe


def _paging(listing: Listing | None, *, paged: bool) -> list[OpenApiParameter]:
    found = []
    if paged:
        found += [
            OpenApiParameter("page", {"type": "integer", "minimum": 1, "default": 1}, description="From 1."),
            OpenApiParameter(
                "page_size", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
            ),
        ]
    if listing is not None:
        q = "key=value, key=~part, key=[low~high], key={any of}, key=(all of), joined by commas. Keys: "
        found += [
            OpenApiParameter("q", str, description=q + ", ".join(listing.filterable)),
            OpenApiParameter("sort", str, description=f"Keys, descending with a minus: {', '.join(listing.sortable)}"),
        ]
    return found


def _headers(status: int, *, paged: bool) -> list[OpenApiParameter]:
    def header(name: str, kind: Any, text: str) -> OpenApiParameter:
        return OpenApiParameter(name, kind, OpenApiParameter.HEADER, response=[status], description=text)

    found = []
    if paged:
        found = [header("X-Total-Count", int, "How many there are."), header("Link", str, "The next and last page.")]
    if status == HTTPStatus.CREATED:
        found.append(header("Location", str, "The path of what was created."))
    return found


class Schema(AutoSchema):
    """drf-spectacular's, for views that are no view sets."""

    method_mapping = {**AutoSchema.method_mapping, "head": "head"}

    def get_tags(self) -> list[str]:
        first = self.path.removeprefix(PREFIX).split("/")
        nested = [part for part in first[1:] if part and not part.startswith("{")]
        return [nested[0] if first[0] == "projects" and nested else first[0]]

    def get_operation_id(self) -> str:
        """The app, the noun, the view and the method: names stay the same when routes are added."""
        app, *_, noun = type(self.view).__module__.split(".")
        return f"{app}_{noun}_{type(self.view).__name__}_{self.method.lower()}"

    def get_serializer_name(self, serializer: BaseSerializer[Any], direction: Direction) -> str:
        """The app and the class: several apps have a Rule or a Policy."""
        app = type(serializer).__module__.partition(".")[0]
        return app.title() + type(serializer).__name__

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own signature
        return ""


class Credentials(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Who asks: Basic with a password, an access token or a robot's secret; a bearer access token; a session."""

    target_class = "accounts.authentication.RestAuthentication"
    name = ["basic", "token", "session"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Any of them will do; and none, where the operation's own table says so."""
        needs = getattr(auto_schema.view, "needs", {})
        nobody: list[dict[str, list[Any]]] = [{}] if needs.get(auto_schema.method, "") is None else []
        return [*nobody, *({name: []} for name in self.name)]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "basic"},
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "cookie", "name": "sid"},
        ]


def only_the_api(endpoints: list[Any], **_: Any) -> list[Any]:
    """drf-spectacular's hook: what lies outside the REST API, such as /v2, has a specification of its own.

    Where a path is also served with a slash at its end, for Terraform, it is described without.
    """
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX) and not endpoint[0].endswith("/")]
