"""How both APIs answer: the error envelope, and Django's and the database's errors in our vocabulary."""

import logging
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.settings import api_settings

from harborlite.errors import BadRequest, Denied, HarborliteError, NotFound, Unauthorized, Unavailable, Unsupported

logger = logging.getLogger(__name__)


def error_response(error: HarborliteError) -> HttpResponse:
    """{"errors": [{"code", "message", "detail"}]} with the error's status and headers (OCI spec "Error Codes")."""
    entry: dict[str, object] = {"code": error.code, "message": error.message}
    if error.detail is not None:
        entry["detail"] = error.detail
    response = JsonResponse({"errors": [entry]}, status=error.status, headers=error.headers)
    if error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response.headers.setdefault("Retry-After", "5")
    if error.close:
        response["Connection"] = "close"
    return response


def translate(error: Exception) -> HarborliteError:
    """`error` in our vocabulary. What is no client's business becomes a plain 500; its text stays in the log."""
    if isinstance(error, HarborliteError):
        return error
    for kinds, ours in _TRANSLATIONS:
        if isinstance(error, kinds):
            return ours()
    if isinstance(error, exceptions.ValidationError):
        return BadRequest("; ".join(_spoken(error.detail)))
    if isinstance(error, exceptions.APIException):
        return BadRequest(str(error.detail))
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("the database is not available", exc_info=error)
        return Unavailable("the database is not available; try again later")
    logger.error("unexpected error", exc_info=error)
    return HarborliteError()


_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], Callable[[], HarborliteError]], ...] = (
    ((exceptions.MethodNotAllowed,), lambda: Unsupported("the method is not supported here")),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthorized),
    ((exceptions.PermissionDenied, PermissionDenied), Denied),
    ((exceptions.NotFound, Http404), NotFound),
    ((DisallowedHost,), lambda: BadRequest(f"this server does not answer to that host name; {_HOSTS}")),
    ((SuspiciousOperation,), lambda: BadRequest("the request was refused")),
)
_HOSTS = "its administrator can add it to HARBORLITE_ALLOWED_HOSTS"


def _spoken(detail: object, path: str = "") -> Iterator[str]:
    """What DRF found wrong, each as "field: what"."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            name = "" if key == api_settings.NON_FIELD_ERRORS_KEY else str(key)
            yield from _spoken(value, ".".join(filter(None, (path, name))))
    elif isinstance(detail, list):
        for number, value in enumerate(detail):
            yield from _spoken(value, path if isinstance(value, str) else f"{path}[{number}]")
    else:
        text = str(detail).rstrip(".")
        yield f"{path}: {text[:1].lower()}{text[1:]}" if path else text


def close_if_unread(error: HarborliteError, request: HttpRequest) -> None:
    """A refused request whose body was not read ends its connection: what follows on it is not a request."""
    header: Callable[[str], Any] = request.META.get
    if error.status >= HTTPStatus.BAD_REQUEST and (
        header("CONTENT_LENGTH") not in (None, "", "0") or header("HTTP_TRANSFER_ENCODING")
    ):
        error.close = True


# Django's own hooks, for what never reaches a view.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return error_response(translate(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return error_response(NotFound("no such page"))


def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return error_response(HarborliteError())
