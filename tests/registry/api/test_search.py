"""Search and statistics."""

import pytest

from tests.factories import World, fresh
from tests.ociclient import Client
from tests.registry.api.paths import path_of
from tests.rest.api import Api


def found(api: Api, text: str) -> tuple[list[str], list[str]]:
    """Names of the projects and of the repositories."""
    answer = api.get("/search", q=text)
    assert set(answer) == {"project", "repository"}
    names = [item["name"] for item in answer["project"]], [item["repository_name"] for item in answer["repository"]]
    assert names == tuple(sorted(part) for part in names)
    return names


def test_found_things_are_shown_as_harbor_shows_them(world: World, owner: Api, player: Client) -> None:
    repository = player.push_image(world.repository(world.project(is_public=True)), "v1").repository
    project = owner.get(f"/projects/{repository.partition('/')[0]}")
    answer = owner.get("/search", q=repository)
    assert answer == {
        "project": [],
        "repository": [
            {
                "project_id": project["project_id"],
                "project_name": project["name"],
                "project_public": True,
                "repository_name": repository,
                "pull_count": 0,
                "artifact_count": 1,
            }
        ],
    }
    assert owner.get("/search", q=project["name"])["project"] == [project]
    assert project["repo_count"] == 1


def test_names_are_found_by_their_parts(world: World, owner: Api, player: Client) -> None:
    project, mark = world.project(), fresh("mark")
    repository = player.push_image(f"{project}/deep/{mark}").repository
    assert found(owner, project) == ([project], [repository])
    assert found(owner, mark.upper()) == ([], [repository])
    assert found(owner, f"{project}/deep") == ([], [repository])
    assert found(owner, f"{mark}%") == found(owner, "%") == found(owner, fresh("absent")) == ([], [])
    everything = found(owner, "")
    assert project in everything[0]
    assert repository in everything[1]


def test_only_what_may_be_seen_is_found(
    world: World, owner: Api, player: Client, stranger: Api, nobody: Api, admin: Api
) -> None:
    mark = fresh("mark")
    hidden, shown = world.project(), world.project(is_public=True)
    for project in (hidden, shown):
        player.push_image(f"{project}/{mark}")
    for api in (owner, admin):
        assert found(api, mark)[1] == sorted([f"{hidden}/{mark}", f"{shown}/{mark}"])
        assert found(api, hidden)[0] == [hidden]
    for api in (stranger, nobody):
        assert found(api, mark) == ([], [f"{shown}/{mark}"])
        assert found(api, hidden) == ([], [])


@pytest.mark.parametrize("query", [{}, {"q": "a\x00"}, {"q": "a\nb"}, {"q": "x" * 1000}])
def test_a_bad_question_is_told_apart(owner: Api, query: dict[str, str]) -> None:
    answer = owner("GET", "/search", query=query)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "q" in answer.json()["errors"][0]["message"]


# Statistics.


def test_statistics_count_what_the_caller_sees(world: World, player: Client, admin: Api, nobody: Api) -> None:
    person = world.user()
    api = Api(world.url, person)
    before, before_admin = api.get("/statistics"), admin.get("/statistics")
    assert set(before) == {
        "private_project_count",
        "private_repo_count",
        "public_project_count",
        "public_repo_count",
        "total_project_count",
        "total_repo_count",
        "total_storage_consumption",
    }
    private = world.project(owner=person)
    public, foreign = world.project(is_public=True), world.project()
    mine = world.client(person)
    for name in ("one", "two"):
        mine.push_image(f"{private}/{name}")
    pushed = player.push_image(f"{public}/three")
    player.push_image(f"{foreign}/four")

    def grown(after: dict[str, int], earlier: dict[str, int]) -> dict[str, int]:
        return {key: after[key] - earlier[key] for key in after}

    after = api.get("/statistics")
    assert grown(after, before) == {
        "private_project_count": 1,
        "private_repo_count": 2,
        "public_project_count": 1,
        "public_repo_count": 1,
        "total_project_count": 0,
        "total_repo_count": 0,
        "total_storage_consumption": 0,
    }
    assert after["total_project_count"] == after["total_repo_count"] == after["total_storage_consumption"] == 0
    seen = grown(admin.get("/statistics"), before_admin)
    assert (seen["private_project_count"], seen["private_repo_count"]) == (2, 3)
    assert (seen["total_project_count"], seen["total_repo_count"]) == (3, 4)
    assert seen["total_storage_consumption"] > sum(map(len, pushed.layers))
    assert nobody("GET", "/statistics").status == 401


def test_bytes_count_once(world: World, player: Client, admin: Api) -> None:
    image = player.push_image(world.repository(), "v1")
    before = admin.get("/statistics")["total_storage_consumption"]
    other = world.repository(world.project())
    for blob in (image.config, *image.layers):
        player.push_blob(other, blob)
    assert player.push_manifest(other, "v1", image.content, image.media_type).status == 201
    assert admin.get("/statistics")["total_storage_consumption"] == before
    assert admin.get(path_of(other))["artifact_count"] == 1
