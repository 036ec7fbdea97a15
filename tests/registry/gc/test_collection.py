"""What a collection takes and what it leaves, case by case; the first ones are those of distribution's own suite."""

import pytest
from pytest_django import Settings

from projects import quota
from registry import fsck
from registry.models import Blob, Manifest, RepositoryBlob, Tombstone, Upload
from registry.services import repositories, uploads
from tests.images import sha256
from tests.registry.gc.shelf import Shelf, collect, kept_keys, pass_time, stored_keys

CONFIG, ONE, TWO, THREE = b"{}", b"one", b"twotwo", b"threethreethree"


@pytest.fixture(autouse=True)
def _sound() -> object:
    yield
    assert [str(violation) for violation in fsck.check(deep=True)] == []


def digests(*contents: bytes) -> set[str]:
    return {sha256(content) for content in contents}


def test_nothing_is_collected_of_what_is_tagged(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE, tag="v1")
    pass_time()
    result = collect(delete_untagged=True)
    assert (result["outcome"], result["blobs"], result["freed_bytes"]) == ("complete", 0, 0)
    assert shelf.manifests == {image}
    assert shelf.blobs == digests(CONFIG, ONE)


def test_an_empty_registry(shelf: Shelf) -> None:
    repositories.repository_delete(repository=shelf.repository)
    assert collect(delete_untagged=True)["outcome"] == "complete"


def test_a_blob_that_nothing_needs_goes_with_its_bytes(shelf: Shelf) -> None:
    shelf.blob(ONE)
    assert collect()["blobs"] == 0
    assert shelf.blobs == digests(ONE)
    pass_time()
    result = collect()
    assert (result["links"], result["blobs"], result["freed_bytes"]) == (1, 1, len(ONE))
    assert (result["removed_objects"], Blob.objects.count(), Tombstone.objects.count()) == (0, 0, 1)
    assert len(stored_keys()) == 1
    pass_time()
    result = collect()
    assert (result["removed_objects"], result["removed_bytes"]) == (1, len(ONE))
    assert stored_keys() == kept_keys() == set()


def test_without_a_delay_the_bytes_go_in_the_same_run(shelf: Shelf, settings: Settings) -> None:
    settings.TOMBSTONE_SECONDS = 0
    shelf.blob(ONE)
    pass_time()
    result = collect()
    assert (result["blobs"], result["removed_objects"], result["removed_bytes"]) == (1, 1, len(ONE))
    assert stored_keys() == set()


def test_untagged_manifests_stay_unless_asked_for(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    pass_time()
    assert collect()["manifests"] == 0
    assert shelf.manifests == {image}
    result = collect(delete_untagged=True)
    assert (result["manifests"], result["links"], result["blobs"]) == (1, 2, 2)
    assert result["freed_bytes"] == len(CONFIG + ONE)
    assert (shelf.manifests, shelf.blobs) == (set(), set())
    assert quota.of(shelf.project.pk).used == 0


def test_a_deleted_manifests_layers_go(shelf: Shelf) -> None:
    shelf.delete(shelf.image(CONFIG, ONE, tag="v1"))
    kept = shelf.image(CONFIG + b" ", TWO, tag="v2")
    pass_time()
    assert collect()["blobs"] == 2
    assert shelf.manifests == {kept}
    assert shelf.blobs == digests(CONFIG + b" ", TWO)


def test_a_layer_that_another_image_shares_stays(shelf: Shelf) -> None:
    shelf.delete(shelf.image(CONFIG, ONE, TWO, tag="v1"))
    shelf.image(CONFIG, TWO, THREE, tag="v2")
    pass_time()
    assert collect()["freed_bytes"] == len(ONE)
    assert shelf.blobs == digests(CONFIG, TWO, THREE)


def test_a_layer_that_another_project_shares_stays_there(shelf: Shelf) -> None:
    other = Shelf("other")
    other.image(CONFIG, ONE, tag="v1")
    shelf.blob(ONE)
    pass_time()
    result = collect()
    assert (result["links"], result["blobs"]) == (1, 0)
    assert (quota.of(shelf.project.pk).used, quota.of(other.project.pk).used) == (0, len(CONFIG + ONE))


def test_a_project_is_released_when_its_last_repository_lets_go(shelf: Shelf) -> None:
    second = Shelf(path="second", project=shelf.project)
    second.image(CONFIG, ONE, tag="v1")
    shelf.blob(ONE)
    pass_time()
    assert collect()["links"] == 1
    assert quota.of(shelf.project.pk).used == len(CONFIG + ONE)


def test_untagged_children_of_a_tagged_index_stay(shelf: Shelf) -> None:
    child, other = shelf.image(CONFIG, ONE), shelf.image(CONFIG, TWO)
    inner = shelf.index(other)
    outer = shelf.index(child, inner, tag="v1")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {child, other, inner, outer}
    assert shelf.blobs == digests(CONFIG, ONE, TWO)


def test_an_untagged_index_goes_with_its_untagged_children(shelf: Shelf) -> None:
    shelf.index(shelf.image(CONFIG, ONE), shelf.index(shelf.image(CONFIG, TWO)))
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 4
    assert (shelf.manifests, shelf.blobs) == (set(), set())


def test_a_tagged_child_of_an_untagged_index_stays(shelf: Shelf) -> None:
    child, other = shelf.image(CONFIG, ONE, tag="v1"), shelf.image(CONFIG, TWO)
    shelf.index(child, other)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 2
    assert shelf.manifests == {child}
    assert shelf.blobs == digests(CONFIG, ONE)


def test_a_child_that_a_kept_index_shares_stays(shelf: Shelf) -> None:
    shared, own = shelf.image(CONFIG, ONE), shelf.image(CONFIG, TWO)
    kept = shelf.index(shared, tag="v1")
    shelf.index(shared, own)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 2
    assert shelf.manifests == {shared, kept}


def test_what_refers_to_a_kept_manifest_stays(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    index = shelf.index(image, tag="v1")
    signature = shelf.signature(image, TWO)
    second = shelf.signature(signature, THREE)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {image, index, signature, second}
    assert shelf.blobs == digests(CONFIG, ONE, TWO, THREE)


def test_what_refers_to_a_manifest_goes_with_it(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    shelf.signature(shelf.signature(image, TWO), THREE)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 3
    assert (shelf.manifests, shelf.blobs) == (set(), set())


def test_the_subject_of_a_tagged_manifest_stays(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    described = shelf.signature(image, TWO, tag="sbom")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {image, described}


def test_what_refers_to_nothing_goes(shelf: Shelf) -> None:
    shelf.signature(sha256(b"never pushed"), TWO)
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 1


def test_a_cosign_tag_goes_with_its_untagged_subject(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    shelf.image(CONFIG, TWO, tag=f"{image.replace(':', '-')}.sig")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 2
    assert (shelf.manifests, shelf.tags) == (set(), set())


def test_a_cosign_tag_stays_with_its_subject_and_without_one(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE, tag="v1")
    signature = shelf.image(CONFIG, TWO, tag=f"{image.replace(':', '-')}.sig")
    orphan = shelf.image(CONFIG, THREE, tag=f"sha256-{'0' * 64}.att")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {image, signature, orphan}


def test_what_lost_its_tag_goes(shelf: Shelf) -> None:
    shelf.image(CONFIG, ONE, tag="v1")
    moved = shelf.image(CONFIG, TWO, tag="v1")
    gone = shelf.image(CONFIG, THREE, tag="v2")
    shelf.untag("v2")
    assert gone in shelf.manifests
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 2
    assert shelf.manifests == {moved}


def test_a_young_untagged_manifest_stays_for_a_lease(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {image}


def test_a_deleted_repository_leaves_nothing(shelf: Shelf) -> None:
    shelf.index(shelf.image(CONFIG, ONE), tag="v1")
    uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")
    repositories.repository_delete(repository=shelf.repository)
    pass_time()
    assert collect()["blobs"] == 2
    pass_time()
    collect()
    assert stored_keys() == set()
    assert not Tombstone.objects.exists()


def test_abandoned_uploads_go_with_their_parts(shelf: Shelf) -> None:
    upload = uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")
    uploads.upload_append(upload=upload, content=uploads.Content([ONE]))
    assert collect()["uploads"] == 0
    pass_time()
    result = collect()
    assert (result["uploads"], result["removed_objects"]) == (1, 1)
    assert not Upload.objects.exists()


def test_a_second_run_finds_nothing(shelf: Shelf, settings: Settings) -> None:
    settings.TOMBSTONE_SECONDS = 0
    shelf.index(shelf.image(CONFIG, ONE), shelf.image(CONFIG, TWO))
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 3
    again = collect(delete_untagged=True)
    assert {name: value for name, value in again.items() if value} == {"outcome": "complete"}


def test_more_rows_than_a_batch(shelf: Shelf, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.gc.collection.BATCH", 2)
    monkeypatch.setattr("registry.gc.phases.AT_ONCE", 2)
    monkeypatch.setattr("registry.gc.rows.LOOK", 3)
    monkeypatch.setattr("registry.gc.untagged.MOST", 2)
    settings.TOMBSTONE_SECONDS = 0
    for number in range(11):
        shelf.blob(b"%d" % number)
    for number in range(5):
        shelf.image(CONFIG, b"layer %d" % number, tag=f"v{number}" if number % 2 else None)
    pass_time()
    result = collect(delete_untagged=True)
    assert (result["manifests"], result["links"], result["blobs"]) == (3, 14, 14)
    assert result["removed_objects"] == 14 + 4  # the config's bytes, of each time it was pushed again
    assert (Manifest.objects.count(), RepositoryBlob.objects.count(), len(stored_keys())) == (2, 3, 3)
