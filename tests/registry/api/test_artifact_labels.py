"""Labels on artifacts over REST."""

import pytest

from tests.factories import World, fresh
from tests.images import Image
from tests.ociclient import Client
from tests.registry.api import goods
from tests.registry.api.paths import artifact_path, list_path
from tests.rest.api import Api


def label_of(api: Api, project: str | None) -> int:
    """A new label of the project, or of the whole instance."""
    body: dict[str, object] = {"name": fresh("label"), "scope": "g", "color": "#FF0000"}
    if project is not None:
        body |= {"scope": "p", "project_id": api.get(f"/projects/{project}")["project_id"]}
    return api.create_id("/labels", body)


@pytest.fixture
def image(world: World, player: Client) -> Image:
    return goods.push_image(player, world.repository(), "v1")


def test_labels_of_the_project_and_of_the_instance_are_put_on_and_taken_off(
    world: World, owner: Api, admin: Api, image: Image
) -> None:
    mine, everybodys = label_of(owner, world.home), label_of(admin, None)
    for label in (mine, everybodys):
        owner.done("POST", artifact_path(image, "/labels", reference="v1"), {"id": label})
    shown = owner.get(artifact_path(image), with_label="true")["labels"]
    assert [label["id"] for label in shown] == [mine, everybodys]
    assert shown[0] == owner.get(f"/labels/{mine}")
    assert "labels" not in owner.get(artifact_path(image))
    for q, expected in (
        (f"labels=({mine})", 1),
        (f"labels=({mine}, {everybodys})", 1),
        (f"labels=({mine} {everybodys})", 1),
        (f"labels=({mine} {2**62})", 0),
    ):
        assert len(owner.get(list_path(image.repository), q=q)) == expected
    owner.done("DELETE", artifact_path(image, f"/labels/{mine}"))
    shown = owner.get(artifact_path(image), with_label="true")["labels"]
    assert [label["id"] for label in shown] == [everybodys]
    assert owner("DELETE", artifact_path(image, f"/labels/{mine}")).status == 404


def test_a_label_is_put_on_once(world: World, owner: Api, image: Image) -> None:
    label = label_of(owner, world.home)
    owner.done("POST", artifact_path(image, "/labels"), {"id": label, "name": "as Harbor's clients send it"})
    answer = owner("POST", artifact_path(image, "/labels"), {"id": label})
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])


def test_another_projects_label_is_as_none(world: World, owner: Api, image: Image) -> None:
    foreign = label_of(owner, world.project())
    for label in (foreign, 2**62, 2**63 - 1):
        answer = owner("POST", artifact_path(image, "/labels"), {"id": label})
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
        assert owner("DELETE", artifact_path(image, f"/labels/{label}")).status == 404
    assert owner("DELETE", artifact_path(image, f"/labels/{2**70}")).status == 404
    assert owner("DELETE", artifact_path(image, "/labels/one")).status == 400


@pytest.mark.parametrize("body", [{}, {"id": "1"}, {"id": -1}, {"id": 2**63}, {"id": None}, {"id": True}, [], "x"])
def test_a_label_is_named_by_its_id(owner: Api, image: Image, body: object) -> None:
    answer = owner("POST", artifact_path(image, "/labels"), body)
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


def test_a_deleted_label_is_on_nothing(world: World, owner: Api, image: Image) -> None:
    label = label_of(owner, world.home)
    owner.done("POST", artifact_path(image, "/labels"), {"id": label})
    owner.done("DELETE", f"/labels/{label}")
    assert owner.get(artifact_path(image), with_label="true")["labels"] == []


def test_a_labelled_artifact_can_be_deleted(world: World, owner: Api, image: Image) -> None:
    label = label_of(owner, world.home)
    owner.done("POST", artifact_path(image, "/labels"), {"id": label})
    owner.done("DELETE", artifact_path(image))
    assert owner.get(f"/labels/{label}")["id"] == label
