"""Retention runs of a server whose workers die in the middle (F-09): each artifact goes once, and there is one run."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.scene import Scene
from tests.factories import fresh
from tests.product import Serve, wait_for
from tests.rest.api import Api
from tests.rest.scene import retention_body, retention_rule

MANY = 12
SETTINGS = {"HARBORLITE_JOB_LEASE": "2"}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Serve(SETTINGS) as server:
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.mark.parametrize(
    ("point", "action"),
    [
        ("retention.before_delete_commit", "kill9"),
        ("retention.after_delete_commit", "kill9"),
        ("retention.after_delete_commit", "raise"),
    ],
)
def test_another_worker_goes_on_where_one_died(scene: Scene, point: str, action: str) -> None:
    world, player = scene.world, scene.world.player()
    project = world.project()
    repository = f"{project}/{fresh('repo')}"
    for number in range(MANY):
        player.push_image(repository, f"old-{number}")
    api = Api(world.url, world.owner)
    project_id = int(api.get(f"/projects/{project}")["project_id"])
    policy = api.create("/retentions", retention_body(project_id, retention_rule("latestPushedK", 2)))
    scene.server.arm(point, action)
    run = api.create(f"{policy}/executions", {"dry_run": False})
    told: dict[str, Any] = {}

    def has_ended() -> bool:
        told.update(api.get(run))
        return told["status"] not in ("Pending", "Running")

    wait_for("the run has ended", has_ended, told=lambda: f"{told} {scene.server.said()}")
    assert scene.is_disarmed(point)
    assert (told["status"], told["deleted"], told["retained"], told["skipped"]) == ("Success", MANY - 2, 2, 0)
    events = api.all(f"/projects/{project}/auditlog-exts", q="operation=delete,resource_type=artifact", page_size=100)
    names = [event["resource"] for event in events]
    assert sorted(names) == sorted(f"{repository}:old-{number}" for number in range(MANY - 2))
    assert sorted(player.tags(repository)) == [f"old-{number}" for number in (MANY - 2, MANY - 1)]
    assert len(api.get(f"{policy}/executions")) == 1
    scene.assert_sound()
