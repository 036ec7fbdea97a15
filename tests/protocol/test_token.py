"""The version check, challenges and the token service (C-80, C-81, S-50..S-57, S-69)."""

import re
from datetime import datetime

import pytest

from tests.factories import PASSWORD, World
from tests.images import Image
from tests.protocol.calls import check, check_envelope, pull
from tests.wire import basic, bearer, raw

# The challenge.


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_version_check_challenges(world: World, path: str) -> None:
    """C-80"""
    answer = raw(world.url, "GET", path)
    check("GET", answer)
    assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{world.url}/service/token",service="harborlite"'


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
@pytest.mark.parametrize("how", ["basic", "token", "anonymous token"])
def test_version_check_greets_who_is_known(world: World, path: str, how: str) -> None:
    """C-80: docker login asks for a token without scopes and is content."""
    headers = {
        "basic": basic(world.owner.login, world.owner.secret),
        "token": bearer(world.player().token_text()),
        "anonymous token": bearer(world.client().token_text()),
    }[how]
    answer = raw(world.url, "GET", path, headers)
    check("GET", answer)
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/json", b"{}")


CHALLENGES = {
    "GET manifests/v1": "repository:$name:pull",
    "HEAD manifests/v1": "repository:$name:pull",
    "PUT manifests/v1": "repository:$name:pull,push",
    "DELETE manifests/v1": "repository:$name:delete",
    "GET tags/list": "repository:$name:pull",
    "POST blobs/uploads/": "repository:$name:pull,push",
    "C-81 POST blobs/uploads/?mount=$digest&from=other/source": (
        "repository:$name:pull,push repository:other/source:pull"
    ),
    "POST blobs/uploads/?mount=$digest": "repository:$name:pull,push",
    'POST blobs/uploads/?mount=$digest&from="x",error="y/z': "repository:$name:pull,push",
    "GET blobs/$digest": "repository:$name:pull",
    "DELETE blobs/$digest": "repository:$name:delete",
    "GET referrers/$digest": "repository:$name:pull",
}


@pytest.mark.parametrize("row", CHALLENGES)
def test_challenge_names_what_the_request_takes(world: World, image: Image, row: str) -> None:
    """C-80, C-81"""
    method, path = row.removeprefix("C-81 ").replace("$digest", image.digest).replace('"', "%22").split(" ", 1)
    answer = raw(world.url, method, f"/v2/{image.repository}/{path}")
    assert answer.status == 401
    scope = CHALLENGES[row].replace("$name", image.repository)
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="{world.url}/service/token",service="harborlite",scope="{scope}"'
    )


def test_catalog_challenge(world: World) -> None:
    answer = raw(world.url, "GET", "/v2/_catalog")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].endswith('scope="registry:catalog:*"')


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::2]", "a b", "127.0.0.1@evil"]
)
def test_realm_is_never_built_from_a_foreign_host(world: World, host: str) -> None:
    """S-96"""
    for headers in ({"Host": host}, {"X-Forwarded-Host": host}, {"Forwarded": f"host={host}"}):
        if "Host" in headers:
            answer = raw(world.url, "GET", "/v2/", [("Host", host)])
            assert answer.status == 400
        else:
            answer = raw(world.url, "GET", "/v2/", headers)
            assert f'realm="{world.url}/service/token"' in answer.headers["WWW-Authenticate"]
        assert "evil" not in str(answer)


# Tokens.


def test_answer_of_the_token_service(world: World) -> None:
    """C-80"""
    answer = world.player().token(f"repository:{world.home}/a:pull")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    document = answer.json()
    assert set(document) == {"token", "access_token", "expires_in", "issued_at"}
    assert document["token"] == document["access_token"]
    assert document["expires_in"] == 1800
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["issued_at"])
    assert abs((datetime.fromisoformat(document["issued_at"]) - datetime.now().astimezone()).total_seconds()) < 60


@pytest.mark.parametrize("how", ["several parameters", "one parameter"])
def test_scopes_in_either_form(world: World, how: str) -> None:
    """C-80"""
    client = world.player()
    images = [client.push_image(world.repository(), "v1") for _ in range(2)]
    scopes = [f"repository:{image.repository}:pull" for image in images]
    token = client.token_text(*scopes) if how == "several parameters" else client.token_text(" ".join(scopes))
    assert [pull(world, image.repository, token).status for image in images] == [200, 200]


def test_scopes_of_one_repository_add_up(world: World, image: Image) -> None:
    token = world.player().token_text(f"repository:{image.repository}:push", f"repository:{image.repository}:pull")
    assert pull(world, image.repository, token).status == 200


@pytest.mark.parametrize(("count", "length"), [(99, 40), (90, 150), (60, 240)])
def test_as_many_scopes_as_are_taken_give_a_token_that_works(world: World, count: int, length: int) -> None:
    """A token that does not fit a header would be no token."""
    client = world.player()
    image = client.push_image(world.repository(), "v1")
    names = (f"{world.home}/{number:02}{'x' * length}"[:length] for number in range(count))
    scopes = [f"repository:{name}:pull,push" for name in names]
    asked = " ".join([*scopes, f"repository:{image.repository}:pull,push"])
    form = f"grant_type=password&username={world.owner.login}&password={world.owner.secret}&scope={asked}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = raw(world.url, "POST", "/service/token", headers, form.encode())
    if answer.status == 200:
        assert pull(world, image.repository, answer.json()["token"]).status == 200
    else:
        assert answer.status == 400


def test_twenty_long_scopes_work(world: World) -> None:
    """A push that mounts from twenty repositories."""
    client = world.player()
    image = client.push_image(f"{world.repository()}/{'deep/' * 20}end", "v1")
    scopes = [f"repository:{world.repository()}/{'deep/' * 20}end:pull" for _ in range(20)]
    token = client.token_text(*scopes, f"repository:{image.repository}:pull,push")
    assert pull(world, image.repository, token).status == 200


@pytest.mark.parametrize("scopes", [["repository:a/b:pull"] * 500, ["repository:" + "a" * 65536 + "/b:pull"]])
def test_too_many_scopes_are_refused(world: World, scopes: list[str]) -> None:
    """S-54"""
    answer = raw(world.url, "GET", "/service/token?scope=" + "%20".join(scopes[:200]))
    assert answer.status in (400, 414, 431)


def test_five_hundred_scope_parameters_are_refused(world: World) -> None:
    """S-54: a short form, so that no limit of the request line hides ours."""
    answer = raw(world.url, "GET", "/service/token?" + "&".join(["scope=a:b:c"] * 500))
    assert answer.status == 400
    check_envelope(answer)


def test_form_of_oauth(world: World, image: Image) -> None:
    """containerd asks so."""
    scope = f"repository:{image.repository}:pull"
    form = f"grant_type=password&service=harborlite&client_id=test&username={world.owner.login}&password={PASSWORD}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = raw(world.url, "POST", "/service/token", headers, f"{form}&scope={scope}".encode())
    assert answer.status == 200, answer
    assert pull(world, image.repository, answer.json()["access_token"]).status == 200


REFUSED_FORMS = {
    "no form": (b"", 400),
    "another grant": (b"grant_type=refresh_token&refresh_token=x", 400),
    "wrong password": (b"grant_type=password&username=$user&password=wrong", 401),
    "nobody": (b"grant_type=password", 401),
    "no UTF-8": (b"grant_type=password&username=%ff&password=%fe\xff", 401),
    "NUL": (b"grant_type=password&username=a%00&password=b%00", 401),
    "too long": (b"grant_type=password&username=" + b"a" * 100_000, 413),
    "very many fields": (b"&".join([b"grant_type=password"] * 3000), 400),
}


@pytest.mark.parametrize("row", REFUSED_FORMS)
def test_form_that_is_refused(world: World, row: str) -> None:
    form, status = REFUSED_FORMS[row]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = raw(world.url, "POST", "/service/token", headers, form.replace(b"$user", world.user().login.encode()))
    assert answer.status == status, answer
    check_envelope(answer)
