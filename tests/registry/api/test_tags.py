"""The tags of an artifact over REST."""

import re
from datetime import datetime

import pytest

from tests.factories import World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api.paths import path_of, project_of
from tests.rest.api import Api, twice
from tests.rest.scene import rule_body

NEVER = "0001-01-01T00:00:00.000Z"


@pytest.fixture
def image(world: World, player: Client) -> Image:
    """Tagged v1, in a repository whose name has a slash."""
    return player.push_image(f"{world.home}/a/{fresh('repo')}", "v1")


def tags_path(image: Image, tag: str | None = None, reference: str | None = None) -> str:
    return path_of(image.repository, f"/artifacts/{reference or image.digest}/tags{f'/{tag}' if tag else ''}")


def test_a_tag_is_shown_as_harbor_shows_it(owner: Api, image: Image) -> None:
    (shown,) = owner.get(tags_path(image))
    assert set(shown) == {"id", "repository_id", "artifact_id", "name", "push_time", "pull_time", "immutable"}
    assert (shown["name"], shown["pull_time"], shown["immutable"]) == ("v1", NEVER, False)
    assert shown["repository_id"] == owner.get(path_of(image.repository))["id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["push_time"])
    assert owner.get(tags_path(image, reference="v1")) == [shown], "by tag or by digest"


def test_a_new_tag_points_to_the_artifact(world: World, owner: Api, player: Client, image: Image) -> None:
    location = owner.create(tags_path(image), {"name": "v2", "id": 0, "push_time": "2020-01-01T00:00:00.000Z"})
    repository = twice(image.repository.split("/", 1)[1])
    assert location == f"/api/v2.0/projects/{world.home}/repositories/{repository}/artifacts/{image.digest}/tags/v2"
    assert player.pull(image.repository, "v2") == player.pull(image.repository, image.digest)
    owner.create(tags_path(image, reference="v2"), {"name": "Weird_but.legal-1"})
    listed = [tag["name"] for tag in owner.get(tags_path(image), sort="name")]
    assert listed == ["Weird_but.legal-1", "v1", "v2"]
    owner.done("DELETE", location)
    assert player.tags(image.repository) == ["Weird_but.legal-1", "v1"]


def test_a_tag_that_is_there_is_a_conflict(owner: Api, player: Client, image: Image) -> None:
    other = player.push_image(image.repository, "other")
    for taken in ("v1", "other"):
        answer = owner("POST", tags_path(image), {"name": taken})
        assert (answer.status, answer.codes) == (409, ["CONFLICT"])
    assert player.get_manifest(image.repository, "other").headers["Docker-Content-Digest"] == other.digest


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a b"},
        {"name": ".a"},
        {"name": "-a"},
        {"name": "a" * 129},
        {"name": "a\x00"},
        {"name": "a/b"},
        {"name": "ä"},
        {"name": 1},
        {"name": None},
        [],
        None,
        b"{",
    ],
)
def test_a_bad_name_is_refused(owner: Api, image: Image, body: object) -> None:
    answer = owner("POST", tags_path(image), body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    if isinstance(body, dict):
        assert "name" in answer.json()["errors"][0]["message"]
    assert [tag["name"] for tag in owner.get(tags_path(image))] == ["v1"]


@pytest.mark.parametrize("reference", ["absent", f"sha256:{'0' * 64}"])
def test_an_artifact_that_is_not_there_has_no_tags(owner: Api, image: Image, reference: str) -> None:
    for method, path, body in (
        ("GET", tags_path(image, reference=reference), None),
        ("POST", tags_path(image, reference=reference), {"name": "v9"}),
        ("DELETE", tags_path(image, "v1", reference), None),
    ):
        answer = owner(method, path, body)
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])


def test_a_tag_is_deleted_from_its_own_artifact_only(owner: Api, player: Client, image: Image) -> None:
    other = player.push_image(image.repository, "other")
    for name in ("other", "absent"):
        answer = owner("DELETE", tags_path(image, name))
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    owner.done("DELETE", tags_path(other, "other"))
    assert player.tags(image.repository) == ["v1"]
    assert player.pull(image.repository, other.digest), "the artifact stays"
    assert owner.get(tags_path(other)) == []


def test_lists_are_filtered_and_sorted(owner: Api, image: Image) -> None:
    for name in ("v2", "latest", "v3"):
        owner.create(tags_path(image), {"name": name})

    def names(**query: object) -> list[str]:
        return [tag["name"] for tag in owner.get(tags_path(image), **query)]

    assert names() == ["v3", "latest", "v2", "v1"], "the latest first"
    assert names(q="name=~V", sort="-name") == ["v3", "v2", "v1"]
    assert names(q="name={v1 latest}", sort="name") == ["latest", "v1"]
    assert names(page=2, page_size=3) == ["v1"]
    assert names(with_immutable_status="true", with_signature="true", sort="name")[:1] == ["latest"]
    times = [tag["push_time"] for tag in owner.get(tags_path(image), sort="push_time")]
    assert times == sorted(times)
    since = datetime.fromisoformat(times[0]).strftime("%Y-%m-%d %H:%M:%S")
    assert len(names(q=f"push_time=[{since}~]")) == 4


@pytest.mark.parametrize(
    ("query", "named"),
    [({"q": "digest=x"}, "digest"), ({"sort": "size"}, "size"), ({"with_immutable_status": "maybe"}, "with_immutable")],
)
def test_a_bad_question_is_told_apart(owner: Api, image: Image, query: dict[str, str], named: str) -> None:
    answer = owner("GET", tags_path(image), query=query)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert named in answer.json()["errors"][0]["message"]


def test_what_a_rule_covers_is_shown_and_stays(world: World, owner: Api, player: Client) -> None:
    image = player.push_image(world.repository(world.project()), "v1")
    player.push_image(image.repository, "v1")
    owner.create(tags_path(image), {"name": "kept"})
    owner.create(f"/projects/{project_of(image.repository)}/immutabletagrules", rule_body("kept"))
    owner.create(tags_path(image), {"name": "free"})
    shown = owner.get(tags_path(image), with_immutable_status=True)
    assert {tag["name"]: tag["immutable"] for tag in shown} == {"kept": True, "free": False}
    assert not any(tag["immutable"] for tag in owner.get(tags_path(image)))
    for method, path, body in (
        ("DELETE", tags_path(image, "kept"), None),
        ("DELETE", path_of(image.repository), None),
        ("PATCH", path_of(image.repository), {"name": "elsewhere"}),
    ):
        answer = owner(method, path, body)
        assert (answer.status, answer.codes) == (412, ["PRECONDITION"]), answer
    many = owner("POST", path_of(image.repository, "/tags/_delete"), {"tags": ["kept", "free"]}).json()
    assert [(item["status"], item["code"]) for item in many] == [(412, "PRECONDITION"), (200, "")]
    assert player.tags(image.repository) == ["kept", "v1"]


def test_an_immutable_tag_is_not_restored(world: World, owner: Api, player: Client) -> None:
    first = player.push_image(world.repository(world.project()), "v1")
    second = player.push_image(first.repository, "v1")
    owner.create(f"/projects/{project_of(first.repository)}/immutabletagrules", rule_body("v*"))
    answer = owner("POST", path_of(first.repository, "/tags/v1/restore"), {"digest": first.digest})
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    assert player.get_manifest(first.repository, "v1").headers["Docker-Content-Digest"] == second.digest


def test_roles(world: World, player: Client, stranger: Api, nobody: Api) -> None:
    members = {world.user(): role for role in ("limited guest", "guest", "developer", "maintainer")}
    image = player.push_image(world.repository(world.project(members=members)), "v1")
    for account, role in members.items():
        api, name = Api(world.url, account), fresh("tag")
        assert api("GET", tags_path(image)).status == 200
        assert api("POST", tags_path(image), {"name": name}).status == (403 if "guest" in role else 201)
        assert api("DELETE", tags_path(image, name)).status == (200 if role == "maintainer" else 403)
    for api, status in ((stranger, 404), (nobody, 401)):
        assert api("GET", tags_path(image)).status == status
        assert api("POST", tags_path(image), {"name": "x"}).status == status
        assert api("DELETE", tags_path(image, "v1")).status == status


# Many at once.


def test_many_tags_are_deleted_each_by_itself(owner: Api, player: Client, image: Image) -> None:
    player.push_image(image.repository, "v2")
    asked = {"tags": ["v2", "absent", "not a tag", "v1"]}
    answer = owner("POST", path_of(image.repository, "/tags/_delete"), asked)
    assert answer.status == 200
    assert [(item["name"], item["status"]) for item in answer.json()] == [
        ("v2", 200),
        ("absent", 404),
        ("not a tag", 400),
        ("v1", 200),
    ]
    assert player.tags(image.repository) == []


def test_many_artifacts_are_deleted_each_by_itself(owner: Api, player: Client, image: Image) -> None:
    second, third = (player.push_image(image.repository, name) for name in ("v2", "v3"))
    listed = player.push_image(image.repository)
    player.push_index(image.repository, "all", [listed])
    absent = f"sha256:{'0' * 64}"
    asked = {"artifacts": [image.digest, "v2", absent, "absent", "not a tag", listed.digest]}
    answer = owner("POST", path_of(image.repository, "/_delete"), asked)
    assert answer.status == 200
    assert [(item["name"], item["status"]) for item in answer.json()] == [
        (image.digest, 200),
        ("v2", 200),
        (absent, 404),
        ("absent", 404),
        ("not a tag", 400),
        (listed.digest, 412),
    ]
    assert player.tags(image.repository) == ["all", "v3"]
    assert player.get_manifest(image.repository, second.digest).status == 404
    assert player.pull(image.repository, third.digest)


def test_a_tag_called_like_an_operation_is_a_tag(owner: Api, player: Client, image: Image) -> None:
    owner.create(tags_path(image), {"name": "_delete"})
    assert player.pull(image.repository, "_delete")
    assert len(owner.get(path_of(image.repository, "/tags/_delete/history"))) == 1
    owner.done("DELETE", tags_path(image, "_delete"))
    assert player.tags(image.repository) == ["v1"]
