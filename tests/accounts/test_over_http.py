"""What only the running product shows: several processes, connections, and headers as programs really send them."""

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest
import requests

from tests.factories import PASSWORD, Account, World, fresh
from tests.wire import TIMEOUT, KeepAlive, basic, raw

API = "/api/v2.0"
CSRF = "X-Harbor-CSRF-Token"
PROFILE = b'{"email": "%s@example.com", "realname": "A", "comment": ""}'


def login(world: World, account: Account) -> str:
    """The session id of somebody who signed in."""
    with requests.Session() as session:
        session.trust_env = False
        asked = session.get(f"{world.url}{API}/systeminfo", timeout=TIMEOUT)
        form = {"principal": account.login, "password": account.secret}
        answer = session.post(f"{world.url}/c/login", form, headers={CSRF: asked.headers[CSRF]}, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.content
        return session.cookies["sid"]


def test_terraform_sends_each_cookie_in_a_line_of_its_own(world: World) -> None:
    """Go's http.Header.Add; a comma between cookies would spoil the session's."""
    account = world.user()
    sid = login(world, account)
    path = f"{API}/users/{raw(world.url, 'GET', f'{API}/users/current', {'Cookie': f'sid={sid}'}).json()['user_id']}"
    body = PROFILE % fresh("mail").encode()
    first = raw(world.url, "PUT", path, {"Cookie": f"sid={sid}"}, body)
    assert first.status == 403
    # It reads the cookie up to its first equals sign and semicolon.
    name, secret = first.headers["Set-Cookie"].split(";")[0].split("=")
    assert name == "_gorilla_csrf"
    again = [("Cookie", f"sid={sid}"), ("Cookie", f"{name}={secret}")]
    second = raw(world.url, "PUT", path, [*again, (CSRF, first.headers[CSRF])], body)
    assert second.status == 200, second


@pytest.fixture
def connections(world: World) -> Iterator[list[KeepAlive]]:
    """Enough of them to meet every web process."""
    made = [KeepAlive(world.url) for _ in range(8)]
    yield made
    for connection in made:
        connection.close()


def ask(connection: KeepAlive, headers: Mapping[str, str], path: str = f"{API}/users/current") -> int:
    connection.headers = dict(headers)
    return connection.get(path).status


def test_a_session_ends_in_every_process_at_once(world: World, connections: list[KeepAlive]) -> None:
    """S-07"""
    account = world.user()
    headers = {"Cookie": f"sid={login(world, account)}"}
    assert [ask(connection, headers) for connection in connections] == [200] * 8
    world.clerk("user_set_password", username=account.login, password=f"{PASSWORD}9")
    assert [ask(connection, headers) for connection in connections] == [401] * 8


def test_a_door_closes_in_every_process_at_once(world: World, connections: list[KeepAlive]) -> None:
    """S-74: also to the password that each of them remembers."""
    account, other = world.user(), world.user()
    right, wrong = basic(account.login, account.secret), basic(account.login, "Wrong-Horse-7")
    assert [ask(connection, right) for connection in connections] == [200] * 8
    assert [ask(connection, wrong) for connection in connections] == [401] * 5 + [429] * 3
    assert [ask(connection, right) for connection in connections] == [429] * 8
    assert [ask(connection, right, "/v2/") for connection in connections] == [429] * 8
    assert ask(connections[0], basic(other.login, other.secret)) == 200
    with closing(world.client(account)) as client:
        answer = client.send("GET", "/service/token", headers=right)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) <= 61


def test_what_is_pulled_carries_no_cookie(world: World) -> None:
    """Answers to pulls are remembered and given to others."""
    image = world.player().push_image(world.repository(world.project(is_public=True)), "v1")
    for cookie in ("", f"sid={login(world, world.owner)}"):
        for _ in range(3):
            answer = raw(world.url, "GET", f"/v2/{image.repository}/manifests/v1", {"Cookie": cookie})
            assert answer.status == 200
            assert not {"Set-Cookie", CSRF} & set(answer.headers)
            assert "Cookie" not in answer.headers.get("Vary", "")
