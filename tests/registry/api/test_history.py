"""Where tags pointed, and restoring that."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.factories import World
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api.paths import artifact_path, path_of
from tests.rest.api import Api


@pytest.fixture
def moved(world: World, player: Client) -> tuple[Image, Image]:
    """What the tag v1 pointed to first, and what it points to now."""
    first = player.push_image(world.repository(), "v1")
    return first, player.push_image(first.repository, "v1")


def history(owner: Api, repository: str, tag: str = "v1") -> list[dict[str, object]]:
    return owner.all(path_of(repository, f"/tags/{tag}/history"))


def restore(owner: Api, repository: str, body: object, tag: str = "v1") -> object:
    answer = owner("POST", path_of(repository, f"/tags/{tag}/restore"), body)
    assert answer.status == 200, answer
    return answer.json()


def digest_of(player: Client, repository: str, tag: str = "v1") -> str:
    return player.get_manifest(repository, tag).headers.get("Docker-Content-Digest", "")


def test_every_move_is_told(world: World, owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    assert player.delete(first.repository, "v1").status == 202
    moves = history(owner, first.repository)
    assert [(move["from_digest"], move["to_digest"]) for move in moves] == [
        (second.digest, None),
        (first.digest, second.digest),
        (None, first.digest),
    ]
    assert {(move["tag"], move["username"]) for move in moves} == {("v1", world.owner.login)}
    assert [(move["from_exists"], move["to_exists"]) for move in moves] == [(True, False), (True, True), (False, True)]
    assert [move["id"] for move in moves] == sorted((move["id"] for move in moves), reverse=True)
    times = [str(move["op_time"]) for move in moves]
    assert times == sorted(times, reverse=True)


def test_what_is_gone_is_told_and_comes_back(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    assert player.delete(first.repository, first.digest).status == 202
    latest = history(owner, first.repository)[0]
    assert (latest["from_exists"], latest["to_exists"]) == (False, True)
    assert (latest["from_restorable"], latest["to_restorable"]) == (True, False)
    restore(owner, first.repository, {"digest": first.digest})
    assert player.pull(first.repository, "v1") == player.pull(first.repository, first.digest)
    assert digest_of(player, first.repository) == first.digest
    move = history(owner, first.repository)[0]
    assert (move["from_digest"], move["to_digest"], move["to_exists"]) == (second.digest, first.digest, True)


def test_what_is_gone_for_good_does_not_come_back(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    assert player.delete(first.repository, first.digest).status == 202
    project = f"/projects/{first.repository.partition('/')[0]}"
    (deletion,) = owner.get(f"{project}/deletions", q=f"digest={first.digest}")
    owner.done("DELETE", f"{project}/deletions/{deletion['id']}")
    assert history(owner, first.repository)[0]["from_restorable"] is False
    answer = owner("POST", path_of(first.repository, "/tags/v1/restore"), {"digest": first.digest})
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert digest_of(player, first.repository) == second.digest


def past(owner: Api, repository: str, at: object) -> Any:
    return owner.get(path_of(repository, "/tags/v1/past"), at=at)


def test_a_tag_is_pulled_as_it_was_at_a_time(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    assert player.delete(first.repository, first.digest).status == 202
    assert player.delete(first.repository, "v1").status == 202
    gone, became, made = history(owner, first.repository)
    then = past(owner, first.repository, latest(made))
    assert (then["digest"], then["exists"], then["restorable"]) == (first.digest, False, True)
    assert (then["move_id"], then["op_time"]) == (made["id"], made["op_time"])
    assert owner("POST", artifact_path(first, "/restore")).status == 200
    assert player.get_manifest(first.repository, then["digest"]).body == first.content
    assert past(owner, first.repository, latest(made))["exists"] is True
    assert past(owner, first.repository, latest(became))["digest"] == second.digest
    assert past(owner, first.repository, latest(gone))["digest"] is None
    assert owner("GET", path_of(first.repository, "/tags/v1/past"), query={"at": "2020-01-01T00:00:00Z"}).status == 404


def latest(move: Mapping[str, object]) -> str:
    """The end of the millisecond in which it was made."""
    return f"{str(move['op_time'])[:-1]}999Z"


@pytest.mark.parametrize("query", [{}, {"at": "yesterday"}, {"at": "2026-13-01T00:00:00Z"}, {"at": "9" * 40}])
def test_a_bad_time_is_refused(owner: Api, moved: tuple[Image, Image], query: dict[str, object]) -> None:
    answer = owner("GET", path_of(moved[0].repository, "/tags/v1/past"), query=query)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "at" in answer.json()["errors"][0]["message"]


def test_a_repository_tells_of_all_its_tags(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, _ = moved
    other = player.push_image(first.repository, "other")
    path = path_of(first.repository, "/history")
    assert [move["tag"] for move in owner.get(path)] == ["other", "v1", "v1"]
    assert [move["tag"] for move in owner.get(path, q="tag=other")] == ["other"]
    assert [move["tag"] for move in owner.get(path, q=f"to_digest={other.digest}")] == ["other"]
    assert [move["tag"] for move in owner.get(path, sort="tag,id", page_size=2)] == ["other", "v1"]
    assert owner("GET", path, query={"q": "actor=x"}).status == 400
    assert history(owner, first.repository, "never") == []


def test_a_tag_goes_back(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    shown = restore(owner, first.repository, {"digest": first.digest})
    assert isinstance(shown, dict)
    assert shown["name"] == "v1"
    assert digest_of(player, first.repository) == first.digest
    move = history(owner, first.repository)[0]
    assert (move["from_digest"], move["to_digest"]) == (second.digest, first.digest)
    restore(owner, first.repository, {"digest": first.digest})
    assert len(history(owner, first.repository)) == 3, "what points there already does not move"


def test_a_tag_goes_back_to_a_move(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    made = history(owner, first.repository)[-1]["id"]
    restore(owner, first.repository, {"move_id": made})
    assert digest_of(player, first.repository) == first.digest
    assert player.delete(first.repository, "v1").status == 202
    deleted = history(owner, first.repository)[0]
    restore(owner, first.repository, {"move_id": deleted["id"]})
    assert digest_of(player, first.repository) == first.digest, "a deletion is undone"
    assert second.digest != first.digest


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "digest"),
        ({"digest": "sha256:1"}, "digest"),
        ({"digest": 1}, "digest"),
        ({"move_id": "1"}, "move_id"),
        ({"move_id": -1}, "move_id"),
        ({"move_id": 2**70}, "move_id"),
        ({"digest": f"sha256:{'0' * 64}", "move_id": 1}, "either"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_bad_request_is_refused(owner: Api, moved: tuple[Image, Image], body: object, named: str) -> None:
    answer = owner("POST", path_of(moved[0].repository, "/tags/v1/restore"), body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert named in answer.json()["errors"][0]["message"]


def test_only_what_the_tag_was_is_restored(owner: Api, player: Client, moved: tuple[Image, Image]) -> None:
    first, second = moved
    other = player.push_image(first.repository, "other")
    foreign = history(owner, first.repository, "other")[0]["id"]
    for body in ({"digest": other.digest}, {"digest": f"sha256:{'0' * 64}"}, {"move_id": foreign}, {"move_id": 2**62}):
        answer = owner("POST", path_of(first.repository, "/tags/v1/restore"), body)
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert owner("POST", path_of(first.repository, "/tags/a%20b/restore"), {"digest": other.digest}).status == 400
    assert digest_of(player, first.repository) == second.digest


def test_a_move_of_another_repository_is_none_of_this_one(
    world: World, owner: Api, player: Client, moved: tuple[Image, Image]
) -> None:
    other = player.push_image(world.repository(), "v1")
    foreign = history(owner, other.repository)[0]["id"]
    answer = owner("POST", path_of(moved[0].repository, "/tags/v1/restore"), {"move_id": foreign})
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])


def test_restoring_is_for_who_may_tag(world: World, player: Client, stranger: Api, nobody: Api) -> None:
    guest, developer = world.user(), world.user()
    project = world.project(members={guest: "guest", developer: "developer"})
    image = player.push_image(world.repository(project), "v1")
    second = player.push_image(image.repository, "v1")
    path, body = path_of(image.repository, "/tags/v1/restore"), {"digest": image.digest}
    for api, status in ((Api(world.url, guest), 403), (stranger, 404), (nobody, 401)):
        assert api("POST", path, body).status == status
        for listed in ("/history", "/tags/v1/history"):
            assert api("GET", path_of(image.repository, listed)).status == (200 if status == 403 else status)
    assert digest_of(player, image.repository) == second.digest
    assert Api(world.url, developer)("POST", path, body).status == 200
