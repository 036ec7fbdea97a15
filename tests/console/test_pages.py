"""What pages show, and what they never do."""

import re
from collections.abc import Callable

import pytest

from tests.console.person import Person
from tests.factories import Account, World
from tests.rest.api import Api, twice

SignedIn = Callable[[Account], Person]
PLACES = ("/login", "/projects", "/account", "/projects/no-such-project", "/projects?page=x")


@pytest.fixture(scope="module")
def repository(world: World) -> str:
    """Of `world.owner`, with 25 tags."""
    name = world.repository()
    client = world.client(world.owner)
    image = client.push_image(name, "v1")
    names = [f"w{number:02}" for number in range(24)]
    for some in (names[:8], names[8:16], names[16:]):
        assert client.push_manifest(name, image.digest, image.content, tags=some).status == 201
    return name


@pytest.mark.parametrize("path", PLACES)
def test_nothing_is_executed_that_is_not_a_file_of_ours(nobody: Person, path: str) -> None:
    page = nobody.get(path)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=\"/static/)", page.html)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.html)
    assert page.headers["Cache-Control"] == "no-store"


def test_project_that_is_hidden_answers_as_none(world: World, nobody: Person, signed_in: SignedIn) -> None:
    stranger = signed_in(world.user())
    hidden, missing = stranger.get(f"/projects/{world.home}"), stranger.get("/projects/no-such-project")
    assert hidden.status == missing.status == 404
    assert _same(hidden.html.replace(world.home, "")) == _same(missing.html.replace("no-such-project", ""))
    asked = [nobody.get(f"/projects/{name}").location for name in (world.home, "no-such-project")]
    assert asked == [f"/login?next=%2Fprojects%2F{world.home}", "/login?next=%2Fprojects%2Fno-such-project"]


def test_project_is_made_and_shows_how_to_push(world: World, signed_in: SignedIn) -> None:
    owner = signed_in(world.user())
    name = world.repository().replace("/", "-")
    assert owner.post("/projects/new", {"name": name, "public": "true"}).location == f"/projects/{name}"
    page = owner.get(f"/projects/{name}")
    assert "The project was created." in page.text
    assert f"docker push {world.url.partition('://')[2]}/{name}/IMAGE:TAG" in page.text
    assert "The project was created." not in owner.get(f"/projects/{name}").text
    again = owner.post("/projects/new", {"name": name})
    assert (again.status, "already" in again.text, f'value="{name}"' in again.html) == (400, True, True)
    bad = owner.post("/projects/new", {"name": "No Name"})
    assert (bad.status, "can't be the name" in bad.text) == (400, True)


def test_repositories_and_tags_are_found_by_part_of_their_names(
    world: World, signed_in: SignedIn, repository: str
) -> None:
    owner = signed_in(world.owner)
    project, _, path = repository.partition("/")
    assert path in owner.get(f"/projects/{project}?search={path[2:]}").text
    assert "No repository has" in owner.get(f"/projects/{project}?search=%3Cb%3E").text
    tags = f"/projects/{project}/{path}/-/tags"
    assert "1-20 of 25" in owner.get(tags).text
    assert "21-25 of 25" in owner.get(f"{tags}?page=2").text
    assert "1-25 of 25" in owner.get(f"{tags}?page_size=50").text
    found = owner.get(f"{tags}?search=w1&sort=-name").text
    assert "1-10 of 10" in found
    assert found.index("w19") < found.index("w10")
    assert f"docker pull {world.url.partition('://')[2]}/{repository}:w19" in owner.get(f"{tags}?search=w19").html


@pytest.mark.parametrize("query", ["page=0", "page=x", "search=%00", "page_size=1000", "sort=nothing", "sort=-content"])
def test_bad_address_says_what_is_wrong(world: World, signed_in: SignedIn, repository: str, query: str) -> None:
    project, _, path = repository.partition("/")
    page = signed_in(world.owner).get(f"/projects/{project}/{path}/-/tags?{query}")
    assert page.status == 400
    assert query.partition("=")[0] in page.text


@pytest.mark.parametrize("tag", ["%00", "..", "a%20b", "no-such-tag", "x" * 200])
def test_tag_that_can_not_be_is_not_found(world: World, signed_in: SignedIn, repository: str, tag: str) -> None:
    assert signed_in(world.owner).get(f"/projects/{repository}/-/tags/{tag}/delete").status in (400, 404)


@pytest.mark.parametrize("path", ["%00", "UPPER", "a//b", "-", "a/-/tags/-", "%2e%2e"])
def test_repository_that_can_not_be_is_not_found(world: World, signed_in: SignedIn, path: str) -> None:
    assert signed_in(world.owner).get(f"/projects/{world.home}/{path}/-/tags").status in (400, 404)


def test_tag_is_deleted_after_a_question_and_restored(world: World, signed_in: SignedIn, repository: str) -> None:
    owner = signed_in(world.owner)
    project, _, path = repository.partition("/")
    base = f"/projects/{project}/{path}/-"
    assert "Delete the tag w03?" in owner.get(f"{base}/tags/w03/delete").text
    answer = owner.post(f"{base}/tags/w03/delete")
    assert (answer.status, answer.location) == (303, f"{base}/tags")
    assert "The tag w03 was deleted." in owner.get(f"{base}/tags?search=w03").text
    assert owner.get(f"{base}/tags/w03/delete").status == 404
    move = re.search(r'name="tag" value="w03"><input type="hidden" name="move" value="(\d+)"',
                     owner.get(f"{base}/history?search=w03").html)  # fmt: skip
    assert move is not None
    restored = owner.post(f"{base}/history", {"tag": "w03", "move": move[1]})
    assert restored.status == 303
    assert owner.get(f"{base}/tags/w03/delete").status == 200
    for nonsense in ({"tag": "w03", "move": "x"}, {"tag": "w03"}, {"tag": "\0", "move": "1"}, {}):
        assert owner.post(f"{base}/history", nonsense).status in (400, 404)


def test_what_people_wrote_is_text(world: World, signed_in: SignedIn, repository: str) -> None:
    owner, script = signed_in(world.owner), "<script>alert(1)</script>"
    project, _, path = repository.partition("/")
    api = Api(world.url, world.owner)
    api.done("PUT", f"/projects/{project}/repositories/{twice(path)}", {"description": script})
    for page in (f"/projects/{project}", f"/projects/{project}/{path}/-/tags", f"/projects?search={script}"):
        html = owner.get(page).html
        assert script not in html
        assert "&lt;script&gt;" in html


def test_language_and_theme_are_the_browsers_own(nobody: Person) -> None:
    assert '<html lang="en" data-theme="auto">' in nobody.get("/account").html
    assert '<html lang="zh-hans"' in nobody.get("/account", **{"Accept-Language": "zh-CN,zh;q=0.9"}).html
    assert nobody.post("/account", {"language": "zh-hans", "theme": "dark"}).status == 303
    assert '<html lang="zh-hans" data-theme="dark" data-bs-theme="dark">' in nobody.get("/projects").html
    assert nobody.post("/account", {"language": "xx", "theme": "dark"}).status == 400


def test_head_is_get_without_a_body(nobody: Person) -> None:
    answer = nobody.session.head(nobody.url + "/projects", timeout=10)
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(nobody: Person, method: str) -> None:
    answer = nobody.session.request(method, nobody.url + "/projects", timeout=10)
    assert answer.status_code == 405


def _same(html: str) -> str:
    """Without what is new in every page."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"[^"]+"', r"\1", html)
