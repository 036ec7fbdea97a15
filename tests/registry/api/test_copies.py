"""Server-side copy over REST: the whole graph, by links, under the rules of both projects."""

from urllib.parse import quote

import pytest

from tests.factories import World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path, path_of, project_of
from tests.rest.api import Api, twice
from tests.wire import Answer


def copy(api: Api, source: str, repository: str) -> Answer:
    return api("POST", list_path(repository), query={"from": source})


def everything(player: Client, repository: str) -> tuple[Image, list[Image]]:
    """An index under v1 and latest; and what belongs to it."""
    index, image, attestation = goods.push_multi_arch(player, repository, "v1")
    assert player.push_manifest(repository, "latest", index.content, index.media_type).status == 201
    sbom = player.attach(image, "application/spdx+json")
    parts = [image, attestation, sbom, player.attach(sbom, goods.NOTATION), player.attach(index, goods.NOTATION)]
    return index, [*parts, goods.sign_by_tag(player, index)]


@pytest.mark.parametrize("by", ["tag", "digest", "both"])
def test_a_copy_is_everything_that_belongs_to_it(world: World, owner: Api, player: Client, by: str) -> None:
    source, target = f"{world.home}/from/{fresh('repo')}", f"{world.project()}/to/{fresh('repo')}"
    index, parts = everything(player, source)
    reference = {"tag": ":v1", "digest": f"@{index.digest}", "both": f":v1@{index.digest}"}[by]
    answer = copy(owner, source + reference, target)
    assert (answer.status, answer.body) == (201, b"")
    project, _, path = target.partition("/")
    named = "v1" if by == "tag" else index.digest
    assert answer.headers["Location"] == (f"/api/v2.0/projects/{project}/repositories/{twice(path)}/artifacts/{named}")
    assert owner.get(answer.headers["Location"])["digest"] == index.digest
    assert player.pull(target, "v1") == player.pull(source, "v1")
    for part in parts:
        assert player.pull(target, part.digest) == player.pull(source, part.digest)
    legacy = f"{index.digest.replace(':', '-')}.sig"
    assert player.tags(target) == sorted(["latest", "v1", legacy])
    subjects = (index, *parts)
    for subject in subjects:
        referrers = [
            player.request("GET", f"/v2/{where}/referrers/{subject.digest}").json()["manifests"]
            for where in (source, target)
        ]
        assert sorted(referrers[0], key=str) == sorted(referrers[1], key=str)
    for left, right in zip(owner.get(list_path(source)), owner.get(list_path(target)), strict=True):
        same = ("digest", "type", "media_type", "size", "extra_attrs", "annotations", "artifact_type")
        assert {name: left[name] for name in same} == {name: right[name] for name in same}
    assert owner.get(path_of(target))["artifact_count"] == 1


def test_a_copy_can_be_repeated(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository()
    index, _ = everything(player, source)
    for _ in range(2):
        assert copy(owner, f"{source}:v1", target).status == 201
    assert copy(owner, f"{source}:v1", source).status == 201, "onto itself"
    assert len(owner.get(list_path(target), q="base=*")) == 3
    assert player.pull(target, "v1")[index.digest] == index.content


def test_a_copied_tag_moves(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository()
    old, new = goods.push_image(player, target, "v1"), goods.push_image(player, source, "v1")
    assert copy(owner, f"{source}:v1", target).status == 201
    assert player.head_manifest(target, "v1").headers["Docker-Content-Digest"] == new.digest
    assert player.head_manifest(target, old.digest).status == 200
    moves = world.clerk("moves_of", repository=target)
    assert moves[-1] == ["v1", old.digest, new.digest, world.owner.login]


def test_no_byte_moves(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository(world.project())
    goods.push_image(player, source, "v1")
    before = sorted(world.clerk("storage_keys"))
    assert copy(owner, f"{source}:v1", target).status == 201
    assert sorted(world.clerk("storage_keys")) == before


def test_a_child_is_copied_by_itself(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository()
    index, image, _ = goods.push_multi_arch(player, source, "v1")
    assert copy(owner, f"{source}@{image.digest}", target).status == 201
    assert [found["digest"] for found in owner.get(list_path(target))] == [image.digest]
    assert player.head_manifest(target, index.digest).status == 404


def test_an_accessory_is_not_copied_by_itself(world: World, owner: Api, player: Client) -> None:
    source = world.repository()
    signature = player.attach(goods.push_image(player, source, "v1"), goods.NOTATION)
    answer = copy(owner, f"{source}@{signature.digest}", world.repository())
    assert (answer.status, answer.codes) == (403, ["FORBIDDEN"])


@pytest.mark.parametrize(
    "source",
    [
        "", "x", "x:y", "a/b", "a/b:", "a/b@", "a/b@sha256:1", "a/b:-x", "A/b:v1", "a//b:v1", "a/b:v1:v2", "a/b@v1@v2",
        "a/b\x00:v1", "a/b:v1\n", "https://a/b:v1", "a/" + "b" * 300 + ":v1",
    ],
)  # fmt: skip
def test_what_names_no_source_is_refused(world: World, owner: Api, source: str) -> None:
    answer = copy(owner, source, world.repository())
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])
    assert "from" in answer.json()["errors"][0]["message"]


def test_a_target_that_is_no_name_is_refused(world: World, owner: Api, player: Client) -> None:
    source = world.repository()
    goods.push_image(player, source, "v1")
    for name in ("Upper", "a%2520b", quote(quote("a//b", safe=""), safe=""), "b" * 300):
        answer = owner("POST", f"/projects/{world.home}/repositories/{name}/artifacts", query={"from": f"{source}:v1"})
        assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_what_one_may_not_pull_is_as_what_is_not_there(world: World, owner: Api, player: Client) -> None:
    other = world.user()
    secret = world.project(owner=other)
    image = goods.push_image(world.client(other), f"{secret}/app", "v1")
    target = world.repository()
    answers = [
        copy(owner, source, target)
        for source in (
            f"{secret}/app:v1",
            f"{secret}/app@{image.digest}",
            f"{secret}/none:v1",
            f"{fresh('none')}/app:v1",
            f"{world.home}/{fresh('none')}:v1",
        )
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
    assert owner("GET", list_path(target)).status == 404, "nothing was made"


def test_who_may_not_push_may_not_copy(world: World, nobody: Api, stranger: Api, player: Client) -> None:
    guest = world.user()
    project = world.project(members={guest: "guest"})
    goods.push_image(player, f"{project}/app", "v1")
    for api, status in ((Api(world.url, guest), 403), (stranger, 404), (nobody, 401)):
        assert copy(api, f"{project}/app:v1", f"{project}/copy").status == status
    public = world.project(is_public=True)
    goods.push_image(player, f"{public}/app", "v1")
    own = world.project(owner=guest)
    assert copy(Api(world.url, guest), f"{public}/app:v1", f"{own}/copy").status == 201


def test_a_robot_copies_what_it_may(world: World, player: Client) -> None:
    source, target = world.repository(), world.repository(world.project())
    goods.push_image(player, source, "v1")
    pull, push = ("repository:pull",), ("artifact:create", "repository:push")
    both = Api(world.url, world.robot(None, {project_of(source): pull, project_of(target): push}))
    assert copy(both, f"{source}:v1", target).status == 201
    only = Api(world.url, world.robot(None, {project_of(source): ("artifact:read",), project_of(target): push}))
    assert copy(only, f"{source}:v1", target).status == 404


def test_an_immutable_tag_is_not_overwritten_and_nothing_is_copied(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository(world.project())
    held, new = goods.push_image(player, target, "v1"), goods.push_image(player, source, "v1")
    rule = {
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
        "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
    }
    owner.create(f"/projects/{project_of(target)}/immutabletagrules", rule)
    answer = copy(owner, f"{source}:v1", target)
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    assert player.head_manifest(target, "v1").headers["Docker-Content-Digest"] == held.digest
    assert player.head_manifest(target, new.digest).status == 404


def test_a_copy_counts_against_the_quota(world: World, owner: Api, admin: Api, player: Client) -> None:
    source, target = world.repository(), world.repository(world.project())
    image = goods.push_image(player, source, "v1")
    size = len(image.config) + sum(map(len, image.layers))
    project_id = owner.get(f"/projects/{project_of(target)}")["project_id"]
    (quota,) = admin.get("/quotas", reference="project", reference_id=project_id)
    admin.done("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": size - 1}})
    answer = copy(owner, f"{source}:v1", target)
    assert answer.status == 403, answer
    assert owner.get(list_path(target)) == [] if owner("GET", list_path(target)).status == 200 else True
    admin.done("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": size}})
    assert copy(owner, f"{source}:v1", target).status == 201
    assert admin.get(f"/quotas/{quota['id']}")["used"]["storage"] == size


def test_a_copy_is_one_event(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository(world.project())
    everything(player, source)
    for _ in range(2):
        assert copy(owner, f"{source}:v1", target).status == 201
    logs = owner.get(f"/projects/{project_of(target)}/logs", q="operation=create,resource_type=artifact")
    assert [(log["resource"], log["username"]) for log in logs] == [(f"{target}:latest", world.owner.login)]


def test_nothing_is_left_wrong(world: World, owner: Api, player: Client) -> None:
    source, target = world.repository(), world.repository()
    everything(player, source)
    assert copy(owner, f"{source}:v1", target).status == 201
    owner.done("DELETE", artifact_path(everything(player, source)[0]))
    assert world.clerk("violations") == []
