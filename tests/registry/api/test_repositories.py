"""Repositories over REST: lists, one, its description, deleting it or many."""

import re

import pytest

from tests.factories import World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api.paths import path_of, project_of
from tests.rest.api import Api, twice
from tests.wire import basic, raw

KEYS = {
    "id", "project_id", "name", "description", "artifact_count", "pull_count", "creation_time", "update_time",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def image(world: World, player: Client) -> Image:
    """In a repository with slashes in its name, in a project of its own; nobody changes it."""
    return player.push_image(f"{world.project()}/deep/down/{fresh('repo')}", "v1")


def names(owner: Api, project: str, **query: object) -> list[str]:
    return [item["name"] for item in owner.get(f"/projects/{project}/repositories", **query)]


# Reading.


def test_a_repository_is_shown_as_harbor_shows_it(owner: Api, image: Image) -> None:
    shown = owner.get(path_of(image.repository))
    assert set(shown) == KEYS
    assert shown["name"] == image.repository
    assert (shown["description"], shown["artifact_count"]) == ("", 1)
    assert TIME.fullmatch(shown["creation_time"])
    assert shown["project_id"] == owner.get(f"/projects/{project_of(image.repository)}")["project_id"]
    assert owner.get(f"/projects/{project_of(image.repository)}/repositories") == [shown]
    assert shown in owner.get("/repositories", page_size=100, q=f"name={image.repository}")


def test_a_project_is_named_by_id_too(owner: Api, image: Image) -> None:
    shown = owner.get(path_of(image.repository))
    _, path = image.repository.split("/", 1)
    assert owner.get(f"/projects/{shown['project_id']}/repositories/{twice(path)}") == shown


@pytest.mark.parametrize("path", ["absent", "Upper", "a%2500b", "..%252F..", "a%252F", "%252Fa", "a" * 300])
def test_what_is_no_repository_is_not_found(owner: Api, image: Image, path: str) -> None:
    answer = owner("GET", f"/projects/{project_of(image.repository)}/repositories/{path}")
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])


def test_lists_are_filtered_sorted_and_paged(world: World, owner: Api, player: Client) -> None:
    project = world.project()
    for name in ("alpha", "beta/one", "beta/two", "gamma"):
        player.push_image(f"{project}/{name}")
    everything = [f"{project}/{name}" for name in ("alpha", "beta/one", "beta/two", "gamma")]
    assert names(owner, project) == everything[::-1], "the newest first"
    assert names(owner, project, sort="name") == everything
    assert names(owner, project, sort="-name") == everything[::-1]
    assert names(owner, project, q="name=~BETA", sort="name") == everything[1:3]
    assert names(owner, project, q=f"name={project}/alpha") == everything[:1]
    assert names(owner, project, q="name=alpha") == [], "a name has its project's before it, as in Harbor"
    found = list(owner.pages(f"/projects/{project}/repositories", sort="name", page_size=3))
    assert [[item["name"] for item in page.json()] for page in found] == [everything[:3], everything[3:]]
    assert {page.headers["X-Total-Count"] for page in found} == {"4"}
    past = owner("GET", f"/projects/{project}/repositories", query={"page": 9})
    assert (past.status, past.json(), past.headers["X-Total-Count"]) == (200, [], "4")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"q": "owner=me"}, "owner"),
        ({"q": "pull_count=many"}, "pull_count"),
        ({"q": "name"}, "q"),
        ({"q": "name=\x00"}, "name"),
        ({"sort": "secret"}, "sort"),
        ({"page": "0"}, "page"),
        ({"page_size": "101"}, "page_size"),
    ],
)
def test_a_bad_question_is_told_apart(owner: Api, image: Image, query: dict[str, str], named: str) -> None:
    for path in ("/repositories", f"/projects/{project_of(image.repository)}/repositories"):
        answer = owner("GET", path, query=query)
        assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"]), answer
        assert named in answer.json()["errors"][0]["message"]


def test_who_sees_which(world: World, player: Client, owner: Api, stranger: Api, nobody: Api, admin: Api) -> None:
    hidden = player.push_image(world.repository(world.project())).repository
    shown = player.push_image(world.repository(world.project(is_public=True))).repository

    def listed(api: Api) -> set[str]:
        return {item["name"] for item in api.all("/repositories", page_size=100)} & {hidden, shown}

    assert listed(owner) == listed(admin) == {hidden, shown}
    assert listed(stranger) == listed(nobody) == {shown}
    for api, status in ((stranger, 404), (nobody, 401)):
        assert api("GET", f"/projects/{project_of(hidden)}/repositories").status == status
        assert api("GET", path_of(hidden)).status == status
        assert api("GET", f"/projects/{fresh('absent')}/repositories").status == status
        assert api.get(f"/projects/{project_of(shown)}/repositories")[0]["name"] == shown


def test_a_repository_of_another_project_is_not_found(world: World, owner: Api, image: Image) -> None:
    _, path = image.repository.split("/", 1)
    for method, body in (("GET", None), ("PUT", {"description": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = owner(method, f"/projects/{world.home}/repositories/{twice(path)}", body)
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert owner.get(path_of(image.repository))["description"] == ""


# Describing.


def test_only_the_description_is_written(world: World, owner: Api, player: Client) -> None:
    repository = player.push_image(f"{world.home}/a/{fresh('repo')}").repository
    before = owner.get(path_of(repository))
    text = "# What it is\n\n<b>Über</b> \U0001f433"
    owner.done("PUT", path_of(repository), {**before, "description": text, "name": "other/name", "pull_count": 7})
    after = owner.get(path_of(repository))
    assert after == {**before, "description": text, "update_time": after["update_time"]}
    assert after["update_time"] > before["update_time"]
    owner.done("PUT", path_of(repository), {})
    assert owner.get(path_of(repository))["description"] == ""


@pytest.mark.parametrize(
    "body",
    [
        {"description": 7},
        {"description": "a\x00b"},
        {"description": "a\u202eb"},
        {"description": "x" * 70_000},
        {"description": ["x"]},
        [],
        "text",
        b"{",
        b"\xff\xfe",
        b'{"description": "\\ud800"}',
    ],
)
def test_a_bad_description_is_refused(owner: Api, image: Image, body: object) -> None:
    answer = owner("PUT", path_of(image.repository), body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


# Deleting.


def test_a_deleted_repository_is_gone_with_everything_in_it(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(), "v1")
    player.attach(image, "application/vnd.example")
    player.push_index(image.repository, "all", [image])
    session = player.session_of(image.repository)
    owner.done("DELETE", path_of(image.repository))
    assert owner("GET", path_of(image.repository)).status == 404
    assert owner("DELETE", path_of(image.repository)).status == 404
    assert image.repository not in names(owner, world.home, page_size=100)
    for path in (
        f"manifests/{image.digest}",
        "manifests/v1",
        f"blobs/{image.document['config']['digest']}",
        "tags/list",
    ):
        assert player.request("GET", f"/v2/{image.repository}/{path}").status == 404
    assert player.request("GET", session).status == 404
    assert world.clerk("violations") == []
    again = player.push_image(image.repository, "v1")
    assert player.pull(image.repository, "v1").keys() >= {again.digest}
    history = owner.get(path_of(image.repository, "/tags/v1/history"))
    assert [(move["from_digest"], move["to_digest"]) for move in history] == [(None, again.digest)]


def test_what_other_repositories_hold_stays(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(), "v1")
    other = world.repository()
    for blob in (image.config, *image.layers):
        player.push_blob(other, blob)
    assert player.push_manifest(other, "v1", image.content, image.media_type).status == 201
    owner.done("DELETE", path_of(image.repository))
    assert player.pull(other, "v1").keys() >= {image.digest}


def test_a_project_can_be_deleted_once_its_repositories_are(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(world.project()), "v1")
    project = project_of(image.repository)
    assert owner("DELETE", f"/projects/{project}").status == 412
    owner.done("DELETE", path_of(image.repository))
    owner.done("DELETE", f"/projects/{project}")


@pytest.mark.parametrize(
    ("role", "status"), [("guest", 403), ("limited guest", 403), ("developer", 403), ("maintainer", 200)]
)
def test_deleting_is_for_maintainers(world: World, player: Client, role: str, status: int) -> None:
    member = world.user()
    repository = player.push_image(world.repository(world.project(members={member: role}))).repository
    assert Api(world.url, member)("DELETE", path_of(repository)).status == status
    assert Api(world.url, member)("GET", path_of(repository)).status == (404 if status == 200 else 200)


def test_a_remembered_manifest_is_gone_at_once(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(), "v1")
    for _ in range(3):  # so that it is answered from memory
        assert player.get_manifest(image.repository, "v1").status == 200
    owner.done("DELETE", path_of(image.repository))
    assert player.get_manifest(image.repository, "v1").status == 404


# Many at once.


def test_many_repositories_are_deleted_each_by_itself(world: World, owner: Api, player: Client) -> None:
    project = world.project()
    for name in ("one", "two/deep", "kept"):
        player.push_image(f"{project}/{name}", "v1")
    asked = ["one", "absent", "two/deep", "Not A Name", "one"]
    answer = owner("POST", f"/projects/{project}/repositories/_delete", {"repositories": asked})
    assert answer.status == 200
    found = {item["name"]: (item["status"], item["code"]) for item in answer.json()}
    assert found == {
        "one": (200, ""),
        "absent": (404, "NOT_FOUND"),
        "two/deep": (200, ""),
        "Not A Name": (404, "NOT_FOUND"),
    }
    assert all(bool(item["message"]) == (item["status"] != 200) for item in answer.json())
    assert names(owner, project) == [f"{project}/kept"]


@pytest.mark.parametrize(
    "body",
    [{}, {"repositories": []}, {"repositories": "one"}, {"repositories": [1]}, {"repositories": ["a"] * 101}, [], None],
)
def test_a_bad_list_is_refused(world: World, owner: Api, body: object) -> None:
    answer = owner("POST", f"/projects/{world.home}/repositories/_delete", body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_deleting_many_is_for_who_may_delete_one(world: World, player: Client, stranger: Api, nobody: Api) -> None:
    guest = world.user()
    repository = player.push_image(world.repository(world.project(members={guest: "guest"}))).repository
    project, path = repository.split("/", 1)
    for api, status in ((Api(world.url, guest), 403), (stranger, 404), (nobody, 401)):
        answer = api("POST", f"/projects/{project}/repositories/_delete", {"repositories": [path]})
        assert answer.status == status
    assert player.tags(repository) == []


def test_slashes_reach_the_server_as_clients_send_them(world: World, image: Image) -> None:
    """Encoded twice, as Harbor asks for; encoded once the server's own decoding leaves no single segment."""
    project, path = image.repository.split("/", 1)
    headers = basic(world.owner.login, world.owner.secret)
    sent = f"/api/v2.0/projects/{project}/repositories/{path.replace('/', '%252F')}"
    assert raw(world.url, "GET", sent, headers).json()["name"] == image.repository
    assert raw(world.url, "GET", sent.replace("%252F", "%252f"), headers).json()["name"] == image.repository
