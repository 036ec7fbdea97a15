"""What is hidden answers as what is not there (S-31, S-41, section 7.2)."""

import json

import pytest

from tests.factories import World
from tests.images import (
    sha256,
)
from tests.protocol.calls import check
from tests.protocol.tenants import Tenants
from tests.wire import Answer, basic, bearer, raw

HIDDEN = {
    "GET manifests/v1": b"",
    "HEAD manifests/v1": b"",
    "GET manifests/$digest": b"",
    "PUT manifests/v1": b"{}",
    "DELETE manifests/v1": b"",
    "GET blobs/$blob": b"",
    "HEAD blobs/$blob": b"",
    "DELETE blobs/$blob": b"",
    "GET tags/list": b"",
    "GET tags/list?n=1": b"",
    "GET referrers/$digest": b"",
    "POST blobs/uploads/": b"",
    "POST blobs/uploads/?mount=$blob&from=$name": b"",
    "GET blobs/uploads/$session": b"",
    "HEAD blobs/uploads/$session": b"",
    "PATCH blobs/uploads/$session": b"x",
    "PUT blobs/uploads/$session?digest=$blob": b"x",
    "DELETE blobs/uploads/$session": b"",
    "OPTIONS manifests/v1": b"",
    "POST manifests/v1": b"",
}
OUTSIDERS = ["nobody", "anonymous token", "user", "user with a token", "robot", "robot with a token"]


def _credentials(world: World, tenants: Tenants, who: str, scope: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    if who == "anonymous token":
        return bearer(world.client().token_text(scope))
    account = world.robot(tenants.here.partition("/")[0]) if who.startswith("robot") else world.owner
    if who.endswith("with a token"):
        return bearer(world.client(account).token_text(scope))
    return basic(account.login, account.secret)


def _told(answer: Answer, name: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that a caller can compare, the name apart."""
    headers = {
        key.lower(): value.replace(name, "NAME")
        for key, value in answer.headers.items()
        if key.lower() not in ("date", "x-request-id")
    }
    return answer.status, headers, answer.body.replace(name.encode(), b"NAME")


@pytest.mark.parametrize("who", OUTSIDERS)
def test_hidden_repository_answers_as_one_that_does_not_exist(world: World, tenants: Tenants, who: str) -> None:
    """7.2: whole answers are the same, for a missing project, a missing repository and a missing tag too."""
    hidden = tenants.secret.repository
    project, path = hidden.split("/")
    session = tenants.b.session_of(hidden).rpartition("/")[2]
    others = {
        "no such project": f"{'x' * len(project)}/{path}",
        "no such repository": f"{project}/{'x' * len(path)}",
    }
    for request, body in HIDDEN.items():
        method, template = request.split(" ", 1)
        target = (
            template.replace("$digest", tenants.secret.digest)
            .replace("$blob", sha256(tenants.secret.layers[0]))
            .replace("$session", session)
        )

        def ask(name: str, target: str = target, method: str = method, body: bytes = body) -> tuple[object, ...]:
            headers = _credentials(world, tenants, who, f"repository:{name}:pull,push,delete")
            answer = raw(world.url, method, f"/v2/{name}/{target.replace('$name', name)}", headers, body)
            check(method, answer)
            return _told(answer, name)

        seen = ask(hidden)
        assert seen[0] in (401, 403, 405) or method == "OPTIONS", (request, seen)
        for row, name in others.items():
            assert ask(name) == seen, f"{request}: {row}"
        if "v1" in target:
            assert ask(hidden, target.replace("v1", "v9")) == seen, request


@pytest.mark.parametrize("who", ["nobody", "user", "robot"])
def test_tokens_do_not_tell_hidden_projects_from_missing_ones(world: World, tenants: Tenants, who: str) -> None:
    """A client can read its token: what was asked and not granted looks alike."""
    import base64

    headers = _credentials(world, tenants, who, "")
    hidden = tenants.secret.repository
    project, path = hidden.split("/")
    payloads = set()
    for name in (hidden, f"{'x' * len(project)}/{path}", f"{project}/{'x' * len(path)}"):
        answer = raw(world.url, "GET", f"/service/token?scope=repository:{name}:pull,push,delete", headers)
        assert answer.status == 200
        payload = answer.json()["token"].split(":")[0]
        if payload.startswith("."):
            import zlib

            text = zlib.decompress(base64.urlsafe_b64decode(payload[1:] + "==")).decode()
        else:
            text = base64.urlsafe_b64decode(payload + "==").decode()
        document = json.loads(text)
        document.pop("e", None)
        payloads.add(json.dumps(document).replace(name, "NAME"))
    assert len(payloads) == 1


@pytest.mark.parametrize("who", ["user", "robot"])
def test_mounts_do_not_tell_hidden_sources_from_missing_ones(world: World, tenants: Tenants, who: str) -> None:
    """S-41"""
    client = tenants.a if who == "user" else world.client(world.robot(tenants.here.partition("/")[0]))
    digest = sha256(tenants.secret.layers[0])
    project, path = tenants.secret.repository.split("/")
    answers = []
    for source in (tenants.secret.repository, f"{'x' * len(project)}/{path}", f"{project}/{'x' * len(path)}"):
        answer = client.mount(tenants.here, digest, source)
        location = answer.headers["Location"]
        identity = answer.headers["Docker-Upload-UUID"]
        status, headers, body = _told(answer, location)
        answers.append((status, {k: v.replace(identity, "ID") for k, v in headers.items()}, body))
    assert answers[0] == answers[1] == answers[2]
