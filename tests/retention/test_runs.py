"""Runs of a policy on real repositories: what goes, what stays, and what is written down of it."""

import pytest
from django.db import connection
from pytest_django import Settings

from projects.rules import Decoration, Selector
from projects.services.immutability import rule_create
from projects.services.projects import project_delete
from registry.models import Deletion, Manifest, Repository, Tag, TagMove
from registry.services import restorations
from retention.models import Policy
from retention.services.in_use import in_use_report
from retention.services.policies import policy_delete
from system import config, jobs
from system.models import Event, Schedule
from system.queries import log_of
from tests.retention.shop import KEEP_V, Shop, chosen, fates, plan_from, reasons, rule, with_label
from tests.system.worker import run_jobs


def test_a_run_deletes_what_no_rule_keeps(shop: Shop) -> None:
    kept, gone = shop.image("v1", "latest"), shop.image("old", "older")
    execution = shop.run(shop.policy(KEEP_V))
    assert (shop.digests(), shop.tags()) == ({kept}, {"v1", "latest"})
    assert fates(execution) == {kept: "kept", gone: "deleted"}
    assert execution.result["total"] == 2
    assert (execution.result["deleted"], execution.result["retained"], execution.result["held"]) == (1, 1, 0)


def test_a_dry_run_says_the_same_and_writes_nothing_of_the_registry(shop: Shop) -> None:
    kept, gone = shop.image("v1"), shop.image("old")
    before = (list(Tag.objects.values()), list(Manifest.objects.values()), list(TagMove.objects.values()))
    execution = shop.run(shop.policy(KEEP_V), dry=True)
    assert (list(Tag.objects.values()), list(Manifest.objects.values()), list(TagMove.objects.values())) == before
    assert fates(execution) == {kept: "kept", gone: "going"}
    assert (execution.result["total"], execution.result["retained"], execution.result["deleted"]) == (2, 1, 0)


def test_each_repository_is_a_task_with_its_own_numbers_and_log(shop: Shop) -> None:
    other = shop.more("deep/other")
    shop.image("v1")
    shop.image("old")
    shop.image("v1", shelf=other)
    execution = shop.run(shop.policy(KEEP_V))
    found = {task.arguments["repository"]: task for task in execution.tasks.filter(name="RETENTION_REPOSITORY")}
    assert {name: (task.result["total"], task.result["retained"]) for name, task in found.items()} == {
        "app": (2, 1),
        "deep/other": (1, 1),
    }
    assert any("1 of 2 artifacts went" in line for line in log_of(found["app"]))


def test_only_repositories_that_a_rule_looks_at_are_touched(shop: Shop) -> None:
    other = shop.more("deep/other")
    shop.image("old")
    keeping = shop.image("old", shelf=other)
    only = rule("latestPushedK", 1, scope_selectors={"repository": [{"decoration": "repoMatches", "pattern": "app"}]})
    shop.image("new")
    execution = shop.run(shop.policy(only))
    assert (shop.tags(), shop.digests(other)) == ({"new"}, {keeping})
    assert execution.tasks.filter(name="RETENTION_REPOSITORY").count() == 1


def test_without_rules_nothing_goes(shop: Shop) -> None:
    shop.image("old")
    for policy in (shop.policy(), shop.policy(rule("always", 0, chosen("v*"), disabled=True))):
        shop.run(policy)
    assert shop.tags() == {"old"}


def test_labels_keep(shop: Shop) -> None:
    gold, plain = shop.image("a"), shop.image("b")
    shop.label(gold, "gold")
    shop.run(shop.policy(rule("always", 0, chosen(), with_label("gold"))))
    assert plain not in shop.digests()
    assert gold in shop.digests()


# What users lose elsewhere.


def test_an_index_keeps_its_children_their_signatures_and_tags(shop: Shop) -> None:
    one, two = shop.image("amd64"), shop.image()
    index = shop.shelf.index(one, two, tag="v1")
    signed = shop.shelf.signature(one, b"signature"), shop.shelf.signature(index, b"index signature")
    shop.image(f"{two.replace(':', '-')}.sig")
    shop.image("old")
    before = shop.digests()
    shop.run(shop.policy(KEEP_V))
    assert len(before - shop.digests()) == 1
    assert {one, two, index, *signed} <= shop.digests()
    assert shop.tags() == {"amd64", "v1", f"{two.replace(':', '-')}.sig"}


def test_what_belongs_to_an_artifact_goes_with_it(shop: Shop) -> None:
    kept = shop.image("v1")
    one, two = shop.image("amd64"), shop.image()
    index = shop.shelf.index(one, two, tag="old")
    shop.shelf.signature(index, b"signature")
    shop.run(shop.policy(KEEP_V))
    assert shop.digests() == {kept}


def test_a_pull_of_a_child_by_digest_keeps_the_index(shop: Shop) -> None:
    one, two = shop.image(), shop.image()
    index = shop.shelf.index(one, two, tag="multi")
    dead = shop.image("dead")
    shop.age(60)
    shop.pull(one, days=1)
    shop.run(shop.policy(rule("nDaysSinceLastPull", 7)))
    assert shop.digests() == {one, two, index}
    assert dead not in shop.digests()


def test_a_pull_by_tag_or_by_digest_is_a_pull(shop: Shop) -> None:
    by_tag, by_digest = shop.image("a"), shop.image("b")
    shop.image("c")
    shop.age(60)
    shop.pull(by_tag, "a", days=1)
    shop.pull(by_digest, days=1)
    shop.run(shop.policy(rule("nDaysSinceLastPull", 7)))
    assert shop.digests() == {by_tag, by_digest}


def test_when_pulls_are_not_written_down_no_rule_about_them_deletes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.image("a")
    shop.age(60)
    real = config.get
    monkeypatch.setattr(config, "get", lambda name: True if name == "pull_time_update_disable" else real(name))
    shop.run(shop.policy(rule("nDaysSinceLastPull", 7)), confirm=True)
    assert shop.tags() == {"a"}


def test_immutable_tags_stay(shop: Shop) -> None:
    pinned = shop.image("pinned", "other")
    shop.image("old")
    rule_create(
        project=shop.project,
        repositories=Selector(Decoration.REPOSITORIES, "**"),
        tags=Selector(Decoration.TAGS, "pinned"),
    )
    execution = shop.run(shop.policy(KEEP_V))
    assert (shop.digests(), shop.tags()) == ({pinned}, {"pinned", "other"})
    assert reasons(execution)[pinned] == "the tag pinned is immutable"


def test_what_is_reported_as_running_stays_until_the_report_expires(shop: Shop) -> None:
    one, two = shop.image(), shop.image()
    index = shop.shelf.index(one, two, tag="old")
    signature = shop.shelf.signature(index, b"signature")
    other = shop.image("other")
    in_use_report(project=shop.project, source="cluster", digests=[one], seconds=60)
    policy = shop.policy(KEEP_V)
    shop.run(policy, confirm=True)
    assert shop.digests() == {one, two, index, signature}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE retention_inuse SET expires_at = now() - interval '1 second'")
    shop.run(policy, confirm=True)
    assert shop.digests() == set()
    assert other not in shop.digests()


def test_a_manifest_without_a_tag_stays_while_its_push_may_be_under_way(shop: Shop) -> None:
    fresh, kept = shop.image(), shop.image("v1")
    policy = shop.policy(KEEP_V)
    shop.run(policy)
    assert shop.digests() == {fresh, kept}
    shop.age(1)
    shop.run(policy)
    assert shop.digests() == {kept}


# The guard.


def test_a_typo_that_would_empty_a_repository_asks(shop: Shop) -> None:
    other = shop.more("other")
    shop.image("release-1")
    shop.image("release-2")
    shop.image("relase-3", shelf=other)
    shop.image("old", shelf=other)
    policy = shop.policy(rule("always", 0, chosen("relase-*")))
    execution = shop.run(policy)
    assert shop.tags() == {"release-1", "release-2"}
    assert shop.tags(other) == {"relase-3"}, "where something stays, the rest goes"
    assert execution.result["needs_confirmation"] == ["app"]
    assert (execution.result["held"], execution.result["deleted"]) == (2, 1)
    assert execution.status_message == "no artifact would be left in app: it waits for somebody to confirm it"
    shop.run(policy, plan=plan_from(execution), confirm=True)
    assert shop.tags() == set()


def test_a_run_without_confirmation_asks_again_and_a_policy_may_say_that_it_may(shop: Shop) -> None:
    shop.image("old")
    shop.run(shop.policy(KEEP_V))
    execution = shop.run(shop.policy(KEEP_V))
    assert (shop.tags(), execution.result["held"]) == ({"old"}, 1)
    shop.run(shop.policy(KEEP_V, may_empty=True))
    assert shop.tags() == set()


def test_rules_that_choose_nothing_in_the_whole_project_are_named(shop: Shop) -> None:
    shop.image("v1", shelf=shop.more("other"))
    shop.image("old")
    shop.image("latest")
    policy = shop.policy(KEEP_V, rule("always", 0, chosen("latest")), rule("always", 0, chosen("lastest")))
    assert shop.run(policy, dry=True).result["idle_rules"] == [3]


# What is written down.


def test_every_deletion_is_an_event_and_can_be_undone(shop: Shop, settings: Settings) -> None:
    settings.RESTORE_DAYS = 7
    shop.image("v1")
    gone = shop.image("old")
    execution = shop.run(shop.policy(KEEP_V))
    (event,) = Event.objects.filter(operation="delete", resource_type="artifact")
    assert event.resource == "shop/app:old"
    assert f"execution {execution.pk}: no rule keeps it" in event.description
    assert list(Event.objects.filter(resource_type="retention").order_by("pk").values_list("operation", flat=True)) == [
        "create",
        "start",
        "finish",
    ]
    (deletion,) = Deletion.objects.all()
    assert (deletion.reason, deletion.digest) == ("retention", gone)
    restorations.deletion_restore(project=shop.project, deletion_id=deletion.pk, actor="somebody")
    assert gone in shop.digests()
    assert "old" in shop.tags()


def test_a_schedule_carries_the_policy_out(shop: Shop) -> None:
    shop.image("v1")
    shop.image("old")
    policy = shop.policy(KEEP_V, cron="0 0 3 * * *")
    schedule = Schedule.objects.get(kind="RETENTION", vendor_id=policy.pk)
    jobs.start(schedule.kind, vendor_id=schedule.vendor_id, trigger="SCHEDULE", parameters=schedule.parameters)
    run_jobs()
    assert shop.tags() == {"v1"}
    shop.policy(KEEP_V, cron="")
    assert not Schedule.objects.filter(kind="RETENTION").exists()


def test_a_deleted_policy_ends_its_runs_and_its_schedule(shop: Shop) -> None:
    shop.image("v1")
    shop.image("old")
    policy = shop.policy(KEEP_V, cron="0 0 3 * * *")
    execution = shop.start(policy)
    policy_delete(policy=policy, project=shop.project)
    run_jobs()
    execution.refresh_from_db()
    shop.project.refresh_from_db()
    assert (execution.status, shop.tags()) == ("Stopped", {"v1", "old"})
    assert not Schedule.objects.exists()
    assert "retention_id" not in shop.project.metadata


def test_the_policy_of_a_deleted_project_does_nothing(shop: Shop) -> None:
    policy = shop.policy(KEEP_V)
    Repository.objects.filter(pk=shop.shelf.repository.pk).delete()
    project_delete(project=shop.project)
    execution = jobs.start("RETENTION", vendor_id=policy.pk, parameters={"dry_run": False})
    run_jobs()
    execution.refresh_from_db()
    assert execution.status == "Success"
    assert Policy.objects.filter(pk=policy.pk).exists(), "the project may be restored"


def test_an_error_in_one_item_does_not_stop_the_others(shop: Shop) -> None:
    """What an index lists that somebody pushes between the plan and the run stays."""
    shop.image("v1")
    listed, gone = shop.image("a"), shop.image("b")
    policy = shop.policy(KEEP_V)
    planned = shop.run(policy, dry=True)
    shop.shelf.index(listed, tag="v2")
    execution = shop.run(policy, plan=plan_from(planned))
    assert fates(execution)[listed] == "skipped"
    assert fates(execution)[gone] == "deleted"
    assert listed in shop.digests()
