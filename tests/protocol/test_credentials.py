"""Credentials and tokens that are wrong, forged or for something else (S-50..S-57, S-69)."""

import pytest

from tests.factories import PASSWORD, PULL, World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.protocol.calls import check, check_envelope, pull
from tests.wire import basic, bearer, raw

WRONG = {
    "wrong password": basic("$user", "wrong"),
    "nobody": basic("nobody-$user", PASSWORD),
    "empty password": basic("$user", ""),
    "empty": basic("", ""),
    "a bearer": bearer("x"),
    "no base64": {"Authorization": "Basic !!!"},
    "no colon": {"Authorization": "Basic YQ=="},
    "not UTF-8": {"Authorization": "Basic /zr/"},
    "only a scheme": {"Authorization": "Basic"},
    "another scheme": {"Authorization": "Digest username=x"},
    "NUL": basic("a\0", "b\0"),
    "very long": basic("a" * 3000, "b" * 3000),
}


@pytest.mark.parametrize("row", WRONG)
def test_wrong_credentials_are_an_error_and_never_an_anonymous_token(world: World, row: str) -> None:
    if row in ("wrong password", "empty password"):
        headers = basic(world.user().login, {"wrong password": "wrong", "empty password": ""}[row])
    else:
        headers = WRONG[row]
    answer = raw(world.url, "GET", "/service/token?scope=repository:a/b:pull", headers)
    assert answer.status == 401, answer
    check_envelope(answer)
    assert "token" not in answer.json()
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("row", WRONG)
def test_wrong_credentials_are_refused_on_v2(world: World, image: Image, row: str) -> None:
    headers = basic(world.user().login, "wrong") if row == "wrong password" else WRONG[row]
    for path in ("/v2/", f"/v2/{image.repository}/manifests/v1"):
        answer = raw(world.url, "GET", path, headers)
        check("GET", answer)
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


FORGED = {
    "nonsense": "nonsense",
    "empty": "",
    "a JWT with no signature": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    "long": "a" * 7000,
    "dots": "a:b:c:d",
    "altered payload": "A$payload:$stamp:$signature",
    "altered signature": "$payload:$stamp:A$signature",
    "no signature": "$payload:$stamp:",
    "another stamp": "$payload:1abcde:$signature",
    "compressed": ".$payload:$stamp:$signature",
    "cut": "$cut",
    "two": "$whole $whole",
    "percent": "%00%ff",
}


@pytest.mark.parametrize("row", FORGED)
def test_altered_token_is_refused(world: World, image: Image, row: str) -> None:
    """S-69 and what is left of S-58..S-68 for a token that is no JWT."""
    whole = world.player().token_text(f"repository:{image.repository}:pull")
    payload, stamp, signature = whole.split(":")
    text = FORGED[row].replace("$payload", payload).replace("$stamp", stamp).replace("$signature", signature)
    text = text.replace("$whole", whole).replace("$cut", whole[:-1])
    answer = pull(world, image.repository, text)
    check("GET", answer)
    assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])


def test_expired_token_is_refused(world: World, image: Image) -> None:
    """S-65: at its second, and the challenge asks for a new one."""
    scope = f"repository:{image.repository}:pull"
    good, expired = (
        world.clerk("token_of", username=world.owner.login, scope=scope, seconds=seconds) for seconds in (60, 0)
    )
    assert pull(world, image.repository, good).status == 200
    for path in ("/v2/", "/v2/_catalog", f"/v2/{image.repository}/manifests/v1"):
        answer = raw(world.url, "GET", path, bearer(expired))
        check("GET", answer)
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_very_long_token_is_refused(world: World, image: Image) -> None:
    """S-69"""
    assert pull(world, image.repository, "a" * 20_000).status in (400, 401, 431)


def test_token_of_other_characters_is_refused(world: World, image: Image) -> None:
    """S-69"""
    answer = pull(world, image.repository, "é￿".encode().decode("latin-1"))
    assert answer.status in (400, 401)


# What a token is good for.

OTHER_NAMES = ["{}x", "{}/y", "{}-y", "other/{}"]


@pytest.mark.parametrize("other", OTHER_NAMES)
def test_token_for_another_name_is_refused(world: World, image: Image, other: str) -> None:
    """S-52"""
    client = world.player()
    name = other.format(image.repository)
    token = client.token_text(f"repository:{image.repository}:pull,push")
    answer = pull(world, name, token)
    check("GET", answer)
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("spelling", ["upper", "encoded", "dots", "doubled"])
def test_other_spellings_of_the_name_are_refused(world: World, image: Image, spelling: str) -> None:
    """S-52"""
    project, path = image.repository.split("/")
    name = {
        "upper": f"{project}/{path.upper()}",
        "encoded": f"{project}%2f{path}",
        "dots": f"x/../{project}/{path}",
        "doubled": f"{project}//{path}",
    }[spelling]
    token = world.player().token_text(f"repository:{image.repository}:pull")
    assert pull(world, name, token).status in (400, 401, 404)


PULL_ONLY = {
    "POST blobs/uploads/": b"",
    "POST blobs/uploads/?digest=$digest": b"blob",
    "POST blobs/uploads/?mount=$digest": b"",
    "PUT manifests/v2": b"{}",
    "DELETE manifests/v1": b"",
    "DELETE blobs/$digest": b"",
    "PATCH blobs/uploads/$session": b"blob",
    "PUT blobs/uploads/$session?digest=$digest": b"blob",
    "GET blobs/uploads/$session": b"",
    "DELETE blobs/uploads/$session": b"",
}


@pytest.mark.parametrize("row", PULL_ONLY)
def test_pull_token_only_pulls(world: World, image: Image, row: str) -> None:
    """S-51, S-55"""
    client = world.player()
    session = client.session_of(image.repository).rpartition("/")[2]
    method, path = row.replace("$digest", image.digest).replace("$session", session).split(" ")
    token = client.token_text(f"repository:{image.repository}:pull")
    answer = raw(world.url, method, f"/v2/{image.repository}/{path}", bearer(token), PULL_ONLY[row])
    assert answer.status == 401, answer
    action = "delete" if method == "DELETE" and "uploads" not in path else "pull,push"
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.endswith(',error="insufficient_scope"')
    assert f"repository:{image.repository}:{action}" in challenge
    assert pull(world, image.repository, token).status == 200


def test_push_token_does_not_delete(world: World, image: Image) -> None:
    """S-55"""
    token = world.player().token_text(f"repository:{image.repository}:pull,push")
    answer = raw(world.url, "DELETE", f"/v2/{image.repository}/manifests/v1", bearer(token))
    assert answer.status == 401


@pytest.mark.parametrize("actions", ["*", "pull,push,delete", "delete,push,pull,nonsense"])
def test_all_actions_at_once(world: World, actions: str) -> None:
    """Clients of the OCI suite ask for `*`."""
    client = world.player()
    image = client.push_image(world.repository(), "v1")
    token = client.token_text(f"repository:{image.repository}:{actions}")
    assert raw(world.url, "DELETE", f"/v2/{image.repository}/manifests/v1", bearer(token)).status == 202


NO_SCOPES = [
    "repository:*:*",
    "repository:$project/*:pull",
    "repository:$project/../$name:pull",
    "repository:$name",
    "repository:$name:",
    "repository:$name:,",
    "repository:$name:PULL",
    "repository::pull",
    "REPOSITORY:$name:pull",
    "registry:catalog:*",
    "unknown:$name:pull",
    "$name:pull",
    "$name",
    ":",
    "",
    "%00",
    "repository:$name%00:pull",
]


@pytest.mark.parametrize("scope", NO_SCOPES)
def test_odd_scope_grants_nothing(world: World, image: Image, scope: str) -> None:
    """S-53"""
    project = image.repository.partition("/")[0]
    asked = scope.replace("$name", image.repository).replace("$project", project)
    headers = basic(world.owner.login, world.owner.secret)
    answer = raw(world.url, "GET", f"/service/token?scope={asked}", headers)
    assert answer.status == 200, answer
    for method, path in (("GET", "manifests/v1"), ("DELETE", "manifests/v1"), ("POST", "blobs/uploads/")):
        target = f"/v2/{image.repository}/{path}"
        assert raw(world.url, method, target, bearer(answer.json()["token"])).status == 401


def test_no_scope_makes_the_catalog_show_more(world: World, image: Image) -> None:
    """S-53"""
    outsider = world.client(world.user())
    token = outsider.token_text("registry:catalog:*", "repository:*:*")
    answer = raw(world.url, "GET", "/v2/_catalog?n=10000", bearer(token))
    assert answer.status == 200
    assert image.repository not in answer.json()["repositories"]


def test_token_is_no_password(world: World, image: Image) -> None:
    """S-57"""
    token = world.player().token_text(f"repository:{image.repository}:pull")
    for headers in (basic(world.user().login, token), basic(token, ""), {"Cookie": f"sessionid={token}"}):
        assert raw(world.url, "GET", f"/v2/{image.repository}/manifests/v1", headers).status == 401


def test_credentials_count_in_their_header_only(world: World, image: Image) -> None:
    token = world.player().token_text(f"repository:{image.repository}:pull")
    path = f"/v2/{image.repository}/manifests/v1"
    for query in (f"token={token}", f"access_token={token}"):
        assert raw(world.url, "GET", f"{path}?{query}").status == 401
    for headers in ({"X-Authorization": f"Bearer {token}"}, {"Proxy-Authorization": f"Bearer {token}"}):
        assert raw(world.url, "GET", path, headers).status == 401


def test_method_override_is_ignored(world: World, image: Image) -> None:
    """S-167"""
    client = world.player()
    token = client.token_text(f"repository:{image.repository}:pull,push,delete")
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = {**bearer(token), header: "DELETE"}
        assert raw(world.url, "GET", f"/v2/{image.repository}/manifests/v1", headers).status == 200
        assert raw(world.url, "POST", f"/v2/{image.repository}/manifests/v1?_method=DELETE", headers).status == 405
    assert client.head_manifest(image.repository, "v1").status == 200


def test_personal_access_token_signs_in(world: World, image: Image) -> None:
    secret = world.clerk("token_issue", username=world.owner.login, name=fresh("token"))
    client = Client(world.url, world.owner.login, secret)
    assert client.pull(image.repository, "v1")[image.digest] == image.content
    client.close()


def test_robot_that_pulls_does_not_push(world: World, image: Image) -> None:
    """S-51"""
    client = world.client(world.robot(world.home, PULL))
    client.pull(image.repository, "v1")
    answer = client.start(image.repository)
    check("POST", answer)
    assert (answer.status, answer.codes) == (403, ["DENIED"])
