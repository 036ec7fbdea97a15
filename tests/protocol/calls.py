"""Rows of the protocol tables: a request, and the status, headers and body that must come back.

Texts of a row hold `$names` of a scene: what the test prepared, and what earlier rows' Location headers said:
`$location` is the upload session, `$pulls` what was made. So rows in turn tell a whole upload. What must hold for
every answer of /v2 is checked for each.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from tests.factories import World
from tests.ociclient import Client
from tests.wire import Answer, bearer, raw

CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    }
)
"""The spec's table of error codes."""

Scene = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request and what must come back."""

    request: str
    """METHOD PATH"""
    status: int | tuple[int, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str = b""
    """The request's body; a text names it in the scene."""
    expect: Mapping[str, str | None] = field(default_factory=dict)
    """The answer's headers: a text, `~` and an expression that matches all of it, or None for absent."""
    code: str = ""
    """Of the error envelope."""
    content: str = ""
    """The answer's body, by its name in the scene."""
    chunked: bool = False

    def play(self, client: Client, scene: Scene) -> Answer:
        """The answer, which is as the row says."""
        method, _, path = self.request.partition(" ")
        body = scene[self.body] if isinstance(self.body, str) else self.body
        headers = {name: _filled(value, scene) for name, value in self.headers.items()}
        if method in ("PATCH", "POST", "PUT"):
            headers.setdefault("Content-Type", "application/octet-stream")
        target = _filled(path, scene)
        answer = client.request(method, target, headers=headers, body=body, chunked=self.chunked)
        told = f"{method} {target}\n{answer}"
        wanted = self.status if isinstance(self.status, tuple) else (self.status,)
        assert answer.status in wanted, told
        check(method, answer)
        if self.code:
            assert answer.codes == ([self.code] if method != "HEAD" else []), told
        for name, value in self.expect.items():
            _check_header(answer, name, value, scene, told)
        if self.content:
            assert answer.body == scene[self.content], told
        if location := answer.headers.get("Location"):
            scene["location" if "/blobs/uploads/" in location else "pulls"] = location
        return answer


def play(client: Client, scene: Scene, calls: Iterable[Call]) -> list[Answer]:
    """The rows in turn."""
    return [call.play(client, scene) for call in calls]


def check(method: str, answer: Answer) -> None:
    """What holds for every answer of /v2 (C-04, C-11, C-12)."""
    assert answer.status < 500, answer
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["X-Request-Id"])
    assert "Content-Encoding" not in answer.headers
    if method == "HEAD":
        assert answer.body == b""
    elif answer.status >= 400:
        check_envelope(answer)


def check_envelope(answer: Answer) -> None:
    """{"errors": [{"code", "message", "detail"}]} with the spec's codes."""
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json()) == {"errors"}
    for entry in answer.json()["errors"]:
        assert {"code", "message"} <= set(entry) <= {"code", "message", "detail"}
        assert entry["code"] in CODES
        assert isinstance(entry["message"], str)
        assert entry["message"]


def _filled(text: str, scene: Scene) -> str:
    return Template(text).substitute({name: value for name, value in scene.items() if not isinstance(value, bytes)})


def _check_header(answer: Answer, name: str, value: str | None, scene: Scene, told: str) -> None:
    got = answer.headers.get(name)
    if value is None:
        assert got is None, f"{name}: {got}\n{told}"
        return
    assert got is not None, f"no {name}\n{told}"
    if value.startswith("~"):
        pattern = _filled(value[1:], {key: re.escape(str(text)) for key, text in scene.items()})
        assert re.fullmatch(pattern, got), f"{name}: {got}\n{told}"
    else:
        assert got == _filled(value, scene), f"{name}: {got}\n{told}"


def pull(world: World, repository: str, token: str) -> Answer:
    """One read of the tag v1 with a token."""
    return raw(world.url, "GET", f"/v2/{repository}/manifests/v1", bearer(token))
