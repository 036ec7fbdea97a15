"""Lists of artifacts over REST: of a repository and of a project, filtered, sorted, paged."""

from collections.abc import Iterator

import pytest

from tests.factories import World, fresh
from tests.images import OCI_CONFIG, OCI_INDEX, Image
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path, path_of
from tests.rest.api import Api


class Shelf:
    """A project with one repository: an image with two tags, an untagged one, a chart, an index; and another one."""

    def __init__(self, world: World, player: Client) -> None:
        self.project = world.project()
        self.repository = f"{self.project}/a/b"
        self.image = goods.push_image(player, self.repository, "v1")
        assert player.push_manifest(self.repository, "stable", self.image.content).status == 201
        self.untagged = goods.push_image(player, self.repository, None)
        self.chart = goods.push_chart(player, self.repository, "0.1.0")
        self.index, self.child, self.attestation = goods.push_multi_arch(player, self.repository, "multi")
        self.signature = goods.sign_by_tag(player, self.image)
        self.other = goods.push_image(player, f"{self.project}/other", "v1")


@pytest.fixture(scope="module")
def shelf(world: World, player: Client) -> Shelf:
    return Shelf(world, player)


def digests(found: list[dict[str, object]]) -> list[object]:
    return [artifact["digest"] for artifact in found]


def test_the_latest_pushed_comes_first(owner: Api, shelf: Shelf) -> None:
    expected = [image.digest for image in (shelf.index, shelf.chart, shelf.untagged, shelf.image)]
    assert digests(owner.get(list_path(shelf.repository))) == expected
    assert digests(owner.get(list_path(shelf.repository), sort="push_time")) == expected[::-1]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("tags=*", ["index", "chart", "image"]),
        ("tags=nil", ["untagged"]),
        ("tags=v1", ["image"]),
        ("tags=~able", ["image"]),
        ("tags=~0.1", ["chart"]),
        ("tags=V1", []),
        ("type=CHART", ["chart"]),
        ("type={CHART IMAGE}", ["index", "chart", "untagged", "image"]),
        ("type=~char", ["chart"]),
        (f"media_type={OCI_CONFIG}", ["untagged", "image"]),
        (f"manifest_media_type={OCI_INDEX}", ["index"]),
        (f"artifact_type={goods.HELM_CONFIG}", ["chart"]),
        ("push_time=[2020-01-01 00:00:00~2020-01-02 00:00:00]", []),
        ("push_time=[2020-01-01~]", ["index", "chart", "untagged", "image"]),
        ("pull_time=[2020-01-01~]", []),
        ("base=*", ["attestation", "child", "index", "chart", "untagged", "image"]),
        ("base=*,tags=nil", ["attestation", "child", "untagged"]),
        ("tags=v1,type=CHART", []),
    ],
)
def test_q_keeps_what_it_says(owner: Api, shelf: Shelf, q: str, expected: list[str]) -> None:
    found = owner.get(list_path(shelf.repository), q=q)
    assert set(digests(found)) == {getattr(shelf, name).digest for name in expected}
    answer = owner("GET", list_path(shelf.repository), query={"q": q, "page_size": 1, "page": 1})
    assert answer.headers["X-Total-Count"] == str(len(expected))


def test_q_finds_a_digest_a_size_and_an_id(owner: Api, shelf: Shelf) -> None:
    (found,) = owner.get(list_path(shelf.repository), q=f"digest={shelf.chart.digest}")
    for q in (f"id={found['id']}", f"size=[{found['size']}~{found['size']}]"):
        assert digests(owner.get(list_path(shelf.repository), q=q)) == [shelf.chart.digest]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"q": "colour=red"}, "colour"),
        ({"q": "tags=[a~b]"}, "tags"),
        ({"q": "tags={a b}"}, "tags"),
        ({"q": "tags=a\x00b"}, "tags"),
        ({"q": "tags=~\x00"}, "tags"),
        ({"q": "repository_name=a/\x00"}, "repository_name"),
        ({"q": "digest=\u202e"}, "digest"),
        ({"q": "labels=1"}, "labels"),
        ({"q": "labels=(a)"}, "labels"),
        ({"q": "labels=(99999999999999999999)"}, "labels"),
        ({"q": "base=x"}, "base"),
        ({"q": "push_time=[yesterday~]"}, "push_time"),
        ({"q": "id=one"}, "id"),
        ({"q": "digest"}, "digest"),
        ({"sort": "tags"}, "tags"),
        ({"sort": "-content"}, "content"),
        ({"page": "0"}, "page"),
        ({"page_size": "101"}, "page_size"),
        ({"with_tag": "perhaps"}, "with_tag"),
        ({"with_label": "2"}, "with_label"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(owner: Api, shelf: Shelf, query: dict[str, str], named: str) -> None:
    for path in (list_path(shelf.repository), f"/projects/{shelf.project}/artifacts"):
        answer = owner("GET", path, query=query)
        assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
        assert named in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("sort", ["size", "-size", "type,-push_time", "digest", "-pull_time", "id", "media_type"])
def test_every_sort_shows_all_once(owner: Api, shelf: Shelf, sort: str) -> None:
    pages = owner.all(list_path(shelf.repository), sort=sort, page_size=1)
    assert len(set(digests(pages))) == len(pages) == 4
    if "size" in sort:
        sizes = [artifact["size"] for artifact in pages]
        assert sizes == sorted(sizes, reverse=sort.startswith("-"))


def test_pages_tell_how_many_there_are(owner: Api, shelf: Shelf) -> None:
    first, second = owner.pages(list_path(shelf.repository), page_size=2, q="", with_tag="true")
    for page in (first, second):
        assert page.headers["X-Total-Count"] == "4"
    assert first.headers["Link"].startswith("</api/v2.0/projects/")
    assert 'rel="next"' in first.headers["Link"]
    assert 'rel="prev"' in second.headers["Link"]
    beyond = owner("GET", list_path(shelf.repository), query={"page": 9, "page_size": 2})
    assert (beyond.status, beyond.json(), beyond.headers["X-Total-Count"]) == (200, [], "4")


def test_only_what_is_asked_for_is_shown(owner: Api, shelf: Shelf) -> None:
    (plain,) = owner.get(list_path(shelf.repository), q="tags=v1", with_tag="false")
    assert {"tags", "labels", "accessories", "inherited_accessories", "scan_overview"}.isdisjoint(plain)
    asked = {
        "with_label": "true", "with_accessory": "true", "with_inherited_accessory": "true", "with_signature": "true",
        "with_scan_overview": "true", "with_sbom_overview": "true", "with_immutable_status": "true",
    }  # fmt: skip
    (full,) = owner.get(list_path(shelf.repository), q="tags=v1", **asked)
    assert [tag["name"] for tag in full["tags"]] == ["stable", "v1"]
    assert full["labels"] == full["inherited_accessories"] == []
    assert [accessory["digest"] for accessory in full["accessories"]] == [shelf.signature.digest]
    assert owner.get(artifact_path(shelf.image), **asked) == full


@pytest.fixture
def immutable(owner: Api, shelf: Shelf) -> Iterator[None]:
    """Tags v* of the project are immutable."""
    rule = {
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
        "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
    }
    number = owner.create_id(f"/projects/{shelf.project}/immutabletagrules", rule)
    yield
    owner.done("DELETE", f"/projects/{shelf.project}/immutabletagrules/{number}")


@pytest.mark.usefixtures("immutable")
def test_tags_tell_whether_they_are_immutable(owner: Api, shelf: Shelf) -> None:
    for path in (artifact_path(shelf.image), list_path(shelf.repository), f"/projects/{shelf.project}/artifacts"):
        found = owner.get(path, with_immutable_status="true")
        artifacts = found if isinstance(found, list) else [found]
        tags = {tag["name"]: tag["immutable"] for artifact in artifacts for tag in artifact["tags"]}
        assert tags["v1"] is True
        assert tags["stable"] is False


# Of a project.


def test_a_project_lists_the_artifacts_of_all_its_repositories(owner: Api, shelf: Shelf) -> None:
    found = owner.get(f"/projects/{shelf.project}/artifacts")
    images = (shelf.other, shelf.index, shelf.chart, shelf.untagged, shelf.image)
    assert digests(found) == [image.digest for image in images]
    assert [artifact["repository_name"] for artifact in found] == [image.repository for image in images]
    answer = owner("GET", f"/projects/{shelf.project}/artifacts", query={"page_size": 1})
    assert answer.headers["X-Total-Count"] == "5"
    by_name = owner.get(f"/projects/{shelf.project}/artifacts", q=f"repository_name={shelf.project}/other")
    assert digests(by_name) == [shelf.other.digest]
    number = owner.get(f"/projects/{shelf.project}")["project_id"]
    assert owner.get(f"/projects/{number}/artifacts") == found


def test_the_latest_of_each_repository(owner: Api, shelf: Shelf) -> None:
    path = f"/projects/{shelf.project}/artifacts"
    answer = owner("GET", path, query={"latest_in_repository": "true", "q": f"media_type={OCI_CONFIG}", "page_size": 1})
    assert answer.headers["X-Total-Count"] == "2"
    found = owner.get(path, latest_in_repository="true", q=f"media_type={OCI_CONFIG}")
    assert digests(found) == [shelf.other.digest, shelf.untagged.digest]
    for q in ("", "type=IMAGE", f"media_type={OCI_CONFIG},artifact_type={OCI_CONFIG}"):
        answer = owner("GET", path, query={"latest_in_repository": "true", "q": q})
        assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_nothing_of_other_projects_is_listed(
    world: World, owner: Api, stranger: Api, nobody: Api, player: Client, shelf: Shelf
) -> None:
    elsewhere: Image = goods.push_image(player, f"{world.project()}/{fresh('repo')}", "v1")
    path = f"/projects/{shelf.project}/artifacts"
    assert elsewhere.digest not in digests(owner.get(path, page_size=100))
    assert owner.get(list_path(shelf.repository), q=f"digest={elsewhere.digest}") == []
    assert (stranger("GET", path).status, nobody("GET", path).status) == (404, 401)
    assert owner("GET", path_of(f"{shelf.project}/none", "/artifacts")).status == 404


def test_manifests_with_much_to_say_say_it_by_themselves_alone(owner: Api, player: Client, world: World) -> None:
    repository = world.repository()
    notes = {f"note-{number}": "x" * 1000 for number in range(100)}
    image = goods.push_image(player, repository, "v1", annotations=notes)
    (listed,) = owner.get(list_path(repository))
    assert listed["annotations"] == {}
    assert owner.get(artifact_path(image))["annotations"] == notes
