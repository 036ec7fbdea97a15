"""Plans: what a run does with one that was saved, what changed since, and what one says of bytes."""

import random

import pytest
from pytest_django import Settings

from harborlite.errors import Conflict
from projects.models import DeletedProject, Project
from projects.services.deletions import project_restore
from projects.services.projects import project_delete
from registry.models import Manifest, ProjectBlob, Repository
from registry.services.artifacts import artifact_delete
from retention.models import Plan, PlannedArtifact, Policy
from retention.services import plans
from retention.services.policies import policy_delete, retention_stop
from system.queries import log_of
from tests.registry.gc.shelf import Shelf, collect, pass_time
from tests.retention.shop import KEEP_V, Shop, chosen, fates, plan_from, reasons, rule
from tests.system.worker import run_jobs


def test_a_run_carries_out_a_saved_plan_and_no_other(shop: Shop) -> None:
    shop.image("v1")
    gone = shop.image("old")
    policy = shop.policy(KEEP_V)
    planned = shop.run(policy, dry=True)
    later = shop.image("later")
    execution = shop.run(policy, plan=plan_from(planned))
    assert gone not in shop.digests()
    assert later in shop.digests(), "it was not in the plan"
    assert execution.result["deleted"] == 1


def test_what_changed_since_the_plan_stays(shop: Shop) -> None:
    shop.image("v1")
    tagged, moved, pulled, plain = (shop.image(name) for name in ("a", "b", "c", "d"))
    shop.age(60)
    policy = shop.policy(KEEP_V, rule("nDaysSinceLastPull", 7))
    planned = shop.run(policy, dry=True)
    shop.tag(tagged, "more")
    new = shop.image("b")
    shop.age(1, moved)
    shop.pull(pulled)
    execution = shop.run(policy, plan=plan_from(planned))
    assert {tagged, moved, pulled, new} <= shop.digests()
    assert plain not in shop.digests()
    found = reasons(execution)
    assert found[tagged] == found[moved] == "its tags have changed since the plan was made"
    assert "within the last 7 days" in found[pulled]


def test_a_rule_that_counts_counts_again_when_others_are_gone(shop: Shop) -> None:
    """The plan keeps the two newest; somebody deletes these: then the next two stay."""
    digests = [shop.image(f"t{number}") for number in range(5)]
    policy = shop.policy(rule("latestPushedK", 2))
    planned = shop.run(policy, dry=True)
    assert [fates(planned)[digest] for digest in digests] == ["going"] * 3 + ["kept"] * 2
    for digest in digests[3:]:
        artifact_delete(repository=shop.repository(), digest=digest, actor="somebody")
    shop.run(policy, plan=plan_from(planned))
    assert shop.digests() == set(digests[1:3])


def test_a_plan_is_of_no_use_when_the_policy_has_changed(shop: Shop) -> None:
    shop.image("v1")
    shop.image("old")
    planned = shop.run(shop.policy(KEEP_V), dry=True)
    policy = shop.policy(KEEP_V, rule("always", 0, chosen("old")))
    with pytest.raises(Conflict, match="the policy has changed"):
        shop.start(policy, plan=plan_from(planned))
    assert shop.tags() == {"v1", "old"}


def test_a_policy_that_changes_while_its_run_is_under_way_ends_it(shop: Shop) -> None:
    shop.image("v1")
    shop.image("old")
    policy = shop.policy(KEEP_V)
    planned = shop.run(policy, dry=True)
    execution = shop.start(policy, plan=plan_from(planned))
    shop.policy(KEEP_V, rule("always", 0, chosen("old")))
    run_jobs()
    assert shop.tags() == {"v1", "old"}
    (task,) = execution.tasks.filter(name="RETENTION_REPOSITORY")
    assert any("The policy has changed" in line for line in log_of(task))


def test_there_is_one_run_of_a_policy_at_a_time(shop: Shop) -> None:
    policy = shop.policy(KEEP_V)
    shop.start(policy)
    with pytest.raises(Conflict):
        shop.start(policy)


def test_a_stopped_run_deletes_nothing_more_and_its_plan_goes_on_later(shop: Shop) -> None:
    shop.image("v1")
    shop.image("old")
    policy = shop.policy(KEEP_V)
    planned = shop.run(policy, dry=True)
    execution = shop.start(policy, plan=plan_from(planned))
    retention_stop(execution=execution, policy=policy, project=shop.project)
    run_jobs()
    execution.refresh_from_db()
    assert (execution.status, shop.tags()) == ("Stopped", {"v1", "old"})
    shop.run(policy, plan=plan_from(planned))
    assert shop.tags() == {"v1"}


def test_the_bytes_that_are_planned_are_those_that_a_collection_gives_back(shop: Shop) -> None:
    """Layers that others share stay; a layer that two going artifacts share is counted once, across repositories."""
    other = shop.more("other")
    shop.image("v1")
    shop.shelf.image(b"c1", b"both" * 100, tag="old-1")
    shop.shelf.image(b"c2", b"both" * 100, tag="old-2")
    other.image(b"c3", b"both" * 100, b"half" * 77, tag="old-3")
    other.image(b"c4", b"half" * 77, tag="v1")
    shop.image("older")
    policy = shop.policy(KEEP_V)
    planned = shop.run(policy, dry=True)
    execution = shop.run(policy, plan=plan_from(planned))
    before = sum(ProjectBlob.objects.values_list("size", flat=True))
    pass_time()
    collect()
    freed = before - sum(ProjectBlob.objects.values_list("size", flat=True))
    assert planned.result["freed_bytes"] == execution.result["freed_bytes"] == freed
    assert sum(PlannedArtifact.objects.values_list("freed_bytes", flat=True)) == freed > 0


def test_what_is_planned_is_what_goes_on_repositories_of_all_shapes(shop: Shop) -> None:
    """Ten repositories of images, indexes, indexes of indexes, signatures and tags, with layers that they share."""
    shelves = [shop.more(f"random-{seed}") for seed in range(10)]
    for seed, shelf in enumerate(shelves):
        grow(shop, shelf, random.Random(seed))
    shop.age(30)
    policy = shop.policy(rule("always", 0, chosen("v*")), rule("latestPushedK", 1, chosen("w*")), may_empty=True)
    planned = shop.run(policy, dry=True)
    plan = plan_from(planned)
    going = {digest for digest, fate in fates(planned).items() if fate == "going"}
    ids = [pk for row in PlannedArtifact.objects.filter(plan=plan) for pk in row.manifest_ids]
    before = dict(Manifest.objects.values_list("pk", "digest"))
    execution = shop.run(policy, plan=plan)
    assert execution.result["skipped"] == execution.result["held"] == 0
    assert {digest for digest, fate in fates(execution).items() if fate == "deleted"} == going
    assert set(Manifest.objects.values_list("pk", flat=True)) == before.keys() - set(ids)
    assert len(ids) == len(set(ids)) > len(going) > 10
    held = sum(ProjectBlob.objects.values_list("size", flat=True))
    pass_time()
    collect()
    freed = held - sum(ProjectBlob.objects.values_list("size", flat=True))
    assert freed == planned.result["freed_bytes"] > 0


def grow(shop: Shop, shelf: Shelf, dice: random.Random) -> None:
    made = [shop.image(shelf=shelf) for _ in range(3)]
    for number in range(10):
        kind = dice.choice(["image", "shared", "index", "signature"])
        tag = f"{dice.choice('vwxyz')}{number}" if dice.random() < 0.6 else None
        match kind:
            case "image":
                made.append(shop.image(*filter(None, [tag]), shelf=shelf))
            case "shared":
                layers = [f"common {dice.randrange(4)}".encode() * 50 for _ in range(2)]
                made.append(shelf.image(f"{shelf.repository.pk} {number}".encode(), *layers, tag=tag))
            case "index":
                made.append(shelf.index(*dice.sample(made, dice.randint(1, 3)), tag=tag))
            case _:
                content = f"signature {shelf.repository.pk} {number}".encode()
                made.append(shelf.signature(dice.choice(made), content, tag=tag))
        if dice.random() < 0.2:
            shop.tag(dice.choice(made), f"{dice.choice('vxyz')}-again-{number}", shelf)


def test_what_belongs_to_no_policy_any_more_is_forgotten(shop: Shop) -> None:
    shop.image("v1")
    policy = shop.policy(KEEP_V)
    shop.run(policy, dry=True)
    policy_delete(policy=policy, project=shop.project)
    gone = Policy.objects.create(project_id=10**9)
    shop.run(shop.policy(KEEP_V), dry=True)
    assert Plan.objects.count() == 1
    assert not Policy.objects.filter(pk=gone.pk).exists()


def test_a_restored_project_has_its_policy_again(shop: Shop, settings: Settings) -> None:
    settings.RESTORE_DAYS = 7
    policy = shop.policy(KEEP_V)
    Repository.objects.filter(pk=shop.shelf.repository.pk).delete()
    project_delete(project=shop.project)
    project_restore(deleted=DeletedProject.objects.get(name="shop"))
    restored = Project.objects.get(name="shop")
    assert restored.metadata["retention_id"] == str(policy.pk)
    assert Policy.objects.get(project_id=restored.pk) == policy


@pytest.mark.parametrize("where", ["_write", "_complete"])
def test_a_plan_goes_on_where_its_worker_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """After it has written a part of a repository down, or all of them."""
    monkeypatch.setattr(plans, "BATCH", 1)
    shop.image("v1")
    shop.image("old")
    shop.image("v2", shelf=shop.more("other"))
    real, failures = getattr(plans, where), iter([True])

    def fail_once(*given: object) -> None:
        real(*given)
        if next(failures, False):
            raise RuntimeError("the worker fails")

    monkeypatch.setattr(plans, where, fail_once)
    execution = shop.start(shop.policy(KEEP_V))
    run_jobs(later=True)
    execution.refresh_from_db()
    assert (execution.status, execution.result["total"], execution.result["deleted"]) == ("Success", 3, 1)
    assert PlannedArtifact.objects.count() == 3
    assert shop.tags() == {"v1"}


def test_old_plans_are_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retention.services.plans.REMEMBERED", 2)
    shop.image("v1")
    policy = shop.policy(KEEP_V)
    for _ in range(4):
        shop.run(policy, dry=True)
    assert Plan.objects.count() == 2
    assert PlannedArtifact.objects.count() == 2
