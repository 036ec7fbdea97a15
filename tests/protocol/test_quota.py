"""Quotas as those who push meet them: who is refused, when, and with which words; what always works."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest

from tests.factories import World
from tests.images import OCI_CONFIG, OCI_LAYER, descriptor, dump, image_manifest, sha256, unique
from tests.ociclient import HOW, Client
from tests.protocol.calls import check
from tests.protocol.sockets import head_of
from tests.rest.api import Api
from tests.wire import Answer, connect, read_answer

T = TypeVar("T")
KIB = 1024
_AMOUNT = r"[0-9.]+ [KMT]?i?B"
WORDS = re.compile(
    rf"Quota exceeded when processing the request of adding (?P<adding>{_AMOUNT}) of storage resource, which when"
    rf" updated to current usage of (?P<used>{_AMOUNT}) will exceed the configured upper limit of"
    rf" (?P<hard>{_AMOUNT})\."
)


class Vault:
    """A project with a quota, and its owner."""

    def __init__(self, world: World, hard: int = -1) -> None:
        self.world, self.api = world, Api(world.url, world.admin_account)
        self.name = world.project()
        self.player = world.player()
        (found,) = [row for row in self.api.all("/quotas", page_size=100) if row["ref"]["name"] == self.name]
        self.quota_id, self.project_id = found["id"], found["ref"]["id"]
        if hard != -1:
            self.limit(hard)

    def limit(self, hard: int) -> None:
        self.api.done("PUT", f"/quotas/{self.quota_id}", {"hard": {"storage": hard}})

    @property
    def used(self) -> int:
        return int(self.api.get(f"/quotas/{self.quota_id}")["used"]["storage"])

    def repository(self) -> str:
        return self.world.repository(self.name)

    def crowd(self, repository: str, count: int) -> list[Client]:
        """So many clients with a token each."""
        token = self.player.token_text(f"repository:{repository}:pull,push,delete")
        clients = [self.world.player() for _ in range(count)]
        for client in clients:
            client.tokens |= {(repository, "push"): token, (repository, "delete"): token}
        return clients


@pytest.fixture
def vault(world: World) -> Vault:
    return Vault(world)


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def push(client: Client, repository: str, content: bytes, how: str = "post_only") -> Answer:
    """The last answer, or the first that says no."""
    if how == "post_only":
        return HOW[how](client, repository, content, sha256(content))
    pieces = {"post_put": 0, "stream": 1, "patch_put": 1, "chunked": 3}[how]
    location, size = client.session_of(repository), -(-len(content) // max(pieces, 1))
    for start in range(0, len(content) if pieces else 0, size):
        answer = client.append(location, content[start : start + size], chunked=how == "stream")
        if answer.status != 202:
            return answer
        location = answer.headers["Location"]
    return client.finish(location, sha256(content), content if not pieces else b"")


def assert_refused(answer: Answer) -> re.Match[str]:
    assert (answer.status, answer.codes) == (403, ["DENIED"]), answer
    check("PUT", answer)
    match = WORDS.fullmatch(answer.json()["errors"][0]["message"])
    assert match, answer
    return match


def image_of(config: bytes, *layers: bytes) -> dict[str, object]:
    return image_manifest(descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER) for layer in layers])


# What is counted.


def test_every_blob_counts_once(vault: Vault) -> None:
    first, second = vault.repository(), vault.repository()
    layer = unique(10 * KIB)
    for repository in (first, first, second):
        assert push(vault.player, repository, layer).status == 201
    assert vault.used == 10 * KIB
    image = vault.player.push_image(first, "v1")
    assert vault.used == 10 * KIB + len(image.config) + len(image.layers[0])


@pytest.mark.parametrize("how", HOW)
def test_every_way_to_push_counts(vault: Vault, how: str) -> None:
    vault.player.push_blob(vault.repository(), unique(5 * KIB), how)
    assert vault.used == 5 * KIB


def test_a_mount_counts_where_it_is_new(vault: Vault, world: World) -> None:
    other, layer = Vault(world), unique(3 * KIB)
    source, target = other.repository(), vault.repository()
    other.player.push_blob(source, layer)
    for _ in range(2):
        assert vault.player.mount(target, sha256(layer), source).status == 201
    assert (vault.used, other.used) == (3 * KIB, 3 * KIB)
    assert vault.player.mount(vault.repository(), sha256(layer), target).status == 201
    assert vault.used == 3 * KIB


def test_a_blob_that_is_let_go_is_released(vault: Vault) -> None:
    first, second = vault.repository(), vault.repository()
    layer = unique(KIB)
    for repository in (first, second):
        vault.player.push_blob(repository, layer)
    assert vault.player.delete(first, sha256(layer), "blobs").status == 202
    assert vault.used == KIB
    assert vault.player.delete(second, sha256(layer), "blobs").status == 202
    assert vault.used == 0


def test_fifty_pushes_of_the_same_blob_count_once(vault: Vault) -> None:
    """F-16, and the manifest with it."""
    vault.limit(50 * KIB)
    repository, layer, config = vault.repository(), unique(20 * KIB), unique()
    clients = vault.crowd(repository, 50)

    def act(client: Client) -> set[int]:
        statuses = {push(client, repository, content, "stream").status for content in (layer, config)}
        return statuses | {client.push_manifest(repository, "latest", image_of(config, layer)).status}

    assert set.union(*at_once([partial(act, client) for client in clients])) == {201}
    assert vault.used == len(layer) + len(config)
    assert [told for told in vault.world.clerk("violations") if "quota" in told] == []


def test_a_storm_of_mounts_counts_once(vault: Vault, world: World) -> None:
    other, layer = Vault(world), unique(20 * KIB)
    source, targets = other.repository(), [vault.repository() for _ in range(5)]
    other.player.push_blob(source, layer)
    vault.limit(25 * KIB)
    storm = [(target, client) for target in targets for client in vault.crowd(target, 6)]
    calls = [partial(client.mount, target, sha256(layer), source) for target, client in storm]
    assert {answer.status for answer in at_once(calls)} == {201}
    assert vault.used == len(layer)


# What is refused.


@pytest.mark.parametrize("how", HOW)
def test_what_does_not_fit_is_refused_in_harbors_words(vault: Vault, how: str) -> None:
    vault.limit(10 * KIB)
    repository = vault.repository()
    vault.player.push_blob(repository, unique(9 * KIB + 512))
    match = assert_refused(push(vault.player, repository, unique(12 * KIB), how))
    assert (match["used"], match["hard"]) == ("9.5 KiB", "10.0 KiB")
    assert vault.used == 9 * KIB + 512


def test_a_mount_that_does_not_fit_is_refused(vault: Vault, world: World) -> None:
    other, layer = Vault(world), unique(3 * KIB)
    source = other.repository()
    other.player.push_blob(source, layer)
    vault.limit(2 * KIB)
    match = assert_refused(vault.player.mount(vault.repository(), sha256(layer), source))
    assert match.groupdict() == {"adding": "3.0 KiB", "used": "0 B", "hard": "2.0 KiB"}
    assert vault.used == 0


@pytest.mark.parametrize("how", HOW)
def test_what_is_there_may_be_pushed_again_into_a_full_project(vault: Vault, how: str) -> None:
    layer = unique(6 * KIB)
    vault.player.push_blob(vault.repository(), layer)
    vault.limit(6 * KIB)
    assert push(vault.player, vault.repository(), layer, how).status == 201
    assert vault.used == 6 * KIB


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_more_than_fits_is_refused_before_a_byte_is_read(vault: Vault, method: str) -> None:
    vault.limit(10 * KIB)
    repository = vault.repository()
    path, digest = vault.player.session_of(repository), sha256(unique())
    if method == "POST":
        path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    elif method == "PUT":
        path += f"?digest={digest}"
    token = vault.player.tokens[repository, "push"]
    head = head_of(vault.world, method, path, token, f"Content-Length: {1 << 40}", "Expect: 100-continue")
    with connect(vault.world.url) as wire:
        wire.sendall(head)
        answer = read_answer(wire, method)
    assert answer is not None
    assert assert_refused(answer).groupdict() == {"adding": "1.0 TiB", "used": "0 B", "hard": "10.0 KiB"}
    assert answer.headers["Connection"] == "close"


def test_a_refused_session_is_over(vault: Vault) -> None:
    vault.limit(10 * KIB)
    location = vault.player.session_of(vault.repository())
    assert_refused(vault.player.append(location, unique(20 * KIB), chunked=True))
    assert vault.player.request("GET", location).status == 404


def test_a_full_project_takes_tags_and_manifests_of_what_it_has(vault: Vault) -> None:
    repository = vault.repository()
    image = vault.player.push_image(repository, "v1", layers=2)
    vault.limit(vault.used)
    assert vault.player.push_manifest(repository, "v2", image.content).status == 201
    assert vault.player.push_manifest(repository, "v3", image_of(image.config, image.layers[0])).status == 201


def test_the_limit_holds_at_the_manifest(vault: Vault) -> None:
    """Its blobs were there before the limit was lowered."""
    repository, config, layer = vault.repository(), unique(), unique(10 * KIB)
    for content in (config, layer):
        vault.player.push_blob(repository, content)
    image = vault.player.push_image(repository, "v1")
    vault.limit(10 * KIB)
    assert_refused(vault.player.push_manifest(repository, "v2", image_of(config, layer)))
    assert vault.player.get_manifest(repository, "v2").status == 404
    assert vault.player.push_manifest(repository, "again", image.content).status == 201
    vault.limit(20 * KIB)
    assert vault.player.push_manifest(repository, "v2", image_of(config, layer)).status == 201


def test_what_goes_goes_over_the_limit(vault: Vault) -> None:
    repository = vault.repository()
    image, layer = vault.player.push_image(repository, "v1"), unique(5 * KIB)
    vault.player.push_blob(repository, layer)
    vault.limit(1)
    assert vault.player.delete(repository, sha256(layer), "blobs").status == 202
    assert vault.player.delete(repository, "v1").status == 202
    assert vault.player.delete(repository, image.digest).status == 202
    for content in (image.config, *image.layers):
        assert vault.player.delete(repository, sha256(content), "blobs").status == 202
    assert vault.used == 0


def test_twenty_that_push_at_the_limit(vault: Vault) -> None:
    """F-47: whoever comes together, the limit holds to the byte."""
    vault.limit(100 * KIB)
    repository, config = vault.repository(), dump({})
    vault.player.push_blob(repository, config)
    clients, layers = vault.crowd(repository, 20), [unique(15 * KIB) for _ in range(20)]

    def act(client: Client, layer: bytes) -> tuple[int, int]:
        pushed = push(client, repository, layer, "stream")
        if pushed.status == 403:
            assert_refused(pushed)
        answer = client.push_manifest(repository, sha256(layer)[7:20], image_of(config, layer))
        return pushed.status, answer.status

    results = at_once([partial(act, client, layer) for client, layer in zip(clients, layers, strict=True)])
    assert sorted(results) == [(201, 201)] * 6 + [(403, 404)] * 14
    assert vault.used == 6 * 15 * KIB + len(config)
    assert len(vault.player.tags(repository)) == 6
    assert [told for told in vault.world.clerk("violations") if "quota" in told] == []


def test_the_ledger_is_the_recount_after_anything_at_once(vault: Vault, world: World) -> None:
    vault.limit(40 * KIB)
    other, chance = Vault(world), random.Random(11)
    layers, config = [unique(KIB * (number + 1)) for number in range(8)], unique(10)
    repositories = [vault.repository(), vault.repository(), other.repository()]
    clients = vault.crowd(repositories[0], 5)

    def act(client: Client, where: str, layer: bytes, source: str, way: str) -> Answer:
        match way:
            case "mount":
                return client.mount(where, sha256(layer), source)
            case "unlink":
                return client.delete(where, sha256(layer), "blobs")
            case "manifest":
                push(client, where, config)
                return client.push_manifest(where, sha256(layer)[7:17], image_of(config, layer))
            case "delete":
                return client.delete(where, sha256(dump(image_of(config, layer))))
        return push(client, where, layer, way)

    ways = [*HOW, "mount", "mount", "unlink", "unlink", "manifest", "manifest", "delete"]

    def play(client: Client, plan: list[tuple[str, bytes, str, str]]) -> set[int]:
        return {act(client, *step).status for step in plan}

    plans = [
        [
            (chance.choice(repositories), chance.choice(layers), chance.choice(repositories), chance.choice(ways))
            for _ in range(25)
        ]
        for _ in clients
    ]
    statuses = set.union(*at_once([partial(play, client, plan) for client, plan in zip(clients, plans, strict=True)]))
    assert {201, 202} <= statuses <= {201, 202, 403, 404, 405}, statuses
    assert vault.used <= 40 * KIB
    assert [told for told in world.clerk("violations") if "quota" in told] == []


# Who is told.


def warnings_of(answers: Iterator[Answer]) -> list[str | None]:
    return [answer.headers.get("Warning") for answer in answers]


def test_a_push_is_warned_from_85_percent_on(vault: Vault) -> None:
    vault.limit(100 * KIB)
    repository, config = vault.repository(), unique(KIB)
    layers = [unique(80 * KIB), unique(4 * KIB)]
    told = warnings_of(push(vault.player, repository, content) for content in (layers[0], layers[1], config))
    warning = '299 - "the project uses 85.0 KiB of its quota of 100.0 KiB"'
    assert told == [None, None, warning]
    answer = vault.player.push_manifest(repository, "v1", image_of(config, *layers))
    assert answer.status == 201
    assert answer.headers["Warning"] == warning
    assert "Warning" not in vault.player.get_manifest(repository, "v1").headers


def test_without_a_limit_nobody_is_warned(vault: Vault) -> None:
    answer = push(vault.player, vault.repository(), unique(KIB))
    assert answer.status == 201
    assert "Warning" not in answer.headers
