"""Clients that meet each other in one moment (F-16, F-17, F-25): one order of events, no error of the server's own."""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.crash.scene import (
    Scene,
    Sending,
    assert_blob,
    assert_chain,
    at_once,
    image_of,
    index_of,
    offset_of,
    tagged,
)
from tests.images import OCI_INDEX, sha256, unique
from tests.ociclient import HOW, Client
from tests.product import wait_for
from tests.wire import Answer

ROUNDS = 100
BODY = 200_000  # bytes; more than the server collects before it begins with a request


@pytest.fixture(autouse=True)
def _quiet_and_tidy(scene: Scene) -> Iterator[None]:
    """No test here makes the server report an error, nor leaves anything behind."""
    with scene.quietly():
        yield
    scene.assert_tidy()


def test_one_blob_pushed_by_50_clients_at_once(scene: Scene, repository: str) -> None:
    """F-16: all succeed, one row and one object stay."""
    clients, content = scene.crowd(repository, 50), unique(BODY)
    ways = itertools.cycle(HOW)
    answers = at_once(partial(HOW[next(ways)], client, repository, content, sha256(content)) for client in clients)
    assert {answer.status for answer in answers} == {201}, [str(answer) for answer in answers]
    assert scene.janitor("blob_rows", digest=sha256(content)) == 1
    assert_blob(clients[0], repository, sha256(content), content)
    scene.assert_tidy()
    assert_blob(clients[0], repository, sha256(content), content)


def test_one_blob_pushed_into_50_repositories_at_once(scene: Scene) -> None:
    """F-16: as layers that many images share."""
    content, digest = unique(BODY), ""
    repositories = [scene.world.repository() for _ in range(50)]
    clients = [scene.crowd(name, 1)[0] for name in repositories]
    pushes = zip(clients, repositories, strict=True)
    at_once(partial(client.push_blob, name, content) for client, name in pushes)
    digest = sha256(content)
    assert scene.janitor("blob_rows", digest=digest) == 1
    scene.assert_tidy()
    for client, name in zip(clients, repositories, strict=True):
        assert client.get_blob(name, digest).body == content


def test_one_manifest_pushed_by_50_clients_at_once(scene: Scene, repository: str) -> None:
    """F-16: all succeed, the tag moved once."""
    clients, config, layer = scene.crowd(repository, 50), unique(), unique()
    for content in (config, layer):
        clients[0].push_blob(repository, content)
    document = image_of(config, layer)
    answers = at_once(partial(client.push_manifest, repository, "latest", document) for client in clients)
    assert {answer.status for answer in answers} == {201}, [str(answer) for answer in answers]
    moves = scene.janitor("moves_of", repository=repository)
    assert [move[:3] for move in moves] == [["latest", None, sha256(document)]]
    assert len(clients[0].pull(repository, "latest")) == 3


def test_first_layers_of_a_new_repository_in_parallel(scene: Scene) -> None:
    """F-17: the repository is made by 20 pushes at once, and is there once."""
    for _ in range(5):
        repository = scene.world.repository()
        layers = [unique() for _ in range(20)]
        pushes = zip(scene.crowd(repository, 20), layers, strict=True)
        at_once(partial(client.push_blob, repository, layer) for client, layer in pushes)
        assert scene.janitor("repository_rows", name=repository) == 1
        player = scene.world.player()
        assert all(player.get_blob(repository, sha256(layer)).body == layer for layer in layers)


def push_images(client: Client, repository: str, count: int) -> list[bytes]:
    """Manifests that the repository holds, without a tag."""
    documents = []
    for _ in range(count):
        config = unique()
        client.push_blob(repository, config)
        document = image_of(config)
        assert client.push_manifest(repository, sha256(document), document).status == 201
        documents.append(document)
    return documents


def test_moves_of_one_tag_form_one_chain(scene: Scene, repository: str) -> None:
    clients = scene.crowd(repository, 8)
    documents = push_images(clients[0], repository, len(clients))

    def move(client: Client, first: int) -> set[int]:
        pushed = [documents[(first + step) % len(documents)] for step in range(ROUNDS // 10)]
        return {client.push_manifest(repository, "latest", document).status for document in pushed}

    statuses = at_once(partial(move, client, first) for first, client in enumerate(clients))
    assert set.union(*statuses) == {201}
    moves = scene.janitor("moves_of", repository=repository)
    assert_chain(moves, "latest", tagged(clients[0], repository, "latest"))


def test_tag_pushed_while_it_is_deleted(scene: Scene, repository: str) -> None:
    clients = scene.crowd(repository, 6)
    documents = push_images(clients[0], repository, 2)

    def push(client: Client, document: bytes) -> set[int]:
        return {client.push_manifest(repository, "latest", document).status for _ in range(ROUNDS // 3)}

    def delete(client: Client) -> set[int]:
        return {client.delete(repository, "latest").status for _ in range(ROUNDS // 3)}

    pushes = [partial(push, client, documents[number % 2]) for number, client in enumerate(clients[:4])]
    statuses = at_once([*pushes, *(partial(delete, client) for client in clients[4:])])
    assert set.union(*statuses[:4]) == {201}
    assert set.union(*statuses[4:]) <= {202, 404}
    moves = scene.janitor("moves_of", repository=repository)
    assert_chain(moves, "latest", tagged(clients[0], repository, "latest"))


def test_manifest_pushed_while_its_layer_is_deleted(scene: Scene, repository: str) -> None:
    """One of the two is told that it came too late."""
    pusher, deleter = scene.crowd(repository, 2)
    config = unique()
    pusher.push_blob(repository, config)
    for _ in range(ROUNDS):
        layer = unique()
        pusher.push_blob(repository, layer)
        document = image_of(config, layer)
        pushed, deleted = at_once(
            [
                partial(pusher.push_manifest, repository, "latest", document),
                partial(deleter.delete, repository, sha256(layer), "blobs"),
            ]
        )
        assert_one_won(pushed, deleted)


def test_index_pushed_while_its_child_is_deleted(scene: Scene, repository: str) -> None:
    pusher, deleter = scene.crowd(repository, 2)
    for _ in range(ROUNDS // 2):
        (child,) = push_images(pusher, repository, 1)
        document = index_of(child)
        pushed, deleted = at_once(
            [
                partial(pusher.push_manifest, repository, "latest", document, OCI_INDEX),
                partial(deleter.delete, repository, sha256(child)),
            ]
        )
        assert_one_won(pushed, deleted)


@pytest.mark.parametrize("point", ["manifest.after_lock", "manifest.before_commit"])
@pytest.mark.parametrize("part", ["blobs", "manifests"])
def test_part_deleted_in_the_middle_of_the_push(scene: Scene, repository: str, point: str, part: str) -> None:
    """What the push saw is gone when it commits: it looks again and says what is missing."""
    pusher, deleter = scene.crowd(repository, 2)
    (child,) = push_images(pusher, repository, 1)
    layer, config = unique(), unique()
    for content in (layer, config):
        pusher.push_blob(repository, content)
    is_blob = part == "blobs"
    digest = sha256(layer if is_blob else child)
    document = image_of(config, layer) if is_blob else index_of(child)
    scene.server.arm(point, "sleep:0.5")

    def delete() -> Answer:
        wait_for(point, lambda: scene.is_disarmed(point))
        return deleter.delete(repository, digest, part)

    def push() -> Answer:
        return pusher.push_manifest(repository, "latest", document, None if is_blob else OCI_INDEX)

    pushed, deleted = at_once([push, delete])
    assert_one_won(pushed, deleted)


def assert_one_won(pushed: Answer, deleted: Answer) -> None:
    if pushed.status == 201:
        assert (deleted.status, deleted.codes) == (405, ["UNSUPPORTED"]), deleted
    else:
        assert (pushed.status, pushed.codes) == (404, ["MANIFEST_BLOB_UNKNOWN"]), pushed
        assert deleted.status == 202, deleted


def test_manifest_pushed_again_while_it_is_deleted(scene: Scene, repository: str) -> None:
    """The push succeeds whatever the deletion is told."""
    pusher, deleter = scene.crowd(repository, 2)
    (document,) = push_images(pusher, repository, 1)
    for _ in range(ROUNDS):
        pushed, deleted = at_once(
            [
                partial(pusher.push_manifest, repository, sha256(document), document, tags=["a", "b"]),
                partial(deleter.delete, repository, sha256(document)),
            ]
        )
        assert pushed.status == 201, pushed
        assert deleted.status in (202, 404, 405), deleted
    moves = scene.janitor("moves_of", repository=repository)
    for tag in ("a", "b"):
        assert_chain(moves, tag, tagged(pusher, repository, tag))


def test_everything_at_once(scene: Scene, repository: str) -> None:
    """F-25: a few images, tags and layers that everybody pushes, moves and deletes."""
    clients = scene.crowd(repository, 6)
    config, layers = unique(), [unique() for _ in range(2)]
    clients[0].push_blob(repository, config)
    documents = [image_of(config, *layers), *(image_of(config, layer) for layer in layers)]
    tags = ["a", "b", "c"]
    chance = random.Random(7)

    def act(client: Client) -> Answer:
        document, layer = chance.choice(documents), chance.choice(layers)
        some = chance.sample(tags, 2)
        return chance.choice(
            [
                lambda: client.push_manifest(repository, some[0], document),
                lambda: client.push_manifest(repository, sha256(document), document, tags=some),
                lambda: client.delete(repository, some[0]),
                lambda: client.delete(repository, sha256(document)),
                lambda: client.delete(repository, sha256(layer), "blobs"),
                lambda: HOW["post_only"](client, repository, layer, sha256(layer)),
                lambda: HOW["post_only"](client, repository, layer, sha256(layer)),
                lambda: client.get_manifest(repository, some[0]),
            ]
        )()

    def play(client: Client) -> set[int]:
        return {act(client).status for _ in range(ROUNDS // 2)}

    statuses = set.union(*at_once(partial(play, client) for client in clients))
    assert statuses <= {200, 201, 202, 404, 405}, statuses
    moves = scene.janitor("moves_of", repository=repository)
    for tag in tags:
        assert_chain(moves, tag, tagged(clients[0], repository, tag))


# Upload sessions.


def patch(client: Client, repository: str, location: str, size: int, method: str = "PATCH") -> Sending:
    token = client.tokens[repository, "push"]
    return Sending(client, method, location, token, f"Content-Length: {size}")


def test_of_two_patches_under_way_the_first_to_end_wins(scene: Scene, repository: str) -> None:
    (client,) = scene.crowd(repository, 1)
    location, contents = client.session_of(repository), [unique(BODY), unique(BODY)]
    with patch(client, repository, location, BODY) as one, patch(client, repository, location, BODY) as other:
        for sending, content in zip((one, other), contents, strict=True):
            sending.send(content[: BODY // 2])
        wait_for("both are being written", lambda: scene.writing(location) == 2)
        other.send(contents[1][BODY // 2 :])
        assert_status(other.answer(), 202)
        one.send(contents[0][BODY // 2 :])
        assert_status(one.answer(), 416, "BLOB_UPLOAD_INVALID")
    assert offset_of(client, location) == BODY
    assert client.finish(location, sha256(contents[1])).status == 201
    assert_blob(client, repository, sha256(contents[1]), contents[1])
    assert scene.stored(location) == 0


def test_session_finished_while_another_request_writes(scene: Scene, repository: str) -> None:
    """What comes too late changes nothing and leaves nothing."""
    (client,) = scene.crowd(repository, 1)
    location, content = client.session_of(repository), unique(BODY)
    with patch(client, repository, location, BODY) as late:
        late.send(unique(BODY // 2))
        wait_for("it is being written", lambda: scene.stored(location) > 0)
        assert client.finish(location, sha256(content), content).status == 201
        late.send(unique(BODY // 2))
        assert_status(late.answer(), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_blob(client, repository, sha256(content), content)
    assert scene.stored(location) == 0


@pytest.mark.parametrize("is_killed", [False, True])
def test_session_finished_before_another_request_writes(scene: Scene, repository: str, is_killed: bool) -> None:
    """The other one has looked at the session already, and makes its part when that is over: which is swept."""
    point = "upload.after_write_before_offset"
    (client,) = scene.crowd(repository, 1)
    location, content = client.session_of(repository), unique(BODY)
    token = client.tokens[repository, "push"]
    with Sending(client, "PATCH", location, token, f"Content-Length: {BODY}", "Expect: 100-continue") as late:
        assert late.wire.recv(100).startswith(b"HTTP/1.1 100 ")  # the body is waited for
        assert client.finish(location, sha256(content), content).status == 201
        if is_killed:
            scene.server.arm(point, "kill9")
        late.send(unique(BODY))
        answer = late.answer()
    if is_killed:
        assert answer is None
        assert scene.is_disarmed(point)
        scene.wait_until_whole()
    else:
        assert_status(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert scene.stored(location) == BODY, "this test has not come to what it is for"
    scene.assert_tidy()
    assert_blob(client, repository, sha256(content), content)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("held", [0, 1000])
@pytest.mark.parametrize("is_swept", [True, False])
def test_session_cancelled_while_it_is_written(
    scene: Scene, repository: str, method: str, held: int, is_swept: bool
) -> None:
    (client,) = scene.crowd(repository, 1)
    location, content = client.session_of(repository), unique(BODY)
    if held:
        assert client.append(location, content[:held]).status == 202
    path = location if method == "PATCH" else f"{location}?digest={sha256(content)}"
    with patch(client, repository, path, BODY - held, method) as sending:
        sending.send(content[held : BODY // 2])
        wait_for("it is being written", lambda: scene.stored(location) > held)
        assert client.request("DELETE", location).status == 204
        if is_swept:
            scene.janitor("sweep")
        sending.send(content[BODY // 2 :])
        assert_status(sending.answer(), 404, "BLOB_UPLOAD_UNKNOWN")
    assert client.request("GET", location).status == 404
    assert client.head_blob(repository, sha256(content)).status == 404


@pytest.mark.parametrize("is_swept", [True, False])
@pytest.mark.parametrize("point", ["commit.after_hash", "commit.after_rename"])
def test_session_cancelled_while_it_is_finished(scene: Scene, repository: str, point: str, is_swept: bool) -> None:
    finisher, canceller = scene.crowd(repository, 2)
    location, content = finisher.session_of(repository), unique(BODY)
    assert finisher.append(location, content).status == 202
    scene.server.arm(point, "sleep:2")

    def cancel() -> Answer:
        wait_for(point, lambda: scene.is_disarmed(point))
        answer = canceller.request("DELETE", location)
        if is_swept:
            scene.janitor("sweep")
        return answer

    finished, cancelled = at_once([lambda: finisher.finish(location, sha256(content)), cancel])
    assert cancelled.status == 204
    assert_status(finished, 404, "BLOB_UPLOAD_UNKNOWN")
    assert finisher.head_blob(repository, sha256(content)).status == 404
    assert finisher.push_blob(repository, content)


def test_session_finished_twice_at_once(scene: Scene, repository: str) -> None:
    """An impatient client: one succeeds, the other succeeds or is told that the session is over."""
    clients = scene.crowd(repository, 3)
    for _ in range(ROUNDS // 5):
        location, content = clients[0].session_of(repository), unique(2000)
        assert clients[0].append(location, content[:1000]).status == 202
        finish = [partial(client.finish, location, sha256(content), content[1000:]) for client in clients]
        statuses = sorted(answer.status for answer in at_once(finish))
        assert statuses[0] == 201
        assert set(statuses) <= {201, 404, 416}
        assert_blob(clients[0], repository, sha256(content), content)


def test_requests_of_one_session_in_any_order(scene: Scene, repository: str) -> None:
    """Whoever writes, finishes and cancels at once: what became a blob is one of the contents, whole."""
    clients = scene.crowd(repository, 4)
    for _ in range(ROUNDS // 3):
        location, one, other = clients[0].session_of(repository), unique(BODY), unique(1000)
        actions: list[Callable[[], Answer]] = [
            partial(clients[0].append, location, one),
            partial(clients[1].append, location, other, chunked=True),
            partial(clients[2].finish, location, sha256(one), one),
            partial(clients[3].request, "DELETE", location),
        ]
        patched, streamed, finished, cancelled = (answer.status for answer in at_once(actions))
        assert {patched, streamed} <= {202, 404, 416}
        assert finished in (201, 400, 404, 416)
        assert cancelled in (204, 404)
        assert clients[0].head_blob(repository, sha256(one)).status == (200 if finished == 201 else 404)


def assert_status(answer: Answer | None, status: int, *codes: str) -> None:
    assert answer is not None, "the connection was broken off"
    assert (answer.status, answer.codes) == (status, [*codes]), answer
