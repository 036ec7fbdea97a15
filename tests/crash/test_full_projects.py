"""F-47: what failed pushes left in a project that is full goes with its lease, and makes room."""

from functools import partial

from tests.crash.scene import Scene, at_once, image_of
from tests.images import sha256, unique
from tests.ociclient import HOW
from tests.rest.api import Api
from tests.soak.jobs import gc

KIB = 1024
LEASE, DAY = 2 * 3600, 24 * 3600 + 1  # seconds
LAYER = 15 * KIB


def test_a_full_project_has_room_again_when_leases_end(scene: Scene) -> None:
    admin = Api(scene.world.url, scene.world.admin_account)
    project = scene.world.project()
    repository, config = scene.world.repository(project), unique()
    (quota,) = [row for row in admin.all("/quotas", page_size=100) if row["ref"]["name"] == project]

    def used() -> int:
        return int(admin.get(f"/quotas/{quota['id']}")["used"]["storage"])

    admin.done("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": 100 * KIB}})
    clients, layers = scene.crowd(repository, 20), [unique(LAYER) for _ in range(20)]
    clients[0].push_blob(repository, config)
    pushes = zip(clients, layers, strict=True)
    answers = at_once(partial(HOW["post_only"], client, repository, layer, sha256(layer)) for client, layer in pushes)
    taken = [layer for layer, answer in zip(layers, answers, strict=True) if answer.status == 201]
    assert len(taken) == 6
    assert {answer.status for answer in answers} == {201, 403}
    assert used() == 6 * LAYER + len(config)

    # One of them becomes an image; the clients of the others go away.
    assert clients[0].push_manifest(repository, "v1", image_of(config, taken[0])).status == 201
    gc(admin)
    assert used() == 6 * LAYER + len(config), "leases were not kept"
    scene.janitor("time_passes", seconds=LEASE + 1)
    gc(admin)
    assert used() == LAYER + len(config)
    assert clients[0].pull(repository, "v1")[sha256(taken[0])] == taken[0]
    (late,) = [layer for layer, answer in zip(layers, answers, strict=True) if answer.status == 403][:1]
    assert clients[0].push_blob(repository, late)

    # Below what it holds, nothing comes, and what is there goes.
    admin.done("PUT", f"/quotas/{quota['id']}", {"hard": {"storage": 1}})
    more = unique()
    assert HOW["post_only"](clients[0], repository, more, sha256(more)).status == 403
    for reference, kind in (("v1", "manifests"), (sha256(image_of(config, taken[0])), "manifests")):
        assert clients[0].delete(repository, reference, kind).status == 202
    for layer in (taken[0], late, config):
        assert clients[0].delete(repository, sha256(layer), "blobs").status == 202
    assert used() == 0
    scene.janitor("time_passes", seconds=DAY)  # what was collected waits so long for its removal
    scene.assert_tidy()


def test_a_project_deleted_while_it_is_pushed_to(scene: Scene) -> None:
    """F-25: either it has a repository and stays, or it is gone and the push is refused."""
    admin, outcomes = Api(scene.world.url, scene.world.admin_account), set()
    with scene.quietly():
        for _ in range(30):
            project = scene.world.project()
            (client,), repository = scene.crowd(f"{project}/app", 1), f"{project}/app"
            pushed, deleted = at_once(
                [partial(client.start, repository), partial(admin, "DELETE", f"/projects/{project}")]
            )
            is_there = admin("GET", f"/projects/{project}").status == 200
            outcomes.add((pushed.status, deleted.status, is_there))
    assert outcomes <= {(202, 412, True), (403, 200, False), (404, 200, False)}
    scene.assert_tidy()
