"""What happens to a registry by itself, and what breaks: acts of the state machine as those in tests.soak.acts."""

import pytest
import requests

from tests.ociclient import HOW
from tests.rest.scene import retention_body, retention_rule
from tests.soak.acts import often, push_blobs
from tests.soak.catalogue import BLOBS
from tests.soak.jobs import ended, gc
from tests.soak.model import IMMUTABLE
from tests.soak.stage import Drawn, Stage

LEASE = 2 * 3600  # seconds
LONG = 9 * 24 * 3600  # seconds
RETAINED = retention_rule("always", 0, f"{IMMUTABLE}*")
COLLECTING = (
    "collection.before_commit",
    "collection.after_commit",
    "gc.before_object_delete",
    "gc.after_object_delete",
)
PUSHING = (
    "manifest.before_commit",
    "manifest.after_commit",
    "commit.before_db_commit",
    "commit.after_db_commit_before_response",
)


# What happens by itself.


@often(3)
def time_passes(stage: Stage, drawn: Drawn) -> None:
    """Longer than any lease; now and then, longer than anything is kept."""
    is_long = drawn.number == 0
    stage.cast.scene.janitor("time_passes", seconds=LONG if is_long else LEASE)
    if is_long:
        stage.cast.scene.janitor("tidy")
    stage.registry.time_passes(is_long=is_long)


@often(4)
def collect(stage: Stage, drawn: Drawn) -> None:
    """What nothing needs goes, and nothing else."""
    gc(stage.cast.admin)
    stage.registry.collect()
    stage.touch_all()


@often(2)
def retain(stage: Stage, drawn: Drawn) -> None:
    """A policy keeps what has a tag that begins with v; after that, longer goes by than anything can be restored."""
    project, api = stage.at(drawn.place).project, stage.cast.admin
    if project.name not in stage.policies:
        number = api.get(f"/projects/{project.name}")["project_id"]
        stage.policies[project.name] = api.create("/retentions", retention_body(number, RETAINED))
    run = api.create(f"{stage.policies[project.name]}/executions", {"confirm": True})
    assert ended(api, run, "status")["status"] == "Success"
    for repository in project.repositories.values():
        held = stage.cast.scene.janitor("holdings", repository=repository.name)
        repository.retained(set(held["manifests"]), held["tags"], IMMUTABLE)
    stage.cast.scene.janitor("time_passes", seconds=LONG)
    stage.cast.scene.janitor("tidy")
    stage.registry.time_passes(is_long=True)
    stage.touch_all()


# What breaks.


@often(1)
def collect_with_a_worker_that_dies(stage: Stage, drawn: Drawn) -> None:
    """In the middle of it, and another one goes on."""
    if stage.may_crash():
        server, point = stage.cast.scene.server, COLLECTING[drawn.number % len(COLLECTING)]
        server.arm(point, "kill9")
        gc(stage.cast.admin)
        (server.faults / point).unlink(missing_ok=True)  # there was nothing to remove
        stage.registry.collect()
        stage.touch_all()


@often(1)
def push_to_a_process_that_dies(stage: Stage, drawn: Drawn) -> None:
    """Before its commit nothing happened, behind it everything; the client hears nothing."""
    repository, blob = stage.at(drawn.place), BLOBS[drawn.number % len(BLOBS)]
    document = stage.catalogue.documents["tiny"]
    push_blobs(stage, repository, document.blobs)
    if stage.may_crash():
        scene, client = stage.cast.scene, stage.insider(repository)
        point = PUSHING[drawn.number % len(PUSHING)]
        scene.server.arm(point, "kill9")
        digest, content = stage.catalogue.digest(blob), stage.catalogue.blobs[blob]
        is_blob = point.startswith("commit")
        with pytest.raises(requests.ConnectionError):
            HOW["post_only"](client, repository.name, content, digest) if is_blob else stage.put(
                client, repository, document, ["latest"]
            )
        scene.wait_until_whole()
        if point == "commit.after_db_commit_before_response":
            repository.blob_put(digest)
        elif point == "manifest.after_commit":
            repository.manifest_put(document, ["latest"])
        stage.touch_all()


@often(1)
def restart(stage: Stage, drawn: Drawn) -> None:
    """Every web process is killed, and others take over."""
    if stage.may_crash():
        stage.cast.scene.server.kill_web_workers()
        stage.cast.scene.wait_until_whole()
        stage.touch_all()
