"""Tags that go by themselves, and what keeps them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from harborlite.errors import BadRequest, NotFound, Precondition
from projects.rules import Decoration, Selector
from projects.services.immutability import rule_create
from registry.models import Manifest, Tag
from registry.services.tags import tags_set
from retention.services.expiry import KIND, expiry_set
from retention.services.in_use import in_use_report
from system import jobs
from system.models import Event, Execution, Schedule
from system.queries import log_of
from tests.registry.gc.shelf import Shelf
from tests.retention.shop import Shop
from tests.system.worker import ended

SOON = datetime.now(UTC) + timedelta(hours=1)


def expire(shop: Shop, *names: str) -> Mapping[str, int]:
    """The tags expire, their time comes, and the job is done; what came of it."""
    for name in names:
        expiry_set(repository=shop.repository(), name=name, expires_at=SOON)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_tag SET expires_at = now() WHERE expires_at IS NOT NULL")
    execution = ended(jobs.start(KIND))
    assert execution.status == "Success", execution.status_message
    return dict(execution.result)


def immutable(shop: Shop, pattern: str) -> None:
    rule_create(
        project=shop.project,
        repositories=Selector(Decoration.REPOSITORIES, "**"),
        tags=Selector(Decoration.TAGS, pattern),
    )


def test_a_tag_goes_and_its_artifact_when_it_was_the_last(shop: Shop) -> None:
    two, one = shop.image("a", "b"), shop.image("c")
    assert expire(shop, "a", "c") == {"deleted": 2, "kept": 0}
    assert (shop.tags(), shop.digests()) == ({"b"}, {two})
    assert one not in shop.digests()
    assert set(Event.objects.filter(operation="delete").values_list("resource_type", flat=True)) == {"tag", "artifact"}


def test_a_tag_whose_time_has_not_come_stays(shop: Shop) -> None:
    shop.image("a")
    expiry_set(repository=shop.repository(), name="a", expires_at=SOON)
    assert ended(jobs.start(KIND)).result == {"deleted": 0, "kept": 0}
    assert shop.tags() == {"a"}


def test_the_job_runs_by_itself_once_a_tag_expires(shop: Shop) -> None:
    shop.image("a")
    assert not Schedule.objects.filter(kind=KIND).exists()
    expiry_set(repository=shop.repository(), name="a", expires_at=SOON)
    assert Schedule.objects.get(kind=KIND).is_enabled


def test_a_tag_that_is_moved_forgets_its_expiry_and_one_pushed_again_does_not(shop: Shop) -> None:
    digest = shop.image("a", "b")
    for name in ("a", "b"):
        expiry_set(repository=shop.repository(), name=name, expires_at=SOON)
    shop.tag(digest, "b")
    shop.image("a")
    assert dict(Tag.objects.values_list("name", "expires_at")) == {"a": None, "b": SOON}


def test_an_index_keeps_what_it_lists_when_its_tag_expires(shop: Shop) -> None:
    child = shop.image("amd64")
    index = shop.shelf.index(child, tag="v1")
    assert expire(shop, "amd64") == {"deleted": 1, "kept": 0}
    assert (shop.tags(), shop.digests()) == ({"v1"}, {child, index})


def test_a_signature_stays_with_its_subject_when_its_tag_expires(shop: Shop) -> None:
    signed = shop.image("v1")
    signature = shop.shelf.signature(signed, b"signature", tag="sig")
    expire(shop, "sig")
    assert (shop.tags(), shop.digests()) == ({"v1"}, {signed, signature})


@pytest.mark.parametrize("part", ["index", "child"])
def test_what_is_in_use_stays_until_it_is_not(shop: Shop, part: str) -> None:
    child = shop.image()
    index = shop.shelf.index(child, tag="multi")
    digest = {"index": index, "child": child}[part]
    in_use_report(project=shop.project, source="cluster", digests=[digest], seconds=60)
    assert expire(shop, "multi") == {"deleted": 0, "kept": 1}
    (task,) = Execution.objects.latest("pk").tasks.all()
    assert any(line.endswith("shop/app:multi stays: it is in use") for line in log_of(task))
    in_use_report(project=shop.project, source="cluster", digests=[], seconds=60)
    assert expire(shop) == {"deleted": 1, "kept": 0}
    assert shop.digests() == set()


def test_a_tag_that_became_immutable_stays(shop: Shop) -> None:
    shop.image("a")
    expiry_set(repository=shop.repository(), name="a", expires_at=SOON)
    immutable(shop, "a")
    assert expire(shop) == {"deleted": 0, "kept": 1}
    assert shop.tags() == {"a"}


def test_what_can_not_expire(shop: Shop) -> None:
    shop.image("pinned", "free")
    immutable(shop, "pinned")
    with pytest.raises(Precondition):
        expiry_set(repository=shop.repository(), name="pinned", expires_at=SOON)
    with pytest.raises(NotFound):
        expiry_set(repository=shop.repository(), name="missing", expires_at=SOON)
    with pytest.raises(BadRequest, match="expires_at"):
        expiry_set(repository=shop.repository(), name="free", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    other: Shelf = shop.more("other")
    with pytest.raises(NotFound):
        expiry_set(repository=other.repository, name="free", expires_at=SOON)
    assert not Tag.objects.exclude(expires_at=None).exists()


def tags_make(shop: Shop, manifest: Manifest, names: list[str]) -> None:
    with transaction.atomic():
        tags_set(
            repository_id=shop.repository().pk,
            manifest_id=manifest.pk,
            digest=manifest.digest,
            names=names,
            actor="pusher",
            are_new=True,
        )


def test_many_tags_expire_in_one_run(shop: Shop) -> None:
    digest = shop.image("keep")
    content = Manifest.objects.get(digest=digest)
    for number in range(0, 250, 50):
        names = [f"t{number + more}" for more in range(50)]
        tags_make(shop, content, names)
    Tag.objects.exclude(name="keep").update(expires_at=SOON)
    immutable(shop, "t11*")
    assert expire(shop) == {"deleted": 250 - 11, "kept": 11}
    assert shop.digests() == {digest}
