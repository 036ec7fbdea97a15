"""Calls the REST API as members of the company, in this process: the views, the database, and what lies between."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from accounts.models import User
from accounts.services import token_issue
from projects.models import Robot
from projects.services.robots import robot_refresh_secret
from tests.projects.company import Company

ROOT = "/api/v2.0"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> str:
        """The first error's message."""
        return str(self.body["errors"][0]["message"])

    @property
    def code(self) -> str:
        return str(self.body["errors"][0]["code"])


class Caller:
    """Everybody in the company signs in when they first call: people with an access token, robots with a secret."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self._client = Client(raise_request_exception=False)
        self._credentials: dict[str, str] = {"anonymous": ""}

    def __call__(
        self, name: str, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str
    ) -> Answer:
        if name not in self._credentials:
            self._credentials[name] = self._sign_in(name)
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        if self._credentials[name]:
            given["Authorization"] = self._credentials[name]
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        response = self._client.generic(
            method, ROOT + path, content, content_type="application/json" if content else "", headers=given
        )
        text = response.content.decode()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return Answer(response.status_code, dict(response.headers), json.loads(text) if is_json and text else text)

    def get(self, name: str, path: str, **headers: str) -> Answer:
        return self(name, "GET", path, **headers)

    def signed_in_as(self, name: str, login: str, secret: str) -> None:
        """From now on `name` calls with these credentials."""
        self._credentials[name] = "Basic " + base64.b64encode(f"{login}:{secret}".encode()).decode()

    def _sign_in(self, name: str) -> str:
        actor = self.company.actors[name]
        if actor.kind == "robot":
            robot = Robot.objects.select_related("user", "project").get(user=actor.user_id)
            secret = robot_refresh_secret(robot=robot)
        else:
            _token, secret = token_issue(user=User.objects.get(pk=actor.user_id), name="tests")
        self.signed_in_as(name, actor.username, secret)
        return self._credentials[name]
