"""A browser, and programs without one, that talk to the product in this process."""

import json
from http.cookies import Morsel
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from tests.wire import basic

PASSWORD = "Correct-Horse-7"
API = "/api/v2.0"
CSRF = "X-Harbor-CSRF-Token"


class Browser:
    """It keeps cookies, and sends the token of the last answer with every change unless told otherwise."""

    def __init__(self, address: str = "127.0.0.1", *, is_secure: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=True, REMOTE_ADDR=address)
        self.is_secure = is_secure
        self.token = ""

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        has_token: bool = True,
    ) -> HttpResponse:
        """`path` is one under /api/v2.0 unless it starts with /c/; `body` becomes JSON."""
        sent = {CSRF: self.token} if has_token and self.token else {}
        options: dict[str, Any] = {}
        if form is not None:
            options = {"data": "&".join(f"{key}={value}" for key, value in form.items())}
            options["content_type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            options = {"data": body if isinstance(body, bytes) else json.dumps(body).encode()}
            options["content_type"] = "application/json"
        response: HttpResponse = self.client.generic(  # type: ignore[assignment]
            method,
            path if path.startswith(("/c/", API)) else API + path,
            headers={**sent, **(headers or {})},
            secure=self.is_secure,
            **options,
        )
        self.token = response.headers.get(CSRF, self.token)
        return response

    def get(self, path: str, **options: Any) -> HttpResponse:
        return self.request("GET", path, **options)

    def login(self, username: str, password: str = PASSWORD) -> HttpResponse:
        """As a person does it: the page first."""
        self.get("/systeminfo")
        return self.request("POST", "/c/login", form={"principal": username, "password": password})

    def cookie(self, name: str) -> "Morsel[str]":
        return self.client.cookies[name]

    @property
    def sid(self) -> str:
        return self.cookie("sid").value if "sid" in self.client.cookies else ""


class Program:
    """It sends one account's, or nobody's, credentials by Basic, and throws cookies away."""

    def __init__(self, user: User | str | None = None, secret: str = PASSWORD, address: str = "127.0.0.1") -> None:
        login = user.login if isinstance(user, User) else user
        self.credentials = basic(login, secret) if login is not None else {}
        self.address = address

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        one = Browser(self.address)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return one.request(method, path, body, headers={**self.credentials, **sent}, has_token=False)
