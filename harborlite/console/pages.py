"""The base of every page of the console: who asks, how pages and errors are shown, what forms send.

A page is a view of the REST API's kind: the same decision who may see it, the same vocabulary of errors. Only the form
of the answer differs, and that whoever has not signed in is sent to sign in.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication

from harborlite.errors import CsrfInvalid, HarborliteError
from harborlite.rest import answers
from harborlite.rest.views import RestView

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
LANGUAGE, THEME = "language", "theme"
"""Cookies with what a browser's user chose."""
THEMES = ("auto", "light", "dark")
SIGN_IN = "/login"
Text = str | Promise

ERRORS: Mapping[int, tuple[Text, Text]] = {
    400: (_("That did not work"), _("Go back, correct what is named above, and try again.")),
    403: (
        _("You may not do this"),
        _("Your role does not allow it. An administrator of the project can give you another one."),
    ),
    404: (_("Nothing here"), _("It does not exist, or you may not see it. Perhaps the address has a typing error.")),
    409: (_("That is in the way"), _("Something else has this name or place already.")),
    412: (_("That is not possible now"), _("The message above says what has to change first.")),
    429: (_("Too many attempts"), _("Wait a few minutes, then try again.")),
    503: (_("Not available at the moment"), _("The server is being started or repaired. Try again in a minute.")),
}
"""By status: what happened, and what to do."""
_EXPIRED = _("This page was open for too long, or cookies are switched off. Reload it and try again.")


class PageView(RestView):
    """A page. `needs` as in RestView, or in ProjectView when it is one too.

    `get` and `post` answer with `self.page(...)` or `self.see_other(...)`. A POST is a form of our own, which the
    hidden field of the template part csrf.html proves.
    """

    schema = None
    section: ClassVar[str] = ""
    """Which entry of the navigation is the current one."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with spoken(request):
            return super().dispatch(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [import_string(settings.CONSOLE_AUTHENTICATION)()] if self.authentication_classes else []

    # What is taken.

    def form(self) -> QueryDict:
        """What the form sent."""
        return self.request._request.POST

    def number(self, name: str) -> int:
        """The whole number that the form's field is, 0 when it is none."""
        text = self.form().get(name, "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0

    def following(self, default: str = "/") -> str:
        """The page that `next` names, if it is one of ours."""
        request = self.request._request
        wanted = request.POST.get("next") or request.GET.get("next", "")
        is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
        return wanted if is_ours else default

    # How it is answered.

    def page(
        self, template: str, context: Mapping[str, Any] | None = None, *, status: int = HTTPStatus.OK
    ) -> HttpResponse:
        """The page that `template` makes of `context`."""
        request = self.request._request
        text = render_to_string(template, {**self._frame(), **(context or {})}, request=request)
        response = HttpResponse(text, status=status, headers={"Content-Security-Policy": POLICY})
        response["Cache-Control"] = "no-store"
        response["Vary"] = "Cookie, Accept-Language"
        response["Referrer-Policy"] = "same-origin"
        return response

    def see_other(self, path: str, said: Text = "") -> HttpResponse:
        """The browser goes on to `path`, which shows `said` once."""
        response = HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
        if said:
            self.request._request.session["said"] = str(said)
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]  # as in RestView
        error = answers.translate(exc)
        if isinstance(error, CsrfInvalid):
            error.message = str(_EXPIRED)
        answers.close_if_unread(error, self.request)
        if error.status == HTTPStatus.UNAUTHORIZED:
            here = self.request.get_full_path() if self.request.method in ("GET", "HEAD") else "/"
            return self.see_other(f"{SIGN_IN}?{urlencode({'next': here})}" if here != "/" else SIGN_IN)
        return self.refused(error)

    def refused(self, error: HarborliteError) -> HttpResponse:
        """The page that says what went wrong, and what to do about it."""
        title, advice = ERRORS.get(error.status, ERRORS[400] if error.status < 500 else (_("Something broke"), ""))
        shown = {"error": error, "title": title, "advice": advice}
        response = self.page("error.html", shown, status=error.status)
        for name, value in error.headers.items():
            response.headers.setdefault(name, value)
        return response

    def _frame(self) -> dict[str, Any]:
        """What every page's frame needs."""
        request = self.request._request
        theme = request.COOKIES.get(THEME, "auto")
        return {
            "actor": self.actor,
            "section": self.section,
            "csrf": get_token(request),
            "theme": theme if theme in THEMES else "auto",
            "languages": settings.LANGUAGES,
            "language": translation.get_language(),
            "said": request.session.pop("said", "") if request.method == "GET" else "",
        }


@contextmanager
def spoken(request: HttpRequest) -> Iterator[None]:
    """Inside, texts are in the language that the browser's user chose, else in the first that the browser asks for."""
    chosen = request.COOKIES.get(LANGUAGE, "")
    known = {code for code, _name in settings.LANGUAGES}
    with translation.override(chosen if chosen in known else translation.get_language_from_request(request)):
        yield
