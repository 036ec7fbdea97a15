"""Uploads that meet each other, or lose their client (C-32, F-16, F-17, F-19, S-131)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import World
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.protocol.calls import check
from tests.wire import connect, read_answer

SIZE = 2048


def test_clients_closing_one_digest_at_once_all_succeed(world: World, repository: str) -> None:
    """C-32, F-16"""
    content = unique(SIZE)
    digest = sha256(content)
    clients = [world.player() for _ in range(8)]
    locations = [client.append(client.session_of(repository), content).headers["Location"] for client in clients]
    barrier = threading.Barrier(len(clients))

    def close(client: Client, location: str) -> int:
        barrier.wait()
        return client.finish(location, digest).status

    with ThreadPoolExecutor(len(clients)) as pool:
        assert list(pool.map(close, clients, locations)) == [201] * len(clients)
    assert clients[0].get_blob(repository, digest).body == content


def test_first_layers_of_a_new_repository_in_parallel(world: World) -> None:
    """F-17"""
    repository = world.repository()
    clients = [world.player() for _ in range(8)]
    barrier = threading.Barrier(len(clients))
    for client in clients:
        client.tokens[(repository, "push")] = clients[0].token_text(f"repository:{repository}:pull,push")

    def push(client: Client) -> str:
        barrier.wait()
        return client.push_blob(repository, unique())

    with ThreadPoolExecutor(len(clients)) as pool:
        digests = set(pool.map(push, clients))
    assert all(clients[0].head_blob(repository, digest).status == 200 for digest in digests)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_of_two_writers_of_one_session_one_wins(player: Client, repository: str, method: str) -> None:
    """The slower one began when nothing was there. What was acknowledged meanwhile is neither lost nor mixed."""
    fast, slow = unique(1 << 20), unique(3 << 20)
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    target = f"{location}?digest={sha256(slow)}"
    head = f"{method} {target} HTTP/1.1\r\nHost: {player.host}\r\nAuthorization: Bearer {token}\r\n"
    with connect(player.url) as wire:
        wire.sendall(f"{head}Content-Length: {len(slow)}\r\n\r\n".encode() + slow[: 2 << 20])
        threading.Event().wait(0.3)  # by then it is being read: this is too long to be waited for whole
        assert player.append(location, fast).status == 202
        wire.sendall(slow[2 << 20 :])
        answer = read_answer(wire, method)
    check(method, answer)
    assert (answer.status, answer.codes) == (416, ["BLOB_UPLOAD_INVALID"])
    assert player.request("GET", location).headers["Range"] == f"0-{len(fast) - 1}"
    assert player.finish(location, sha256(fast)).status == 201
    assert player.get_blob(repository, sha256(fast)).body == fast
    assert player.head_blob(repository, sha256(slow)).status == 404


def test_of_two_that_finish_one_session_with_other_bytes_none_binds_the_wrong_ones(
    world: World, repository: str
) -> None:
    """Whoever is told 201 finds what they sent under its digest."""
    clients = [world.player() for _ in range(4)]
    for _ in range(5):
        contents = [unique(SIZE) for _ in clients]
        location = clients[0].session_of(repository)
        for client in clients:
            assert client.request("GET", location).status == 204
        barrier = threading.Barrier(len(clients))

        def finish(
            client: Client, content: bytes, location: str = location, barrier: threading.Barrier = barrier
        ) -> int:
            barrier.wait()
            return client.finish(location, sha256(content), content).status

        with ThreadPoolExecutor(len(clients)) as pool:
            statuses = list(pool.map(finish, clients, contents))
        assert set(statuses) <= {201, 400, 404, 416}
        for status, content in zip(statuses, contents, strict=True):
            answer = clients[0].get_blob(repository, sha256(content))
            assert (answer.status, answer.body == content) == ((200, True) if status == 201 else (404, False))


def test_disconnected_client_resumes_where_the_server_says(player: Client, repository: str) -> None:
    """F-19, S-131: a huge announcement and a cut connection; what the server names as held is held."""
    content = unique(300_000)
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    head = f"PATCH {location} HTTP/1.1\r\nHost: {player.host}\r\nAuthorization: Bearer {token}\r\n"
    with connect(player.url) as wire:
        wire.sendall(head.encode() + b"Content-Length: 1000000000000\r\n\r\n" + content[:100_000])
    offset = _settled_offset(player, location)
    assert offset <= 100_000
    answer = player.append(location, content[offset:], content_range=f"{offset}-{len(content) - 1}")
    assert answer.status == 202, answer
    assert player.finish(location, sha256(content)).status == 201
    assert player.get_blob(repository, sha256(content)).body == content


def test_cut_chunked_stream_is_no_success(player: Client, repository: str) -> None:
    """F-19: the framing's end is missing, so this is no whole body whatever has arrived."""
    content = unique(50_000)
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    head = (
        f"PUT {location}?digest={sha256(content)} HTTP/1.1\r\nHost: {player.host}\r\nAuthorization: Bearer {token}\r\n"
    )
    with connect(player.url) as wire:
        wire.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\nC350\r\n" + content + b"\r\n")
    for _ in range(20):
        assert player.head_blob(repository, sha256(content)).status == 404
        threading.Event().wait(0.01)
    answer = player.finish(location, sha256(content), content)
    assert answer.status in (201, 400)  # 400: part of the cut stream was kept, as after a PATCH


def _settled_offset(player: Client, location: str) -> int:
    """How many bytes the session holds once two looks in a row agree: the server notices a cut a moment later."""
    seen = -1
    for _ in range(200):
        answer = player.request("GET", location)
        assert answer.status == 204, answer
        last = int(answer.headers["Range"].removeprefix("0-"))
        now = last + 1 if last else 0
        if now == seen and now:
            return now
        seen = now
        threading.Event().wait(0.01)
    return seen


def test_refused_upload_is_not_read(player: Client, world: World) -> None:
    """What follows a refusal on the connection is not taken for a request: it may be the body that was not read."""
    repository = world.repository()
    inner = f"DELETE /v2/{repository}/manifests/latest HTTP/1.1\r\nHost: {player.host}\r\n\r\n".encode()
    head = (
        f"POST /v2/{repository}/blobs/uploads/?digest={sha256(inner)} HTTP/1.1\r\nHost: {player.host}\r\n"
        f"Content-Length: {10_000_000}\r\n\r\n"
    )
    with connect(player.url) as wire:
        wire.sendall(head.encode())
        answer = read_answer(wire, "POST")
        assert answer.status == 401
        wire.settimeout(5)
        assert wire.recv(1) == b"", "the connection stays open though the body was not read"
