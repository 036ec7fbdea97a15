"""The base of every /v2 view: who calls, where to, whether they may; headers and errors of the protocol."""

from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from harborlite import origin
from harborlite.errors import Denied, NameInvalid, NameUnknown, Unauthorized, Unsupported
from harborlite.rest import answers
from harborlite.rest.views import NoNegotiation
from projects import quota
from projects.models import Project
from registry import access, routing
from registry.v2 import auth

SPEC_CODES = {"BAD_REQUEST": "UNSUPPORTED", "NOT_FOUND": "UNSUPPORTED", "QUOTA_EXCEEDED": "DENIED"}
"""Clients of /v2 know the spec's codes only (section "Error Codes")."""


class V2View(APIView):
    """A resource of the registry protocol.

    `needs` says for each method which action on the repository it takes; nothing of the body was read before that
    is decided. Views read `self.caller` and `self.target`, answer with a plain HttpResponse and raise from
    `harborlite.errors`. Texts in `self.warnings` go out as Warning headers (spec "Warnings": code 299, agent "-").
    """

    authentication_classes = ()
    content_negotiation_class = NoNegotiation
    needs: ClassVar[dict[str, str]] = {}
    caller: access.Caller
    target: routing.Target
    warnings: list[str]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.warnings = []
        request.get_host()  # refuses a Host that is not ours, before anything is built from it
        if "%2f" in request.META.get("RAW_URI", "").partition("?")[0].lower():
            raise NameInvalid("a slash in a name is not to be encoded")
        if request.method == "OPTIONS":
            return  # it says what the route takes, to everybody, and nothing of what is there
        self.caller = auth.caller_of(request)
        origin.set_actor(self.caller.actor)
        if (name := kwargs.get("name")) is None:
            return
        self.target = routing.resolve(name, self.caller.actor.user_id)
        action = self.needs.get(str(request.method))
        if action is not None:
            access.require(self.caller, self.target, action)
        else:  # what no table opens is closed, whether a view has code for it or not
            raise Unsupported("the method is not supported here")
        if new_name := self.target.new_name:
            self.warnings.append(f"the repository is called {new_name} now")

    def project(self) -> Project:
        """The project; there is one whenever an action on it was granted."""
        if self.target.project is None:
            raise Denied()
        return self.target.project

    def repository_id(self) -> int:
        """The repository's id; NameUnknown when it does not exist."""
        if self.target.repository_id is None:
            raise NameUnknown(detail={"name": self.target.name})
        return self.target.repository_id

    def warn_of_quota(self) -> None:
        """Who pushed is told when the project is near its limit. No query where there is none."""
        if self.target.project is not None and self.target.limit != quota.UNLIMITED and quota.is_enforced():
            self.warnings.extend(filter(None, [quota.of(self.target.project.pk).warning]))

    def scopes(self, request: HttpRequest, name: str | None) -> list[str]:
        """The scopes a token needs for this request, for the challenge."""
        action = self.needs.get(str(request.method))
        if name is None or action is None or not routing.is_name(name):
            return []
        return [f"repository:{name}:{'pull,push' if action == 'push' else action}"]

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]  # any answer will do
        error = answers.translate(exc)
        if isinstance(error, Unauthorized) and "WWW-Authenticate" not in error.headers:
            detail = error.detail if isinstance(error.detail, dict) else {}
            scopes = self.scopes(self.request, self.kwargs.get("name"))
            error.headers["WWW-Authenticate"] = auth.challenge(self.request, scopes, detail.get("error"))
        error.code = SPEC_CODES.get(error.code, error.code)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers.setdefault("Allow", ", ".join(self.allowed_methods))
        answers.close_if_unread(error, self.request)
        return answers.error_response(error)

    def finalize_response(  # type: ignore[override]  # any answer will do
        self, request: HttpRequest, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response["Docker-Distribution-API-Version"] = "registry/2.0"
        for text in getattr(self, "warnings", ()):
            response["Warning"] = ", ".join(filter(None, [response.get("Warning"), f'299 - "{text}"']))
        if request.method == "HEAD" and response.status_code >= HTTPStatus.BAD_REQUEST:
            response = HttpResponse(status=response.status_code, headers=response.headers)
            response["Content-Length"] = "0"
        if response.get("Content-Type", "").startswith("text/html"):
            del response["Content-Type"]  # Django's default; what has no content has no type, above all a 304
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]  # any answer will do
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(self.allowed_methods)})


def has_it(request: HttpRequest, digest: str) -> bool:
    """Whether the client says that it has the content of `digest` already (If-None-Match, RFC 9110 13.1.2)."""
    known = request.META.get("HTTP_IF_NONE_MATCH", "")
    return f'"{digest}"' in known or known.strip() == "*"
