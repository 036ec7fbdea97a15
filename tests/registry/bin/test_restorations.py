"""What is deleted and restored is what it was."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from harborlite.errors import ManifestBlobUnknown, ManifestUnknown, NotFound, Precondition, QuotaExceeded
from projects.models import Label, Quota
from projects.services.projects import project_delete
from registry import queries
from registry.models import (
    Blob,
    DeletedBlob,
    DeletedManifest,
    Deletion,
    Manifest,
    ManifestLabel,
    Repository,
    Tag,
    TagMove,
)
from registry.services import deletions, repositories, restorations, tags
from system.models import Event
from tests.images import sha256
from tests.registry.bin.snapshot import content, whole
from tests.registry.gc.shelf import LONG, Shelf, collect, pass_time

WHO = {"actor": "restorer"}


def restore(shelf: Shelf, deletion: Deletion | None = None) -> restorations.Restored:
    """The deletion, by default the latest, is undone."""
    latest = deletion or Deletion.objects.latest("pk")
    return restorations.deletion_restore(project=shelf.project, deletion_id=latest.pk, **WHO)


def bin_is_empty() -> bool:
    kinds = (Deletion, DeletedManifest, DeletedBlob)
    return not any(kind.objects.exists() for kind in kinds) and not TagMove.objects.filter(repository=None).exists()


def label(shelf: Shelf, digest: str, name: str = "good") -> Label:
    made = Label.objects.create(project=shelf.project, name=name)
    ManifestLabel.objects.create(manifest=Manifest.objects.get(repository=shelf.repository, digest=digest), label=made)
    return made


def family(shelf: Shelf) -> str:
    """An index with two children, one of them signed as new clients do it and one as old ones do; one has a label."""
    one = shelf.image(b"config 1", b"layer 1", b"shared")
    two = shelf.image(b"config 2", b"layer 2", b"shared")
    shelf.signature(one, b"signature")
    shelf.image(b"old signature", tag=f"{two.replace(':', '-')}.sig")
    index = shelf.index(one, two, tag="multi")
    tags.tag_create(repository=shelf.repository, digest=index, name="latest", actor="pusher")
    label(shelf, one)
    return index


# An artifact.


def test_a_family_comes_back_as_it_was(shelf: Shelf) -> None:
    index = family(shelf)
    Tag.objects.filter(name="multi").update(expires_at="2999-01-01T00:00:00Z", pulled_at="2024-01-01T00:00:00.123456Z")
    before = content(shelf.repository)
    shelf.delete_artifact(index)
    assert (shelf.manifests, shelf.tags) == (set(), set())
    (deletion,) = Deletion.objects.all()
    assert (deletion.kind, deletion.digest, deletion.tags) == ("artifact", index, ["latest", "multi"])
    assert (deletion.artifact_count, deletion.username, deletion.reason) == (5, "pusher", "user")
    restored = restore(shelf)
    assert (restored.artifacts, len(restored.tags), restored.taken) == (5, 3, [])
    assert content(shelf.repository) == before
    assert bin_is_empty()


def test_it_comes_back_when_its_links_were_collected(shelf: Shelf) -> None:
    index = family(shelf)
    before = content(shelf.repository)
    shelf.delete_artifact(index)
    pass_time(5 * 24 * 3600)
    assert collect()["links"] == 7
    assert content(shelf.repository)["used"] == 0
    assert Blob.objects.count() == 7, "the bin keeps the blobs"
    restore(shelf)
    after = content(shelf.repository)
    for row in before["manifests"].values():
        row["pushed_at"] = after["manifests"][row["digest"]]["pushed_at"]  # which has been moved into the past
    assert after == before


def test_after_the_window_it_is_gone(shelf: Shelf) -> None:
    index = family(shelf)
    shelf.delete_artifact(index)
    deletion = Deletion.objects.get()
    pass_time(LONG)
    with pytest.raises(NotFound):
        restore(shelf, deletion)
    with pytest.raises(ManifestUnknown):
        restorations.artifact_restore(repository=shelf.repository, digest=index, **WHO)
    assert not queries.deletions_of(shelf.project).exists()
    result = collect()
    assert (result["deletions"], result["blobs"]) == (1, 7)
    assert bin_is_empty()


def test_without_a_window_nothing_is_kept(shelf: Shelf, settings: Settings) -> None:
    settings.RESTORE_DAYS = 0
    shelf.delete_artifact(family(shelf))
    repositories.repository_delete(repository=shelf.repository)
    assert bin_is_empty()


def test_a_deletion_in_v2_is_kept_too(shelf: Shelf) -> None:
    one = shelf.image(b"config", b"layer", tag="v1")
    before = content(shelf.repository)
    shelf.delete(one)
    restore(shelf)
    assert content(shelf.repository) == before


def test_tags_that_were_taken_meanwhile_are_told_and_stay(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    tags.tag_create(repository=shelf.repository, digest=one, name="v2", actor="pusher")
    shelf.delete_artifact(one)
    other = shelf.image(b"other", tag="v1")
    restored = restore(shelf)
    assert (list(restored.tags), restored.taken) == (["v2"], ["v1"])
    assert dict(Tag.objects.values_list("name", "manifest__digest")) == {"v1": other, "v2": one}


def test_what_was_pushed_again_meanwhile_is_not_touched(shelf: Shelf) -> None:
    one = shelf.image(b"config", b"layer", tag="v1")
    shelf.delete_artifact(one)
    shelf.image(b"config", b"layer", tag="v2")
    restored = restore(shelf)
    assert (restored.artifacts, list(restored.tags)) == (0, ["v1"])
    assert shelf.tags == {"v1", "v2"}
    assert bin_is_empty()


def test_a_child_that_was_deleted_by_itself_comes_along(shelf: Shelf) -> None:
    """Though it was deleted after the index that needs it."""
    inner = shelf.index(shelf.image(b"config 1"), tag="inner")
    child = shelf.image(b"config 2", tag="child")
    outer = shelf.index(inner, child, tag="outer")
    before = content(shelf.repository)
    for digest in (outer, inner, child):
        shelf.delete_artifact(digest)
    assert shelf.manifests == set()
    restorations.artifact_restore(repository=shelf.repository, digest=outer, **WHO)
    after = content(shelf.repository)
    assert (after["references"], after["blobs"]) == (before["references"], before["blobs"])
    assert shelf.tags == {"outer"}, "its own tags"
    for tag, digest in (("inner", inner), ("child", child)):
        restorations.tag_restore(repository=shelf.repository, digest=digest, name=tag, **WHO)
    assert shelf.tags == {"outer", "inner", "child"}


def test_what_lists_something_lost_does_not_come_back(shelf: Shelf) -> None:
    child = shelf.image(b"config", tag="child")
    index = shelf.index(child, tag="index")
    shelf.delete_artifact(index)
    shelf.delete_artifact(child)
    deletions.deletion_purge(project=shelf.project, deletion_id=Deletion.objects.get(digest=child).pk)
    with pytest.raises(Precondition, match=child):
        restore(shelf, Deletion.objects.get(digest=index))
    assert shelf.manifests == set()


def test_a_label_that_is_gone_is_left_out(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    label(shelf, one, "gone").delete()
    kept = label(shelf, one, "kept")
    gone = label(shelf, one, "later gone")
    shelf.delete_artifact(one)
    gone.delete()
    restore(shelf)
    assert list(ManifestLabel.objects.values_list("label", flat=True)) == [kept.pk]


def test_a_tag_whose_time_was_over_comes_back_for_good(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    Tag.objects.update(expires_at="2024-01-01T00:00:00Z")
    shelf.delete_artifact(one)
    restore(shelf)
    assert Tag.objects.get().expires_at is None


def test_restoring_is_charged(shelf: Shelf) -> None:
    one = shelf.image(b"config", b"layer of some size", tag="v1")
    shelf.delete_artifact(one)
    pass_time(5 * 24 * 3600)
    collect()
    Quota.objects.update(hard=10)
    with pytest.raises(QuotaExceeded):
        restore(shelf)
    assert (shelf.manifests, shelf.blobs, Deletion.objects.count()) == (set(), set(), 1)
    Quota.objects.update(hard=1000)
    restore(shelf)
    assert content(shelf.repository)["used"] == 24


def test_a_deletion_is_restored_in_its_own_project_alone(shelf: Shelf) -> None:
    other = Shelf("other")
    one = shelf.image(b"config", tag="v1")
    shelf.delete_artifact(one)
    deletion = Deletion.objects.get()
    for act in (
        lambda: restorations.deletion_restore(project=other.project, deletion_id=deletion.pk, **WHO),
        lambda: deletions.deletion_purge(project=other.project, deletion_id=deletion.pk),
        lambda: queries.deletion_get(other.project, deletion.pk),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(ManifestUnknown):
        restorations.artifact_restore(repository=other.repository, digest=one, **WHO)
    assert Deletion.objects.get() == deletion


def test_a_purged_deletion_holds_no_bytes(shelf: Shelf) -> None:
    shelf.delete_artifact(shelf.image(b"config", b"layer", tag="v1"))
    deletions.deletion_purge(project=shelf.project, deletion_id=Deletion.objects.get().pk)
    assert bin_is_empty()
    pass_time(LONG)
    assert collect()["blobs"] == 2


def test_the_events_tell(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    shelf.delete_artifact(one)
    restore(shelf)
    repositories.repository_delete(repository=shelf.repository)
    restore(shelf)
    shelf.delete_artifact(one)
    deletions.deletion_purge(project=shelf.project, deletion_id=Deletion.objects.get().pk)
    rows = Event.objects.filter(operation__in=("restore", "purge")).order_by("pk")
    assert list(rows.values_list("operation", "resource_type", "resource")) == [
        ("restore", "artifact", "shelf/app:v1"),
        ("restore", "repository", "shelf/app"),
        ("purge", "artifact", f"shelf/app@{one}"),
    ]


@pytest.mark.parametrize("is_whole", [False, True])
def test_by_its_digest_comes_all_that_belongs_to_it(shelf: Shelf, *, is_whole: bool) -> None:
    """Signatures of children too, be it deleted by itself or with its repository."""
    index = family(shelf)
    before = content(shelf.repository)
    if is_whole:
        shelf.image(b"another", tag="another")
        repositories.repository_delete(repository=shelf.repository)
        repositories.repository_ensure(project=shelf.project, path="app")
    else:
        shelf.delete_artifact(index)
    repository = Repository.objects.select_related("project").get()
    restored = restorations.artifact_restore(repository=repository, digest=index, **WHO)
    assert (restored.artifacts, len(restored.tags)) == (5, 3)
    assert content(repository) == before
    assert Deletion.objects.count() == is_whole


# A collection that removes what has no tag.


def test_what_a_collection_removes_is_restored_one_by_one(shelf: Shelf) -> None:
    one, two = shelf.image(b"config 1"), shelf.image(b"config 2")
    index = shelf.index(two)
    before = content(shelf.repository)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 3
    kept = {deletion.digest: deletion for deletion in Deletion.objects.all()}
    assert {digest: d.artifact_count for digest, d in kept.items()} == {one: 1, index: 2}
    assert {deletion.reason for deletion in kept.values()} == {"gc"}
    restore(shelf, kept[index])
    assert shelf.manifests == {index, two}
    assert collect(delete_untagged=True)["manifests"] == 0, "who restored it has a lease"
    restore(shelf, kept[one])
    assert shelf.manifests == set(before["manifests"])


# A repository.


def test_a_repository_comes_back_as_it_was(shelf: Shelf) -> None:
    index = family(shelf)
    shelf.image(b"config 1", b"layer 1", b"shared", tag="v1")
    shelf.image(b"config 9", tag="latest")
    repositories.repository_rename(repository=shelf.repository, path="renamed")
    shelf.repository = Repository.objects.select_related("project").get()
    repositories.repository_update(repository=shelf.repository, description="what is here")
    before = whole(shelf.repository)
    repositories.repository_delete(repository=shelf.repository)
    assert not Repository.objects.exists()
    (deletion,) = Deletion.objects.all()
    assert (deletion.kind, deletion.repository, deletion.artifact_count) == ("repository", "renamed", 6)
    restore(shelf)
    after = whole(shelf.repository)
    old, new = after["moves"][: len(before["moves"])], after["moves"][len(before["moves"]) :]
    assert {**after, "moves": old} == before
    gone = [(move["tag"], move["from_digest"]) for move in new if move["to_digest"] is None]
    back = [(move["tag"], move["to_digest"]) for move in new if move["from_digest"] is None]
    assert gone == back == [(tag["name"], tag["manifest__digest"]) for tag in before["tags"]]
    assert {move["actor"] for move in new} == {"operator", "restorer"}
    assert (Deletion.objects.count(), index in shelf.manifests) == (0, True)


def test_a_repository_comes_back_into_one_of_its_name(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    shelf.image(b"config 2", tag="v2")
    repositories.repository_delete(repository=shelf.repository)
    new = Shelf(project=shelf.project)
    three = new.image(b"config 3", tag="v1")
    restored = restore(shelf)
    assert restored.repository == new.repository
    assert (list(restored.tags), restored.taken) == (["v2"], ["v1"])
    assert (one in new.manifests, new.tags) == (True, {"v1", "v2"})
    moves = TagMove.objects.filter(repository=new.repository, tag="v1").order_by("pk")
    assert list(moves.values_list("from_digest", "to_digest")) == [(None, one), (one, None), (None, three)]


def test_one_artifact_of_a_deleted_repository(shelf: Shelf) -> None:
    """By its digest, into a repository of that name that somebody made since."""
    one, two = shelf.image(b"config", tag="v1"), shelf.image(b"config 2", tag="v2")
    shelf.signature(one, b"signature")
    repositories.repository_delete(repository=shelf.repository)
    new = Shelf(project=shelf.project)
    restored = restorations.artifact_restore(repository=new.repository, digest=one, **WHO)
    assert (restored.artifacts, list(restored.tags), len(new.manifests)) == (2, ["v1"], 2)
    (deletion,) = Deletion.objects.all()
    assert deletion.artifact_count == 1
    restore(shelf)
    assert (two in new.manifests, new.tags) == (True, {"v1", "v2"})
    assert bin_is_empty()


def test_an_artifact_of_a_repository_that_is_gone(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    shelf.delete_artifact(one)
    deletion = Deletion.objects.get()
    repositories.repository_delete(repository=shelf.repository)
    restore(shelf, deletion)
    repository = Repository.objects.get()
    assert (repository.pk, repository.name, shelf.tags) == (shelf.repository.pk, "app", {"v1"})


def test_an_artifact_follows_its_repository(shelf: Shelf) -> None:
    one = shelf.image(b"config", tag="v1")
    shelf.delete_artifact(one)
    repositories.repository_rename(repository=shelf.repository, path="renamed")
    assert restore(shelf).repository.name == "renamed"


def test_an_empty_repository_comes_back(shelf: Shelf) -> None:
    repositories.repository_delete(repository=shelf.repository)
    assert restore(shelf).artifacts == 0
    assert Repository.objects.get().pk == shelf.repository.pk


def test_a_repository_of_a_deleted_project_is_not_restored(shelf: Shelf) -> None:
    shelf.image(b"config", tag="v1")
    repositories.repository_delete(repository=shelf.repository)
    project_delete(project=shelf.project)
    with pytest.raises(NotFound):
        restore(shelf)
    assert not Repository.objects.exists()
    assert Deletion.objects.exists()


@pytest.mark.parametrize("count", [10, 100])
def test_statements_do_not_grow_with_a_repository(shelf: Shelf, count: int) -> None:
    for number in range(count):
        shelf.image(b"config", b"%d" % number, tag=f"v{number}")
    with CaptureQueriesContext(connection) as captured:
        repositories.repository_delete(repository=shelf.repository)
        restore(shelf)
    assert len(captured) < 90
    assert len(shelf.tags) == count


def test_it_comes_back_as_a_whole_or_not_at_all(shelf: Shelf) -> None:
    """Though nothing should make possible that a blob is lost that is needed."""
    shelf.image(b"config", b"layer 1", tag="v1")
    shelf.image(b"config", b"layer 2", tag="v2")
    repositories.repository_delete(repository=shelf.repository)
    DeletedBlob.objects.get(blob__digest=sha256(b"layer 2")).delete()
    with pytest.raises(ManifestBlobUnknown):
        restore(shelf)
    assert not Repository.objects.exists()
    deletions.deletion_purge(project=shelf.project, deletion_id=Deletion.objects.get().pk)
