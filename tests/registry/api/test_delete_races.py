"""Repositories that are deleted and renamed while others push to them."""

import threading
from collections import Counter

from tests.factories import World, fresh
from tests.images import OCI_CONFIG, OCI_LAYER, descriptor, dump, image_manifest, unique
from tests.ociclient import Client
from tests.registry.api.paths import path_of
from tests.rest.api import Api
from tests.wire import Answer

PUSHES = 12


def push(client: Client, repository: str, answers: list[Answer]) -> None:
    """As docker does, but going on whatever is answered."""
    layer, config = unique(), dump({"architecture": "amd64", "id": fresh("config")})
    for blob in (layer, config):
        started = client.start(repository)
        answers.append(started)
        if started.status == 202:
            digest = str(descriptor(blob, OCI_LAYER)["digest"])
            answers.append(client.finish(started.headers["Location"], digest, blob))
    document = image_manifest(descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER)])
    answers.append(client.push_manifest(repository, "latest", document))


def while_pushing(world: World, repository: str, act: "threading.Thread") -> list[Answer]:
    """What pushers were told while `act` ran."""
    answers: list[Answer] = []

    def run() -> None:
        client = world.player()
        for _ in range(PUSHES):
            push(client, repository, answers)

    threads = [act, *(threading.Thread(target=run) for _ in range(3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_pushing_while_it_is_deleted(world: World, owner: Api, player: Client) -> None:
    repository = player.push_image(world.repository(world.project()), "latest").repository
    deletes: list[int] = []

    def delete() -> None:
        deletes.extend(owner("DELETE", path_of(repository)).status for _ in range(15))

    told = Counter(answer.status for answer in while_pushing(world, repository, threading.Thread(target=delete)))
    assert set(told) <= {201, 202, 404}, told
    assert set(deletes) <= {200, 404}
    assert deletes.count(200) > 1, "it was made again by a push and deleted again"
    assert world.clerk("violations") == []
    final = player.push_image(repository, "final")
    assert player.pull(repository, "final").keys() >= {final.digest}


def test_pushing_while_it_is_renamed_to_and_fro(world: World, owner: Api, player: Client) -> None:
    repository = player.push_image(world.repository(world.project()), "latest").repository
    project, name = repository.split("/")
    other = fresh("other")

    def rename() -> None:
        for path in [other, name] * 6:
            answer = owner("PATCH", path_of(repository), {"name": path})
            assert answer.status == 200, answer

    answers = while_pushing(world, repository, threading.Thread(target=rename))
    assert {answer.status for answer in answers} <= {201, 202}, Counter(answer.status for answer in answers)
    listed = owner.get(f"/projects/{project}/repositories")
    assert [item["name"] for item in listed] == [repository]
    assert listed[0]["artifact_count"] == 1 + 3 * PUSHES, "every push arrived in the one repository"
    assert world.clerk("violations") == []


def test_pulling_while_it_is_renamed_to_and_fro(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(world.project()), "v1")
    project, name = image.repository.split("/")
    names = [image.repository, f"{project}/{fresh('other')}"]
    done = threading.Event()
    found: list[tuple[str, int]] = []

    def read(repository: str) -> None:
        client = world.player()
        while not done.is_set():
            found.append((repository, client.get_manifest(repository, "v1").status))
            found.append((repository, owner("GET", path_of(repository)).status))

    def rename(path: str) -> None:
        assert owner("PATCH", path_of(image.repository), {"name": path}).status == 200

    rename(names[1].partition("/")[2])  # from here on both names stand for it
    threads = [threading.Thread(target=read, args=(repository,)) for repository in names]
    for thread in threads:
        thread.start()
    for path in [name, names[1].partition("/")[2]] * 10:
        rename(path)
    done.set()
    for thread in threads:
        thread.join()
    assert set(found) == {(repository, 200) for repository in names}
