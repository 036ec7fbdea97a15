"""A server with small limits: what one client may take of it (S-139, S-141, F-18, F-19).

How the web server cuts slow connections is tested with it (tests/harborlite); here is what the product makes of that.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.factories import World
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.product import Serve
from tests.protocol.calls import check
from tests.protocol.sockets import head_of
from tests.wire import connect, is_closed, raw, read_answer

SESSIONS = 20
IDLE = 2  # seconds
THREADS = 8


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Of a server of its own; the other fixtures build on it."""
    settings = {
        "HARBORLITE_UPLOADS_PER_ACTOR": str(SESSIONS),
        "HARBORLITE_IDLE_SECONDS": str(IDLE),
        "HARBORLITE_WEB_PROCESSES": "1",
        "HARBORLITE_WEB_THREADS": str(THREADS),
        "HARBORLITE_WORKER_PROCESSES": "1",
    }
    with Serve(settings) as server:
        made = World(server.url, server.env, server.admin_password)
        yield made
        made.close()


@pytest.fixture
def player(world: World) -> Client:
    """Somebody with a project of their own, so that no other test's sessions count."""
    account = world.user()
    client = world.client(account)
    world.home = world.project(owner=account)
    return client


def test_open_sessions_of_one_account_are_limited(world: World, player: Client) -> None:
    """S-139: others are not touched, and what is finished or cancelled does not count."""
    repository = world.repository()
    locations = [player.session_of(repository) for _ in range(SESSIONS)]
    answer = player.start(repository)
    check("POST", answer)
    assert (answer.status, answer.codes) == (429, ["TOOMANYREQUESTS"])
    assert int(answer.headers["Retry-After"]) > 0
    robot = world.client(world.robot(world.home))
    assert robot.start(repository).status == 202
    content = unique()
    assert player.finish(locations[0], sha256(content), content).status == 201
    assert player.request("DELETE", locations[1]).status == 204
    assert [player.start(repository).status for _ in range(3)] == [202, 202, 429]


def test_stalled_upload_is_cut_and_can_go_on(world: World, player: Client) -> None:
    """S-141: what had come is held, as the session says."""
    repository = world.repository()
    content = unique(200_000)
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    started = time.monotonic()
    with connect(world.url, timeout=4 * IDLE) as wire:
        wire.sendall(head_of(world, "PATCH", location, token, f"Content-Length: {len(content)}") + content[:100_000])
        answer = read_answer(wire, "PATCH")
        assert answer.status == 408
        assert is_closed(wire)
    assert IDLE <= time.monotonic() - started < 3 * IDLE
    held = player.request("GET", location).headers["Range"]
    offset = int(held.removeprefix("0-")) + 1 if held != "0-0" else 0
    assert offset <= 100_000
    assert player.append(location, content[offset:], content_range=f"{offset}-{len(content) - 1}").status == 202
    assert player.finish(location, sha256(content)).status == 201
    assert player.get_blob(repository, sha256(content)).body == content


def test_stalled_manifest_is_cut(world: World, player: Client) -> None:
    """S-141"""
    repository = world.repository()
    token = player.token_text(f"repository:{repository}:pull,push")
    with connect(world.url, timeout=4 * IDLE) as wire:
        wire.sendall(head_of(world, "PUT", f"/v2/{repository}/manifests/v1", token, "Content-Length: 1000") + b"{")
        assert read_answer(wire, "PUT").status == 408
        assert is_closed(wire)


def test_stalled_uploads_leave_the_server_to_others(world: World, player: Client) -> None:
    """F-18: more of them than there are threads, and the next client is served at once."""
    repository = world.repository()
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    head = head_of(world, "PATCH", location, token, "Content-Length: 100000000")
    with contextlib.ExitStack() as stack:
        for _ in range(2 * THREADS):
            wire = stack.enter_context(connect(world.url))
            wire.sendall(head + b"x" * 1000)
        threading.Event().wait(0.2)
        for _ in range(5):
            started = time.monotonic()
            assert raw(world.url, "GET", "/v2/").status == 401
            assert time.monotonic() - started < 1
        assert player.push_image(repository, "v1").digest


def test_upload_beyond_the_places_is_asked_to_come_again(world: World, player: Client) -> None:
    """429 with Retry-After, and nothing of its session is lost."""
    repository = world.repository()
    token = player.token_text(f"repository:{repository}:pull,push")
    locations = [player.session_of(repository) for _ in range(THREADS + 1)]
    with contextlib.ExitStack() as stack:
        wires = []
        for location in locations:
            wire = stack.enter_context(connect(world.url, timeout=4 * IDLE))
            wire.sendall(head_of(world, "PATCH", location, token, "Content-Length: 10000000") + b"x" * 200_000)
            wires.append(wire)
        statuses = [read_answer(wire, "PATCH").status for wire in wires]
    assert set(statuses) <= {408, 429}
    assert 429 in statuses
    assert 408 in statuses
    content = unique(2_000_000)
    refused = locations[statuses.index(429)]
    assert player.append(refused, content, content_range=f"0-{len(content) - 1}").status in (202, 416)
    assert player.request("GET", refused).status == 204
