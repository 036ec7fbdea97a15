"""Lists of tags and of repositories (C-60..C-63)."""

import json
import time

import pytest

from tests.factories import World
from tests.images import dump, index_manifest, sha256
from tests.ociclient import Client
from tests.protocol.calls import check

NAMES = ["0.1.2", "0.1.20", "0.1.2-rc", "A", "B", "_", "a", "a-b", "a.b", "a_b", "aa", "b", "latest", "v1", "v10", "v2"]
MAX = 10_000


@pytest.fixture(scope="module")
def tagged(world: World) -> str:
    """A repository whose tags are NAMES, pushed in another order."""
    client, repository = world.player(), world.repository()
    content = dump(index_manifest([]))
    answer = client.push_manifest(repository, sha256(content), index_manifest([]), tags=reversed(NAMES))
    assert answer.status == 201
    return repository


def test_tags_are_sorted_by_byte(player: Client, tagged: str) -> None:
    """C-60"""
    answer = player.request("GET", f"/v2/{tagged}/tags/list")
    check("GET", answer)
    assert answer.json() == {"name": tagged, "tags": sorted(NAMES)}
    assert answer.headers["Content-Type"] == "application/json"
    assert "Link" not in answer.headers


def test_no_tags_is_an_empty_list(player: Client, repository: str) -> None:
    """C-60: never null."""
    player.push_image(repository, None)
    answer = player.request("GET", f"/v2/{repository}/tags/list")
    assert (answer.status, answer.json()) == (200, {"name": repository, "tags": []})


def test_tags_of_no_repository(player: Client, world: World) -> None:
    answer = player.request("GET", f"/v2/{world.repository()}/tags/list")
    check("GET", answer)
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 15, 16, 17, 1000])
def test_pages_yield_each_tag_once(player: Client, tagged: str, n: int) -> None:
    """C-61"""
    pages = [page.json()["tags"] for page in player.pages(f"/v2/{tagged}/tags/list", n=str(n))]
    assert [tag for page in pages for tag in page] == sorted(NAMES)
    assert all(len(page) == n for page in pages[:-1])
    assert 0 < len(pages[-1]) <= n


PAGES = {
    "C-61 none": ("n=0", [], False),
    "C-61 the first": ("n=1", ["0.1.2"], True),
    "C-61 as many as there are": (f"n={len(NAMES)}", sorted(NAMES), False),
    "C-61 more than there are": ("n=999999999", sorted(NAMES), False),
    "C-61 more than a number": ("n=9223372036854775807", sorted(NAMES), False),
    "C-61 leading zeros": ("n=002", ["0.1.2", "0.1.2-rc"], True),
    "C-61 last is exclusive": ("last=v1", ["v10", "v2"], False),
    "C-61 last need not exist": ("last=latesu", ["v1", "v10", "v2"], False),
    "C-61 n and last": ("n=2&last=a", ["a-b", "a.b"], True),
    "C-61 last may be anything": ("last=%C3%A4", [], False),
    "C-61 an empty last": ("n=1&last=", ["0.1.2"], True),
    "C-62 behind the last": ("last=v2", [], False),
    "C-62 behind the last, none": ("n=0&last=v2", [], False),
    "C-61 last with a percent sign": ("last=%25", sorted(NAMES), False),
    "C-61 last is no pattern": ("n=1&last=a%25", ["a-b"], True),
}


@pytest.mark.parametrize("row", PAGES)
def test_page_of_tags(player: Client, tagged: str, row: str) -> None:
    query, tags, has_more = PAGES[row]
    answer = player.request("GET", f"/v2/{tagged}/tags/list?{query}")
    check("GET", answer)
    assert answer.json()["tags"] == tags
    assert ("Link" in answer.headers) == has_more


BAD_PAGES = [
    "n=-1",
    "n=abc",
    "n=1e9",
    "n=1.5",
    "n=+1",
    "n=1_0",
    "n=%EF%BC%91",
    "n=",
    "n=%20",
    "n=0x10",
    "n=" + "9" * 5000,
]


@pytest.mark.parametrize("query", BAD_PAGES, ids=lambda text: text[:16])
@pytest.mark.parametrize("of", ["tags", "catalog"])
def test_bad_page_size_is_refused(player: Client, tagged: str, of: str, query: str) -> None:
    """C-61, C-63: refused or clamped, never unbounded, never 500."""
    path = f"/v2/{tagged}/tags/list" if of == "tags" else "/v2/_catalog"
    answer = player.request("GET", f"{path}?{query}")
    check("GET", answer)
    assert answer.status == 400


def test_nul_in_last_is_refused(player: Client, tagged: str) -> None:
    for path in (f"/v2/{tagged}/tags/list", "/v2/_catalog"):
        answer = player.request("GET", f"{path}?last=a%00b")
        check("GET", answer)
        assert answer.status in (200, 400)


def test_next_page_of_a_tag_with_any_character(player: Client, repository: str) -> None:
    """The Link is a URL: following it must not change the tag."""
    names = ["a.b-c_d", "a.b-c_e", "a.b-c_f"]
    content = dump(index_manifest([]))
    player.push_manifest(repository, sha256(content), content, str(index_manifest([])["mediaType"]), tags=names)
    assert player.tags(repository, n=1) == names


def test_pages_while_tags_are_added(player: Client, repository: str) -> None:
    """C-61: what was there all the time comes exactly once."""
    content, media_type = dump(index_manifest([])), str(index_manifest([])["mediaType"])
    old = [f"t{n:02}" for n in range(0, 20, 2)]
    player.push_manifest(repository, sha256(content), content, media_type, tags=old)
    seen: list[str] = []
    for number, page in enumerate(player.pages(f"/v2/{repository}/tags/list", n="2")):
        seen += page.json()["tags"]
        player.push_manifest(repository, f"t{2 * number + 1:02}", content, media_type)
    assert [tag for tag in seen if tag in old] == old
    assert len(seen) == len(set(seen))


def test_long_lists_come_in_pages_without_being_asked(player: Client, world: World) -> None:
    """C-61: a client that names no n gets no unbounded answer, and every tag by Link."""
    repository = world.repository()
    player.push_manifest(repository, "first", index_manifest([]))
    world.clerk("tags_fill", repository=repository, count=MAX + 50)
    started = time.monotonic()
    pages = list(player.pages(f"/v2/{repository}/tags/list"))
    assert [len(page.json()["tags"]) for page in pages] == [MAX, 51]
    assert time.monotonic() - started < 5


# The catalog.


@pytest.fixture(scope="module")
def shelf(world: World) -> tuple[Client, list[str]]:
    """Somebody who sees exactly these repositories, apart from public ones."""
    account = world.user()
    client = world.client(account)
    projects = sorted(world.project(owner=account) for _ in range(2))
    names = [f"{project}/{path}" for project in projects for path in ("a", "a/b", "a-b", "b")]
    for name in names:
        assert client.push_manifest(name, "v1", index_manifest([])).status == 201
    return client, names


def test_catalog_has_what_the_caller_may_see(shelf: tuple[Client, list[str]]) -> None:
    """C-63"""
    client, names = shelf
    answer = client.request("GET", "/v2/_catalog")
    check("GET", answer)
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json()) == {"repositories"}
    assert set(names) <= set(answer.json()["repositories"])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_pages_of_the_catalog_yield_each_repository_once(shelf: tuple[Client, list[str]], n: int) -> None:
    """C-63"""
    client, names = shelf
    found = client.catalog(n)
    assert len(found) == len(set(found))
    assert set(names) <= set(found)


def test_catalog_behind_a_name(shelf: tuple[Client, list[str]]) -> None:
    client, names = shelf
    full = client.catalog()
    for last in names:
        answer = client.request("GET", "/v2/_catalog", params=[("last", last)])
        assert answer.json()["repositories"] == full[full.index(last) + 1 :]


def test_catalog_of_none(shelf: tuple[Client, list[str]]) -> None:
    """C-61, C-63"""
    answer = shelf[0].request("GET", "/v2/_catalog?n=0")
    assert answer.json() == {"repositories": []}
    assert "Link" not in answer.headers


def test_empty_repository_is_not_in_the_catalog(player: Client, world: World) -> None:
    """Started uploads leave nothing that others see."""
    repository = world.repository()
    player.session_of(repository)
    assert repository not in json.dumps(player.catalog())
