"""Pages of accounts: signing in and out, and what a browser's user likes to see."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts import queries, services, sessions
from accounts.authentication import actor_of, authenticate_person
from harborlite import origin
from harborlite.console.pages import LANGUAGE, THEME, THEMES, PageView
from harborlite.errors import BadRequest, TooManyRequests, Unauthorized

YEAR = 365 * 24 * 3600


class SignIn(PageView):
    authentication_classes = ()
    needs = {"GET": None, "POST": None}

    def get(self, request: Request) -> HttpResponse:
        if sessions.user_of(request._request) is not None:
            return self.see_other(self.following())
        return self._form()

    def post(self, request: Request) -> HttpResponse:
        sessions.require_token(request._request)
        form = self.form()
        principal, following = form.get("principal", ""), self.following()
        try:
            user = authenticate_person(principal, form.get("password", ""), is_told=True)
        except Unauthorized:
            return self._form(_("The username or the password is not right."), principal)
        except TooManyRequests as error:
            return self._form(
                _("Too many wrong passwords. Wait some minutes, then try again."), principal, error.status
            )
        origin.set_actor(actor_of(user))
        services.sign_in_recorded(user=user)
        sessions.begin(request._request, user)
        return self.see_other(following)

    def _form(self, problem: str = "", principal: str = "", status: int = HTTPStatus.OK) -> HttpResponse:
        shown = {
            "problem": problem,
            "principal": principal,
            "following": self.following(),
            "is_first": queries.is_only_one(),
        }
        return self.page("accounts/login.html", shown, status=status)


class SignOut(PageView):
    needs = {"POST": None}

    def post(self, request: Request) -> HttpResponse:
        if self.actor.kind == "user":
            services.sign_out_recorded(username=self.actor.username)
            sessions.end(request._request)
        return self.see_other("/login")


class Account(PageView):
    needs = {"GET": None, "POST": None}
    section = "account"

    def get(self, request: Request) -> HttpResponse:
        names = {"auto": _("As the system"), "light": _("Light"), "dark": _("Dark")}
        return self.page("accounts/account.html", {"themes": [(theme, names[theme]) for theme in THEMES]})

    def post(self, request: Request) -> HttpResponse:
        sessions.require_token(request._request)
        form = self.form()
        language, theme = form.get("language", ""), form.get("theme", "")
        if language not in dict(settings.LANGUAGES) or theme not in THEMES:
            raise BadRequest(_("language and theme are to be chosen from the list"))
        response = self.see_other("/account")
        for name, value in ((LANGUAGE, language), (THEME, theme)):
            response.set_cookie(name, value, max_age=YEAR, samesite="Lax", httponly=True, secure=request.is_secure())
        return response
