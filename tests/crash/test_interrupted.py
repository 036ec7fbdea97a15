"""Changes of whole graphs over REST that break in the middle: they happened as a whole or not at all."""

from collections.abc import Callable

import pytest
import requests
from requests.auth import HTTPBasicAuth

from harborlite.faults import POINTS
from tests.crash.scene import Scene
from tests.images import Image
from tests.ociclient import Client
from tests.wire import Answer

CHANGES = ("copy", "artifact")


class Graph:
    """An index with a child and a signature in one repository, nothing yet in another one."""

    def __init__(self, scene: Scene, repository: str) -> None:
        self.scene, self.source, self.target = scene, repository, scene.world.repository()
        self.player: Client = scene.world.player()
        child = self.player.push_image(repository)
        self.index = self.player.push_index(repository, "v1", [child])
        self.parts = [self.index, child, self.player.attach(child, "application/vnd.cncf.notary.signature")]

    def copy(self) -> Answer:
        return self._ask("POST", self.target, "", {"from": f"{self.source}:v1"})

    def delete(self) -> Answer:
        return self._ask("DELETE", self.source, f"/{self.index.digest}", {})

    def restore(self) -> Answer:
        return self._ask("POST", self.source, f"/{self.index.digest}/restore", {})

    def _ask(self, method: str, repository: str, below: str, query: dict[str, str]) -> Answer:
        project, _, path = repository.partition("/")
        owner = self.scene.world.owner
        answer = requests.request(
            method,
            f"{self.scene.server.url}/api/v2.0/projects/{project}/repositories/{path}/artifacts{below}",
            params=query,
            auth=HTTPBasicAuth(owner.login, owner.secret),
            timeout=60,
        )
        return Answer(answer.status_code, answer.headers, answer.content)

    def held(self, repository: str) -> list[Image]:
        """What of it the repository holds."""
        return [part for part in self.parts if self.player.head_manifest(repository, part.digest).status == 200]


ASKED: dict[str, Callable[[Graph], Answer]] = {"copy": Graph.copy, "artifact": Graph.delete}


@pytest.mark.parametrize("action", ["kill9", "raise"])
@pytest.mark.parametrize("point", [point for point in POINTS if point.partition(".")[0] in CHANGES])
def test_a_change_that_breaks_did_not_happen(scene: Scene, repository: str, point: str, action: str) -> None:
    graph, ask = Graph(scene, repository), ASKED[point.partition(".")[0]]
    scene.server.arm(point, action)
    if action == "kill9":
        with pytest.raises(requests.ConnectionError):
            ask(graph)
        scene.wait_until_whole()
    else:
        answer = ask(graph)
        assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert scene.is_disarmed(point)
    scene.assert_sound()
    assert graph.held(graph.source) == graph.parts
    assert graph.held(graph.target) == []
    assert graph.player.tags(graph.source) == ["v1"]

    assert ask(graph).status in (200, 201)
    is_copy = ask is Graph.copy
    assert graph.held(graph.source) == (graph.parts if is_copy else [])
    assert graph.held(graph.target) == (graph.parts if is_copy else [])
    scene.assert_tidy()


@pytest.mark.parametrize("action", ["kill9", "raise"])
def test_a_restoration_that_breaks_did_not_happen(scene: Scene, repository: str, action: str) -> None:
    point = "restore.before_commit"
    graph = Graph(scene, repository)
    assert graph.delete().status == 200
    scene.server.arm(point, action)
    if action == "kill9":
        with pytest.raises(requests.ConnectionError):
            graph.restore()
        scene.wait_until_whole()
    else:
        answer = graph.restore()
        assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert scene.is_disarmed(point)
    scene.assert_sound()
    assert graph.held(graph.source) == []
    assert graph.player.tags(graph.source) == []

    assert graph.restore().status == 200
    assert graph.held(graph.source) == graph.parts
    assert graph.player.tags(graph.source) == ["v1"]
    scene.assert_tidy()
