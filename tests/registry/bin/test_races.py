"""Restoring while others are at work: one is served, the others are told, and nothing is lost or doubled."""

from harborlite.errors import Conflict, HarborliteError, NotFound
from registry.models import Deletion, Manifest, Repository, Tag, TagMove
from registry.services import artifacts, deletions, repositories, restorations
from tests.registry.gc.shelf import Shelf, collect, pass_time
from tests.together import together

REFUSED = (NotFound, Conflict)
ROUNDS = 5


def undo(shelf: Shelf, pk: int) -> None:
    restorations.deletion_restore(project=shelf.project, deletion_id=pk, actor="restorer")


def test_of_many_that_restore_it_one_does(shelf: Shelf) -> None:
    one = shelf.index(shelf.image(b"config", b"layer"), tag="v1")
    for _ in range(ROUNDS):
        shelf.delete_artifact(one)
        pk = Deletion.objects.get().pk
        results = together(*[lambda: undo(shelf, pk)] * 3)  # noqa: B023
        assert results.count(None) == 1
        assert all(result is None or result in REFUSED for result in results)
        assert (len(shelf.manifests), shelf.tags, Deletion.objects.count()) == (2, {"v1"}, 0)
    assert TagMove.objects.count() == 1 + 2 * ROUNDS


def test_restored_and_pushed_at_once(shelf: Shelf) -> None:
    one = shelf.image(b"config", b"layer", tag="v1")
    for _ in range(ROUNDS):
        shelf.delete_artifact(one)
        pk = Deletion.objects.get().pk
        results = together(lambda: undo(shelf, pk), lambda: shelf.image(b"config", b"layer", tag="v1"))  # noqa: B023
        assert results == [None, one]
        assert (shelf.manifests, shelf.tags, Deletion.objects.count()) == ({one}, {"v1"}, 0)


def test_a_repository_restored_and_made_at_once(shelf: Shelf) -> None:
    """They are one afterwards, whoever was first."""
    shelf.image(b"config", b"layer", tag="v1")
    for _ in range(ROUNDS):
        repositories.repository_delete(repository=Repository.objects.select_related("project").get())
        pk = Deletion.objects.get().pk
        results = together(
            lambda: undo(shelf, pk),  # noqa: B023
            lambda: repositories.repository_ensure(project=shelf.project, path="app"),
        )
        assert results == [None, Repository.objects.get().pk]
        assert list(Tag.objects.values_list("name", flat=True)) == ["v1"]


def test_restored_and_purged_at_once(shelf: Shelf) -> None:
    one = shelf.image(b"config", b"layer", tag="v1")
    for _ in range(ROUNDS):
        shelf.delete_artifact(one)
        pk = Deletion.objects.get().pk
        restored, purged = together(
            lambda: undo(shelf, pk),  # noqa: B023
            lambda: deletions.deletion_purge(project=shelf.project, deletion_id=pk),  # noqa: B023
        )
        assert [restored, purged].count(None) == 1
        assert Manifest.objects.exists() == (restored is None)
        shelf.image(b"config", b"layer", tag="v1")


def test_restored_and_expired_and_collected_at_once(shelf: Shelf) -> None:
    """In the last moment of the window: it is there with all its bytes, or it is gone."""
    one = shelf.image(b"config", b"layer", tag="v1")
    for _ in range(ROUNDS):
        shelf.delete_artifact(one)
        pk = Deletion.objects.get().pk
        pass_time(7 * 24 * 3600 - 0.1)
        restored, *_ = together(lambda: undo(shelf, pk), lambda: deletions.deletions_expire(10))  # noqa: B023
        collect()
        assert restored is None or issubclass(restored, HarborliteError)  # type: ignore[arg-type]
        assert shelf.manifests == ({one} if restored is None else set())
        Deletion.objects.filter(pk=pk).update(expires_at="2000-01-01T00:00:00Z")
        assert deletions.deletions_expire(10) == Deletion.objects.count() == 0
        shelf.image(b"config", b"layer", tag="v1")


def test_a_child_restored_and_its_index_restored_at_once(shelf: Shelf) -> None:
    child = shelf.image(b"config", tag="child")
    index = shelf.index(child, tag="index")
    for _ in range(ROUNDS):
        for digest in (index, child):
            artifacts.artifact_delete(repository=shelf.repository, digest=digest, actor="pusher")
        results = together(
            lambda: restorations.artifact_restore(repository=shelf.repository, digest=index, actor="a") and None,
            lambda: restorations.artifact_restore(repository=shelf.repository, digest=child, actor="b") and None,
        )
        assert all(result is None or result in REFUSED for result in results), results
        for digest in (index, child):
            restorations.artifact_restore(repository=shelf.repository, digest=digest, actor="c")
        for pk in Deletion.objects.values_list("pk", flat=True):
            undo(shelf, pk)
        assert (shelf.manifests, shelf.tags) == ({index, child}, {"index", "child"})
        assert not Deletion.objects.exists()
