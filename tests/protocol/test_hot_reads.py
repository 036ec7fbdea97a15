"""Reads answered from memory: the same as Django's, and never older than the last acknowledged change.

Every web process remembers for itself. So each test reads on many connections that stay open until every process has
answered some of them several times, makes a change, and reads on all of them again.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from harborlite import generations
from tests.factories import Account, World
from tests.images import Image
from tests.ociclient import Client
from tests.product import Serve
from tests.wire import Answer, KeepAlive, bearer

EACH = 3
ATTEMPTS = 200
WARM = 3


@dataclass
class Readers:
    """Connections, spread over the web processes, that read with the same credentials."""

    connections: list[KeepAlive]

    def read(self, path: str, method: str = "GET") -> list[Answer]:
        """The answers on all connections; each is asked before any is waited for a second time."""
        return [connection.get(path, method) for connection in self.connections]

    def warm(self, path: str) -> list[Answer]:
        """What all answer once they remember it."""
        for _ in range(WARM):
            answers = self.read(path)
        return answers


@pytest.fixture
def readers(world: World, server: Serve) -> Iterator[Callable[[str | None], Readers]]:
    """Makes Readers with a token, or anonymous ones; every web process has at least EACH of their connections."""
    made: list[KeepAlive] = []
    processes = server.web_workers()

    def make(token: str | None) -> Readers:
        found: dict[int, list[KeepAlive]] = {process: [] for process in processes}
        for _ in range(ATTEMPTS):
            connection = KeepAlive(world.url, bearer(token) if token else {})
            made.append(connection)
            connection.get("/healthz")
            process = connection.process(processes)
            assert process is not None
            found[process].append(connection)
            if all(len(connections) >= EACH for connections in found.values()):
                break
        assert all(found.values()), f"after {ATTEMPTS} connections: { {p: len(c) for p, c in found.items()} }"
        return Readers([connection for connections in found.values() for connection in connections[:EACH]])

    yield make
    for connection in made:
        connection.close()


@dataclass
class Scene:
    """An image in a project of its own, a member of which reads it."""

    world: World
    project: str
    owner: Client
    member: Account
    image: Image
    readers: Readers

    @property
    def path(self) -> str:
        return f"/v2/{self.image.repository}/manifests/v1"


@pytest.fixture(params=["private", "public"])
def scene(world: World, readers: Callable[[str | None], Readers], request: pytest.FixtureRequest) -> Scene:
    """Read with a member's token where it is private, and by nobody where it is public."""
    member = world.user()
    project = world.project(is_public=request.param == "public", members={member: "guest"})
    owner = world.player()
    image = owner.push_image(world.repository(project), "v1")
    token = world.client(member).token_text(f"repository:{image.repository}:pull")
    return Scene(world, project, owner, member, image, readers(token if request.param == "private" else None))


def comparable(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    changing = {"date", "x-request-id"}
    return (
        answer.status,
        sorted((k.lower(), v) for k, v in answer.headers.items() if k.lower() not in changing),
        answer.body,
    )


def digests(answers: list[Answer]) -> set[str]:
    assert {answer.status for answer in answers} == {200}
    return {answer.headers["Docker-Content-Digest"] for answer in answers}


@pytest.mark.parametrize("reference", ["v1", "digest"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_memory_answers_as_django_does(scene: Scene, method: str, reference: str) -> None:
    """Header for header. A request with an X-Request-Id of its own is always Django's."""
    path = scene.path if reference == "v1" else scene.path.replace("v1", scene.image.digest)
    scene.readers.warm(path)
    told = scene.readers.connections[0]
    by_django = KeepAlive(told.url, {**told.headers, "X-Request-Id": "by-django"})
    expected = comparable(by_django.get(path, method))
    by_django.close()
    for answer in scene.readers.read(path, method):
        assert comparable(answer) == expected


def test_memory_is_in_use_and_heals_by_itself(scene: Scene) -> None:
    """A change that nobody was told of is not seen at first, which shows that memory answers, and soon it is.

    The writer that left it died between its commit and its mark; its client got no answer (harborlite.generations).
    """
    digests_of = {scene.image.digest}
    for attempt in range(10):
        other = scene.owner.push_image(scene.image.repository, f"other-{attempt}")
        digests_of.add(other.digest)
        scene.readers.warm(scene.path)
        scene.world.clerk("tag_move_unmarked", repository=scene.image.repository, tag="v1", digest=other.digest)
        first = digests(scene.readers.read(scene.path))
        assert first <= digests_of
        if first != {other.digest}:
            break
    else:
        pytest.fail("memory has never answered")
    deadline = time.monotonic() + 3 * generations.MAX_AGE
    while digests(scene.readers.read(scene.path)) != {other.digest}:
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def test_every_answer_has_an_id_of_its_own(scene: Scene) -> None:
    scene.readers.warm(scene.path)
    ids = [answer.headers["X-Request-Id"] for answer in scene.readers.read(scene.path)]
    assert len(set(ids)) == len(ids)


def test_pushed_tag_is_seen_by_the_next_read(scene: Scene) -> None:
    for _ in range(3):
        assert len(digests(scene.readers.warm(scene.path))) == 1
        image = scene.owner.push_image(scene.image.repository, "v1")
        assert digests(scene.readers.read(scene.path)) == {image.digest}
        assert digests(scene.readers.read(scene.path, "HEAD")) == {image.digest}


def test_first_push_of_a_tag_is_seen_by_the_next_read(scene: Scene) -> None:
    """That something was not there is not remembered either."""
    path = scene.path.replace("v1", "v2")
    assert {answer.status for answer in scene.readers.warm(path)} == {404}
    image = scene.owner.push_image(scene.image.repository, "v2")
    assert digests(scene.readers.read(path)) == {image.digest}


def test_tag_moved_to_a_known_manifest_is_seen(scene: Scene) -> None:
    other = scene.owner.push_image(scene.image.repository, "v2")
    scene.readers.warm(scene.path)
    assert scene.owner.push_manifest(scene.image.repository, "v1", other.content).status == 201
    assert digests(scene.readers.read(scene.path)) == {other.digest}


def test_deleted_tag_is_gone_for_the_next_read(scene: Scene) -> None:
    by_digest = scene.path.replace("v1", scene.image.digest)
    scene.readers.warm(scene.path)
    scene.readers.warm(by_digest)
    assert scene.owner.delete(scene.image.repository, "v1").status == 202
    assert {answer.status for answer in scene.readers.read(scene.path)} == {404}
    assert digests(scene.readers.read(by_digest)) == {scene.image.digest}


def test_deleted_manifest_is_gone_for_the_next_read(scene: Scene) -> None:
    """F-24"""
    by_digest = scene.path.replace("v1", scene.image.digest)
    scene.readers.warm(scene.path)
    scene.readers.warm(by_digest)
    assert scene.owner.delete(scene.image.repository, scene.image.digest).status == 202
    assert {answer.status for answer in scene.readers.read(scene.path)} == {404}
    assert {answer.status for answer in scene.readers.read(by_digest)} == {404}


def test_project_made_private_is_closed_for_the_next_read(
    world: World, readers: Callable[[str | None], Readers]
) -> None:
    """S-33. For nobody, for a stranger's token and for a member's: each must ask anew."""
    stranger, member = world.user(), world.user()
    project = world.project(is_public=True, members={member: "guest"})
    image = world.player().push_image(world.repository(project), "v1")
    path, scope = f"/v2/{image.repository}/manifests/v1", f"repository:{image.repository}:pull"
    groups = [readers(None), *(readers(world.client(account).token_text(scope)) for account in (stranger, member))]
    for group in groups:
        assert digests(group.warm(path)) == {image.digest}
    world.clerk("project_update", name=project, is_public=False)
    for group in groups:
        assert {answer.status for answer in group.read(path)} == {401}
    assert digests(readers(world.client(member).token_text(scope)).read(path)) == {image.digest}


def test_project_made_public_is_open_for_the_next_read(world: World, readers: Callable[[str | None], Readers]) -> None:
    project = world.project()
    image = world.player().push_image(world.repository(project), "v1")
    path = f"/v2/{image.repository}/manifests/v1"
    nobody, owner = readers(None), readers(world.player().token_text(f"repository:{image.repository}:pull"))
    assert digests(owner.warm(path)) == {image.digest}
    assert {answer.status for answer in nobody.warm(path)} == {401}
    world.clerk("project_update", name=project, is_public=True)
    assert digests(nobody.read(path)) == {image.digest}


LOSSES = {
    "membership": ("member_remove", {"project": "$project"}),
    "account disabled": ("user_disable", {}),
    "account deleted": ("user_delete", {}),
    "password": ("user_set_password", {"password": "Other-horse-22"}),
}


@pytest.mark.parametrize("row", LOSSES)
def test_what_is_taken_from_a_member_ends_reads_at_once(
    world: World, readers: Callable[[str | None], Readers], row: str
) -> None:
    member = world.user()
    project = world.project(members={member: "guest"})
    image = world.player().push_image(world.repository(project), "v1")
    path, scope = f"/v2/{image.repository}/manifests/v1", f"repository:{image.repository}:pull"
    member_reads = readers(world.client(member).token_text(scope))
    owner_reads = readers(world.player().token_text(scope))
    for group in (member_reads, owner_reads):
        assert digests(group.warm(path)) == {image.digest}
    what, values = LOSSES[row]
    named = {key: value.replace("$project", project) for key, value in values.items()}
    world.clerk(what, username=member.login, **named)
    assert {answer.status for answer in member_reads.read(path)} == {401}
    if row != "membership":  # that ends every token for the project: its owner asks for a new one
        assert digests(owner_reads.read(path)) == {image.digest}


@pytest.mark.parametrize("what", ["robot_expire", "robot_delete"])
def test_robot_that_ended_reads_nothing(world: World, readers: Callable[[str | None], Readers], what: str) -> None:
    image = world.player().push_image(world.repository(), "v1")
    robot = world.robot(world.home)
    path = f"/v2/{image.repository}/manifests/v1"
    reads = readers(world.client(robot).token_text(f"repository:{image.repository}:pull"))
    assert digests(reads.warm(path)) == {image.digest}
    world.clerk(what, login=robot.login)
    assert {answer.status for answer in reads.read(path)} == {401}


def test_memory_does_not_answer_other_callers(world: World, readers: Callable[[str | None], Readers]) -> None:
    """What is remembered for one token is not given to nobody, to a stranger or to a token for something else."""
    image = world.player().push_image(world.repository(), "v1")
    path, scope = f"/v2/{image.repository}/manifests/v1", f"repository:{image.repository}:pull"
    owner, stranger = world.player(), world.client(world.user())
    good = readers(owner.token_text(scope))
    assert digests(good.warm(path)) == {image.digest}
    other = owner.push_image(world.repository(), "v1")
    elsewhere = readers(owner.token_text(f"repository:{other.repository}:pull"))
    assert digests(elsewhere.warm(f"/v2/{other.repository}/manifests/v1")) == {other.digest}
    push_only = readers(owner.token_text(f"repository:{image.repository}:push"))
    altered = readers(owner.token_text(scope)[:-1] + "_")
    assert {answer.status for answer in readers(None).read(path)} == {401}
    assert {answer.status for answer in readers(stranger.token_text(scope)).read(path)} == {403}
    assert {answer.status for answer in elsewhere.read(path)} == {401}
    assert {answer.status for answer in push_only.read(path)} == {401}
    assert {answer.status for answer in altered.read(path)} == {401}
    assert digests(good.read(path)) == {image.digest}


def test_memory_knows_what_a_remembered_token_is_good_for(
    world: World, readers: Callable[[str | None], Readers]
) -> None:
    """A token that pulls one repository and only pushes another reads the one, from memory or not."""
    owner = world.player()
    pulled, pushed = (owner.push_image(world.repository(), "v1") for _ in range(2))
    known, other = (f"/v2/{image.repository}/manifests/v1" for image in (pulled, pushed))
    mixed = readers(owner.token_text(f"repository:{pulled.repository}:pull", f"repository:{pushed.repository}:push"))
    assert digests(mixed.warm(known)) == {pulled.digest}
    full = readers(owner.token_text(f"repository:{pushed.repository}:pull"))
    assert digests(full.warm(other)) == {pushed.digest}
    assert {answer.status for answer in mixed.read(other)} == {401}


def test_memory_answers_what_was_asked(scene: Scene) -> None:
    """Other spellings of the path, and requests with conditions, are not answered by what the plain one left."""
    scene.readers.warm(scene.path)
    etag = f'"{scene.image.digest}"'
    for connection in scene.readers.connections:
        connection.headers = {**connection.headers, "If-None-Match": etag}
    assert {answer.status for answer in scene.readers.read(scene.path)} == {304}
    for connection in scene.readers.connections:
        connection.headers = {**connection.headers, "If-None-Match": f'"{secrets.token_hex(8)}"'}
    assert digests(scene.readers.read(scene.path)) == {scene.image.digest}
    for connection in scene.readers.connections:
        del connection.headers["If-None-Match"]  # type: ignore[attr-defined]
    encoded = scene.path.replace(f"{scene.project}/", f"{scene.project}%2f")
    assert {answer.status for answer in scene.readers.read(encoded)} <= {400, 404}
    assert {answer.status for answer in scene.readers.read("/" + scene.path)} == {404}
    assert {answer.status for answer in scene.readers.read(scene.path + "/")} <= {400, 404}


def test_foreign_host_is_not_answered_from_memory(scene: Scene) -> None:
    """S-96"""
    scene.readers.warm(scene.path)
    for connection in scene.readers.connections:
        connection.headers = {**connection.headers, "Host": "evil.example"}
    assert {answer.status for answer in scene.readers.read(scene.path)} == {400}
