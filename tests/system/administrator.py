"""An administrator who calls the REST API in this process: the views, the database, and what lies between."""

import json
from base64 import b64encode
from typing import Any

from django.test import Client

from accounts.services import token_issue, user_create
from system.models import Event

ROOT = "/api/v2.0"


class Administrator:
    """`boss`; what it took to make them is no event."""

    def __init__(self) -> None:
        user = user_create(username="boss", password=None, is_admin=True)
        _, secret = token_issue(user=user, name="tests")
        credentials = b64encode(f"{user.login}:{secret}".encode()).decode()
        self.client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Basic {credentials}"})
        Event.objects.all().delete()

    def __call__(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """The answer, which must have this status; `path` is one under the root, or a Location."""
        content = json.dumps(body) if body is not None else ""
        path = path if path.startswith(ROOT) else ROOT + path
        answer = self.client.generic(method, path, content, content_type="application/json" if content else "")
        assert answer.status_code == status, answer.content
        return answer

    def get(self, path: str) -> Any:
        return self("GET", path).json()

    def text(self, path: str) -> str:
        answer = self("GET", path)
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        return b"".join(answer.streaming_content).decode()

    def refused(self, method: str, path: str, body: object, *, status: int = 400) -> str:
        """What the refusal says."""
        (error,) = self(method, path, body, status=status).json()["errors"]
        assert error["code"] == {400: "BAD_REQUEST", 404: "NOT_FOUND", 409: "CONFLICT"}[status]
        return str(error["message"])


def told() -> list[tuple[str, str, str]]:
    """What the administrator did since then: what, to what kind of thing, and which."""
    done = Event.objects.filter(username="boss").order_by("pk")
    return [(event.operation, event.resource_type, event.resource) for event in done]
