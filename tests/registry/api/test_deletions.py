"""The recycle bin over HTTP: what was deleted, restoring it, and deleting it for good."""

from typing import Any

import pytest

from tests.factories import World, fresh
from tests.images import Image, sha256
from tests.ociclient import Client
from tests.registry.api.paths import artifact_path, path_of, project_of
from tests.rest.api import Api


def deletions(api: Api, repository: str, **query: object) -> list[Any]:
    """What was deleted of the repository, the latest first."""
    path = repository.partition("/")[2]
    return api.all(f"/projects/{project_of(repository)}/deletions", q=f"repository={path}", **query)


def undo(api: Api, repository: str, deletion: int) -> Any:
    answer = api("POST", f"/projects/{project_of(repository)}/deletions/{deletion}/restore")
    assert answer.status == 200, answer
    return answer.json()


@pytest.fixture
def image(world: World, player: Client) -> Image:
    return player.push_image(world.repository(), "v1")


def test_an_artifact_is_told_and_comes_back(world: World, owner: Api, player: Client, image: Image) -> None:
    before, pulled = owner.get(artifact_path(image)), player.pull(image.repository, "v1")
    owner.done("DELETE", artifact_path(image))
    assert player.get_manifest(image.repository, "v1").status == 404
    (told,) = deletions(owner, image.repository)
    assert (told["kind"], told["digest"], told["tags"], told["reason"]) == ("artifact", image.digest, ["v1"], "user")
    assert (told["username"], told["artifact_count"]) == (world.owner.login, 1)
    assert told["size"] == len(image.content) + len(image.config) + sum(map(len, image.layers))
    restored = undo(owner, image.repository, told["id"])
    assert (restored["repository_name"], restored["artifacts"]) == (image.repository, 1)
    assert (restored["tags"], restored["taken_tags"]) == (1, [])
    assert player.pull(image.repository, "v1") == pulled
    after = owner.get(artifact_path(image))
    assert {**after, "id": 0, "tags": 0} == {**before, "id": 0, "tags": 0}
    assert deletions(owner, image.repository) == []


def test_a_repository_comes_back(owner: Api, player: Client, image: Image) -> None:
    other = player.push_image(image.repository, "v1")
    before = owner.get(path_of(image.repository))
    history = owner.all(path_of(image.repository, "/history"))
    owner.done("DELETE", path_of(image.repository))
    assert owner("GET", path_of(image.repository)).status == 404
    (told,) = deletions(owner, image.repository)
    assert (told["kind"], told["digest"], told["artifact_count"]) == ("repository", None, 2)
    undo(owner, image.repository, told["id"])
    after = owner.get(path_of(image.repository))
    assert {**after, "update_time": 0} == {**before, "update_time": 0}
    assert owner.all(path_of(image.repository, "/history"))[2:] == history
    assert player.get_manifest(image.repository, "v1").body == other.content
    assert player.get_manifest(image.repository, image.digest).body == image.content


def test_a_push_into_the_place_of_a_repository(owner: Api, player: Client, image: Image) -> None:
    """The tag that was taken meanwhile stays as it is now; the artifact it had can be pulled by its digest."""
    owner.done("DELETE", path_of(image.repository))
    now = player.push_image(image.repository, "v1")
    (told,) = deletions(owner, image.repository)
    restored = undo(owner, image.repository, told["id"])
    assert (restored["tags"], restored["taken_tags"]) == (0, ["v1"])
    assert player.get_manifest(image.repository, "v1").body == now.content
    assert player.get_manifest(image.repository, image.digest).body == image.content


def test_a_deletion_for_good(owner: Api, player: Client, image: Image) -> None:
    owner.done("DELETE", artifact_path(image))
    (told,) = deletions(owner, image.repository)
    path = f"/projects/{project_of(image.repository)}/deletions/{told['id']}"
    assert owner.get(path) == told
    owner.done("DELETE", path)
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
        answer = owner(method, path + below)
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert owner("POST", artifact_path(image, "/restore")).status == 404


def test_another_project_does_not_see_it(world: World, owner: Api, image: Image) -> None:
    """Though the caller may do everything in both."""
    owner.done("DELETE", artifact_path(image))
    (told,) = deletions(owner, image.repository)
    other = world.project()
    path = f"/projects/{other}/deletions"
    assert owner.get(path) == []
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
        assert owner(method, f"{path}/{told['id']}{below}").status == 404
    player = world.player()
    mine = player.push_image(world.repository(other), "v1")
    assert owner("POST", artifact_path(mine, "/restore", image.digest)).status == 404
    assert len(deletions(owner, image.repository)) == 1


def test_who_may_purge(world: World, owner: Api, image: Image) -> None:
    """A robot that may delete artifacts and no repositories."""
    project = project_of(image.repository)
    robot = Api(world.url, world.robot(project, ("artifact:create", "artifact:delete")))
    owner.done("DELETE", path_of(image.repository))
    (told,) = deletions(robot, image.repository)
    assert robot("DELETE", f"/projects/{project}/deletions/{told['id']}").status == 403
    undo(robot, image.repository, told["id"])
    owner.done("DELETE", artifact_path(image))
    (told,) = deletions(robot, image.repository)
    robot.done("DELETE", f"/projects/{project}/deletions/{told['id']}")


@pytest.mark.parametrize("reference", ["v1", "latest", "sha256:12", "sha256"])
def test_an_artifact_is_restored_by_its_digest(owner: Api, image: Image, reference: str) -> None:
    answer = owner("POST", artifact_path(image, "/restore", reference))
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "reference" in answer.json()["errors"][0]["message"]


def test_an_artifact_that_never_was(owner: Api, image: Image) -> None:
    answer = owner("POST", artifact_path(image, "/restore", sha256(b"never")))
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    answer = owner("POST", artifact_path(image, "/restore"))
    assert (answer.status, answer.json()["artifacts"]) == (200, 0)


def test_a_project_comes_back(world: World, owner: Api, player: Client) -> None:
    guest = world.user()
    name = world.project(members={guest: "guest"})
    image = player.push_image(f"{name}/app", "v1")
    robot = world.robot(name)
    project_id = owner.get(f"/projects/{name}")["project_id"]
    owner.done("DELETE", path_of(image.repository))
    owner.done("DELETE", f"/projects/{name}")
    (told,) = owner.get("/deletedprojects", q=f"name={name}")
    assert (told["project_id"], told["username"]) == (project_id, world.owner.login)
    assert Api(world.url, guest).get("/deletedprojects") == []
    answer = owner("POST", f"/deletedprojects/{project_id}/restore")
    assert (answer.status, answer.json()) == (200, {"project_id": project_id, "name": name})
    assert Api(world.url, guest).get(f"/projects/{name}")["project_id"] == project_id
    (deletion,) = deletions(owner, image.repository)
    undo(owner, image.repository, deletion["id"])
    assert world.client(robot).get_manifest(image.repository, "v1").body == image.content


def test_a_name_that_was_taken_is_told(world: World, owner: Api, admin: Api) -> None:
    name = world.project()
    project_id = owner.get(f"/projects/{name}")["project_id"]
    owner.done("DELETE", f"/projects/{name}")
    admin.create("/projects", {"project_name": name})
    answer = owner("POST", f"/deletedprojects/{project_id}/restore")
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])
    owner.done("DELETE", f"/deletedprojects/{project_id}")
    assert owner("POST", f"/deletedprojects/{project_id}/restore").status == 404


def test_a_list_is_filtered_and_sorted(world: World, owner: Api, player: Client) -> None:
    repository = f"{world.project()}/{fresh('repo')}"
    images = [player.push_image(repository, f"v{number}") for number in range(3)]
    for image in images:
        owner.done("DELETE", artifact_path(image))
    digests = [image.digest for image in images]
    assert [told["digest"] for told in deletions(owner, repository)] == digests[::-1]
    path = f"/projects/{project_of(repository)}/deletions"
    assert [told["digest"] for told in owner.get(path, sort="op_time,id")] == digests
    assert [told["digest"] for told in owner.get(path, q=f"digest={digests[1]}")] == [digests[1]]
    assert owner.get(path, q="kind=repository") == owner.get(path, q="reason=gc") == []
    assert owner("GET", path, query={"q": "secret=x"}).status == 400
