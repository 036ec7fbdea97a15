"""Signing in and out with a browser: Harbor's /c/login, /c/log_out and /c/userExists, which lie outside /api.

Other sites can make a browser send a form or follow a link, so all three want the token (accounts.sessions). Harbor
signs out on GET; here that is no allowed method, since a link in a mail must not do it.
"""

from django.http import HttpResponse, JsonResponse, QueryDict
from rest_framework.request import Request

from accounts import queries, services, sessions
from accounts.authentication import actor_of, authenticate_person
from harborlite import origin
from harborlite.errors import Precondition
from harborlite.rest.views import RestView
from system import config


class FormView(RestView):
    """Takes what an HTML form sends, from a browser that proves that it is no other site's."""

    def form(self) -> QueryDict:
        if self.request.auth in (None, "session"):
            sessions.require_token(self.request._request)
        return self.request._request.POST


class Login(FormView):
    authentication_classes = ()
    needs = {"POST": None}

    def post(self, request: Request) -> HttpResponse:
        form = self.form()
        user = authenticate_person(form.get("principal", ""), form.get("password", ""), is_told=True)
        origin.set_actor(actor_of(user))
        services.sign_in_recorded(user=user)
        sessions.begin(request._request, user)
        return self.done()


class LogOut(FormView):
    needs = {"POST": None}

    def post(self, request: Request) -> HttpResponse:
        self.form()
        if self.request.auth == "session":
            services.sign_out_recorded(username=self.actor.username)
            sessions.end(request._request)
        return self.done()


class UserExists(FormView):
    needs = {"POST": None}

    def post(self, request: Request) -> HttpResponse:
        form = self.form()
        if not self.actor.is_admin:
            if not config.get("self_registration"):
                raise Precondition("self registration deactivated, only sysadmin can check user existence")
            services.probe_count()
        return JsonResponse(queries.user_exists(form.get("target", ""), form.get("value", "")), safe=False)
