"""A renamed repository answers to its old names too."""

import pytest

from tests.factories import World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api.paths import path_of
from tests.rest.api import Api


@pytest.fixture
def image(world: World, player: Client) -> Image:
    return player.push_image(world.repository(), "v1")


def rename(owner: Api, repository: str, path: str) -> str:
    """The new name."""
    answer = owner("PATCH", path_of(repository), {"name": path})
    assert answer.status == 200, answer
    name = f"{repository.partition('/')[0]}/{path}"
    assert answer.json()["name"] == name
    return name


def redirects(owner: Api, repository: str) -> list[str]:
    return [item["name"] for item in owner.get(path_of(repository, "/redirects"))]


def below(repository: str) -> str:
    return repository.partition("/")[2]


def test_both_names_work(world: World, owner: Api, player: Client, image: Image) -> None:
    old, token = image.repository, player.token_text(f"repository:{image.repository}:pull")
    before = owner.get(path_of(old))
    new = rename(owner, old, f"deep/{fresh('repo')}")
    assert player.pull(new, "v1") == player.pull(old, "v1")
    assert player.tags(old) == player.tags(new) == ["v1"]
    assert player.catalog().count(new) == 1
    assert old not in player.catalog()
    held = {"Authorization": f"Bearer {token}"}
    assert player.send("GET", f"/v2/{old}/manifests/v1", headers=held).status == 200, "a token issued before is good"
    shown = owner.get(path_of(old))
    changed = {key: shown[key] for key in ("update_time", "pull_count")}  # the pulls above are counted meanwhile
    assert shown == {**before, "name": new, **changed}
    assert owner.get(path_of(new))["id"] == shown["id"]
    listed = [item["name"] for item in owner.all(f"/projects/{world.home}/repositories", page_size=100)]
    assert (new in listed, old in listed) == (True, False)
    assert redirects(owner, new) == [below(old)]


def test_a_push_to_the_old_name_goes_to_the_renamed_repository(owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    new = rename(owner, old, fresh("repo"))
    pushed = player.push_image(old, "v2")
    assert player.pull(new, "v2").keys() >= {pushed.digest}
    assert owner.get(path_of(new))["artifact_count"] == 2
    owner.create(path_of(old, "/artifacts/v2/tags"), {"name": "v3"})
    assert player.tags(new) == ["v1", "v2", "v3"]


def test_who_uses_an_old_name_is_told_the_new_one(owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    assert "Warning" not in player.get_manifest(old, "v1").headers
    new = rename(owner, old, fresh("repo"))
    for _ in range(3):  # the last ones from memory
        assert new in player.get_manifest(old, "v1").headers["Warning"]
        assert "Warning" not in player.get_manifest(new, "v1").headers


def test_names_add_up(owner: Api, player: Client, image: Image) -> None:
    first = image.repository
    second = rename(owner, first, fresh("repo"))
    third = rename(owner, first, fresh("repo"))
    assert {below(first), below(second)} == set(redirects(owner, third))
    for name in (first, second, third):
        assert player.pull(name, "v1").keys() >= {image.digest}
    rename(owner, third, below(first))
    assert set(redirects(owner, first)) == {below(second), below(third)}
    assert player.pull(third, "v1").keys() >= {image.digest}
    assert rename(owner, first, below(first)) == first, "the name it has already"
    assert set(redirects(owner, first)) == {below(second), below(third)}


def test_a_repository_that_is_given_the_name_ends_the_redirect(
    world: World, owner: Api, player: Client, image: Image
) -> None:
    old = image.repository
    new = rename(owner, old, fresh("repo"))
    for _ in range(3):  # so that it is answered from memory
        assert player.get_manifest(old, "v1").status == 200
    other = player.push_image(world.repository(), "v1")
    rename(owner, other.repository, below(old))
    assert player.get_manifest(old, "v1").headers["Docker-Content-Digest"] == other.digest
    assert redirects(owner, new) == []
    owner.done("DELETE", path_of(old))
    assert player.get_manifest(old, "v1").status == 404, "the name does not fall back"
    assert player.pull(new, "v1").keys() >= {image.digest}


def test_without_the_redirect_a_push_makes_a_new_repository(owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    new = rename(owner, old, fresh("repo"))
    assert player.get_manifest(old, "v1").status == 200
    owner.done("DELETE", path_of(new, f"/redirects/{below(old)}"))
    assert owner("DELETE", path_of(new, f"/redirects/{below(old)}")).status == 404
    assert player.get_manifest(old, "v1").status == 404
    assert owner("GET", path_of(old)).status == 404
    pushed = player.push_image(old, "v1")
    assert pushed.digest not in player.pull(new, "v1")
    assert owner.get(path_of(old))["id"] != owner.get(path_of(new))["id"]


def test_a_redirect_goes_with_its_repository(owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    owner.done("DELETE", path_of(rename(owner, old, fresh("repo"))))
    assert owner("GET", path_of(old)).status == 404
    assert player.get_manifest(old, "v1").status == 404
    assert player.push_image(old, "v1")


def test_a_name_that_is_taken_is_a_conflict(world: World, owner: Api, player: Client, image: Image) -> None:
    other = player.push_image(world.repository(), "v1")
    answer = owner("PATCH", path_of(image.repository), {"name": below(other.repository)})
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])
    assert player.pull(other.repository, "v1").keys() >= {other.digest}
    assert player.pull(image.repository, "v1").keys() >= {image.digest}


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "Upper"}, {"name": "a//b"}, {"name": "/a"}, {"name": "a" * 250}, {"name": 1}, [], None],
)
def test_a_bad_name_is_refused(owner: Api, image: Image, body: object) -> None:
    answer = owner("PATCH", path_of(image.repository), body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert owner.get(path_of(image.repository))["name"] == image.repository


def test_renaming_is_for_maintainers(world: World, player: Client, stranger: Api, nobody: Api) -> None:
    developer, maintainer = world.user(), world.user()
    project = world.project(members={developer: "developer", maintainer: "maintainer"})
    repository = player.push_image(world.repository(project)).repository
    for api, status in ((Api(world.url, developer), 403), (stranger, 404), (nobody, 401)):
        assert api("PATCH", path_of(repository), {"name": "new"}).status == status
        assert api("DELETE", path_of(repository, "/redirects/old")).status == status
    assert Api(world.url, maintainer)("PATCH", path_of(repository), {"name": "new"}).status == 200


def test_an_old_name_opens_nothing_to_strangers(world: World, owner: Api, image: Image, stranger: Api) -> None:
    old = image.repository
    new = rename(owner, old, fresh("repo"))
    absent = f"{world.home}/{fresh('absent')}"
    for name in (old, new, absent):
        assert stranger("GET", path_of(name)).body == stranger("GET", path_of(absent)).body
    assert stranger.account is not None
    visitor = world.client(stranger.account)
    for name in (old, new):
        assert visitor.get_manifest(name, "v1").status == visitor.get_manifest(absent, "v1").status == 403


def test_a_blob_is_mounted_from_an_old_name(world: World, owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    rename(owner, old, fresh("repo"))
    digest = image.document["layers"][0]["digest"]
    assert player.mount(world.repository(), digest, old).status == 201


def test_another_project_knows_nothing_of_it(world: World, owner: Api, player: Client, image: Image) -> None:
    old = image.repository
    rename(owner, old, fresh("repo"))
    elsewhere = f"{world.project()}/{below(old)}"
    assert player.get_manifest(elsewhere, "v1").status == 404
    pushed = player.push_image(elsewhere, "v1")
    assert pushed.digest not in player.pull(old, "v1")
