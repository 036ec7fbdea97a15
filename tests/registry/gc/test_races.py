"""A collection meets pushes: what a client may rely on stays, whatever comes between the two looks of a collection.

"Asked" is a client that skips a push because it was told that the thing is there (F-21, L-01..L-03).
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from harborlite.errors import BlobUnknown, ManifestBlobUnknown, ManifestUnknown
from registry import fsck, queries
from registry.gc import rows, untagged
from registry.models import Blob, Manifest, RepositoryBlob
from registry.oci.digest import Digest
from registry.services import blobs, manifests
from registry.services.blobs import blobs_link
from registry.services.copies import artifact_copy
from registry.services.locks import hold
from tests.images import OCI_CONFIG, OCI_IMAGE, OCI_LAYER, descriptor, image_manifest, sha256, unique
from tests.product import wait_for
from tests.registry.gc.shelf import Shelf, collect, pass_time
from tests.together import together

CONFIG, ONE, TWO = b"{}", b"one", b"twotwo"
LEASE = 4  # seconds
POPULAR = [b"layer %d" % number for number in range(6)]


@pytest.fixture(autouse=True)
def _sound() -> Iterator[None]:
    yield
    assert [str(violation) for violation in fsck.check(deep=True)] == []


def ask_blob(shelf: Shelf, content: bytes) -> None:
    """HEAD of the blob, as /v2 does it; BlobUnknown."""
    found = queries.blob_find(shelf.repository.pk, Digest.of(content))
    if found is None:
        raise BlobUnknown()
    blobs.lease_renew(found=found)


def ask_manifest(shelf: Shelf, digest: str) -> None:
    """HEAD of the manifest, as /v2 does it; ManifestUnknown."""
    found = queries.manifest_resolve(shelf.repository.pk, Digest.parse(digest))
    if found is None:
        raise ManifestUnknown()
    manifests.manifest_lease_renew(found=found)


def put_image(shelf: Shelf, *contents: bytes, tag: str = "v1") -> str:
    """The manifest alone; its blobs are there, as far as the client knows."""
    layers = [descriptor(content, OCI_LAYER) for content in contents[1:]]
    return shelf.put(image_manifest(descriptor(contents[0], OCI_CONFIG), layers), OCI_IMAGE, tag)


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Another connection is inside a transaction in which it did `action`; it commits at the end."""
    is_in, may_end = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                action()
                is_in.set()
                assert may_end.wait(30)
        finally:
            is_in.set()
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert is_in.wait(30)
    try:
        yield
    finally:
        may_end.set()
        thread.join()


# What was asked for is leased.


def test_an_old_layer_that_was_asked_for_can_be_used(shelf: Shelf) -> None:
    """F-21: also when only what referenced it before is gone."""
    shelf.delete(shelf.image(CONFIG, ONE, tag="old"))
    pass_time()
    for content in (CONFIG, ONE):
        ask_blob(shelf, content)
    assert collect(delete_untagged=True)["links"] == 0
    put_image(shelf, CONFIG, ONE)


def test_a_mounted_layer_can_be_used(shelf: Shelf) -> None:
    """F-21: though its source is collected meanwhile."""
    source = Shelf("source")
    for content in (CONFIG, ONE):
        source.blob(content)
    pass_time()
    assert all(shelf.mount(sha256(content)) for content in (CONFIG, ONE))
    assert collect()["links"] == 2
    assert source.blobs == set()
    put_image(shelf, CONFIG, ONE)


def test_a_layer_asked_for_is_kept_for_half_a_lease_at_least(shelf: Shelf, settings: Settings) -> None:
    """B-11: and reads of popular layers write nothing."""
    shelf.blob(ONE)
    for _ in range(5):
        pass_time(settings.LEASE_SECONDS * 0.4)
        before = RepositoryBlob.objects.get().leased_until
        ask_blob(shelf, ONE)
        is_renewed = RepositoryBlob.objects.get().leased_until != before
        pass_time(settings.LEASE_SECONDS * 0.45)
        assert collect()["links"] == 0
        ask_blob(shelf, ONE)
        assert is_renewed or RepositoryBlob.objects.get().leased_until != before


@pytest.mark.parametrize("how", ["asked", "pushed again", "asked by tag"])
def test_an_old_manifest_can_be_listed_by_an_index(shelf: Shelf, how: str) -> None:
    child = shelf.image(CONFIG, ONE, tag="v1")
    pass_time()
    match how:
        case "asked":
            ask_manifest(shelf, child)
        case "pushed again":
            shelf.again(child)
        case "asked by tag":
            found = queries.manifest_resolve(shelf.repository.pk, "v1")
            assert found is not None
            manifests.manifest_lease_renew(found=found)
    shelf.untag("v1")
    assert collect(delete_untagged=True)["manifests"] == 0
    index = shelf.index(child, tag="v2")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 0
    assert shelf.manifests == {child, index}


def test_an_old_untagged_manifest_that_nobody_asks_for_goes(shelf: Shelf) -> None:
    """The test above would find nothing else."""
    shelf.image(CONFIG, ONE, tag="v1")
    shelf.untag("v1")
    pass_time()
    assert collect(delete_untagged=True)["manifests"] == 1


def test_reads_of_a_manifest_write_once_in_half_a_lease(shelf: Shelf, settings: Settings) -> None:
    image = shelf.image(CONFIG, ONE, tag="v1")
    ask_manifest(shelf, image)
    assert Manifest.objects.get().leased_until is None
    pass_time(settings.LEASE_SECONDS * 0.6)
    ask_manifest(shelf, image)
    leased = Manifest.objects.get().leased_until
    assert leased is not None
    ask_manifest(shelf, image)
    assert Manifest.objects.get().leased_until == leased


# What comes between the two looks of a collection.


def test_a_link_is_leased_again_after_it_was_found(shelf: Shelf) -> None:
    shelf.blob(ONE)
    pass_time()
    found = rows.links_find(0)
    assert len(found.ids) == 1
    ask_blob(shelf, ONE)
    with transaction.atomic():
        assert rows.links_collect(found.ids)["links"] == 0
    assert shelf.blobs == {sha256(ONE)}


def test_a_link_is_referenced_after_it_was_found(shelf: Shelf) -> None:
    for content in (CONFIG, ONE):
        shelf.blob(content)
    pass_time()
    found = rows.links_find(0)
    put_image(shelf, CONFIG, ONE)
    with transaction.atomic():
        assert rows.links_collect(found.ids)["links"] == 0


def test_a_link_that_a_push_holds_is_left(shelf: Shelf) -> None:
    """And nobody waits for the other."""
    for content in (CONFIG, ONE):
        shelf.blob(content)
    pass_time()
    found = rows.links_find(0)
    with meanwhile(lambda: hold(RepositoryBlob.objects.values_list("pk"))):
        assert collect()["links"] == 0
        with transaction.atomic():
            assert rows.links_collect(found.ids)["links"] == 0
    assert collect()["links"] == 2


def test_a_holding_that_a_push_holds_is_left(shelf: Shelf) -> None:
    """Who links the blob in another repository of the project."""
    shelf.blob(ONE)
    second = Shelf(path="second", project=shelf.project)
    pass_time()
    blob_id = Blob.objects.get().pk
    with meanwhile(lambda: blobs_link(repository_id=second.repository.pk, blob_ids=[blob_id])):
        assert collect()["links"] == 0
    assert collect()["links"] == 1
    assert second.blobs == {sha256(ONE)}


def test_a_blob_is_linked_after_it_was_found(shelf: Shelf) -> None:
    shelf.blob(ONE)
    blobs.blob_unlink(repository_id=shelf.repository.pk, digest=Digest.of(ONE))
    found = rows.blobs_find(0)
    assert len(found.ids) == 1
    assert shelf.mount(sha256(ONE))
    with transaction.atomic():
        assert rows.blobs_collect(found.ids)["blobs"] == 0


def test_a_blob_pushed_again_while_it_is_collected(shelf: Shelf) -> None:
    """F-22: the push waits for the end of the collection, and its bytes are new ones."""
    shelf.blob(ONE)
    blobs.blob_unlink(repository_id=shelf.repository.pk, digest=Digest.of(ONE))
    before = Blob.objects.get()
    ids = rows.blobs_find(0).ids
    results: list[object] = []
    with transaction.atomic():
        assert rows.blobs_collect(ids)["blobs"] == 1
        thread = threading.Thread(target=lambda: results.extend(together(lambda: shelf.blob(ONE))))
        thread.start()
        wait_for("the push waits", is_waiting)
    thread.join()
    assert results == [sha256(ONE)]
    after = Blob.objects.get()
    assert after.storage_key != before.storage_key
    pass_time()
    ask_blob(shelf, ONE)
    collect()
    assert queries.blob_find(shelf.repository.pk, Digest.of(ONE)) is not None


def is_waiting() -> bool:
    """Some connection waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])


def test_of_a_mount_and_a_collection_one_is_refused(shelf: Shelf) -> None:
    """A mount that found the blob before its last link went; to the client it then simply is no mount."""
    for number in range(10):
        content = b"layer %d" % number
        shelf.blob(content)
        blobs.blob_unlink(repository_id=shelf.repository.pk, digest=Digest.of(content))
        blob_id = Blob.objects.get(digest=sha256(content)).pk
        results = together(
            lambda: blobs.blob_mount(repository_id=shelf.repository.pk, blob_id=blob_id),  # noqa: B023 - called here
            lambda: collect_blob(blob_id),  # noqa: B023
        )
        assert Blob.objects.filter(pk=blob_id).exists() == results[0], results
        assert results[1] != results[0], results


def collect_blob(blob_id: int) -> bool:
    try:
        with transaction.atomic():
            return rows.blobs_collect([blob_id])["blobs"] == 1
    except IntegrityError:
        return False


def test_a_manifest_is_tagged_after_it_was_found(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    signature = shelf.signature(image, TWO)
    other = shelf.image(CONFIG, TWO)
    pass_time()
    families = untagged.families_of(shelf.repository)
    assert sorted(map(len, families)) == [1, 2]
    put_image(shelf, CONFIG, ONE)
    with transaction.atomic():
        assert untagged._remove(shelf.repository, families) == {"manifests": 1}
    assert shelf.manifests == {image, signature}
    assert other not in shelf.manifests


def test_a_manifest_is_listed_after_it_was_found(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    pass_time()
    families = untagged.families_of(shelf.repository)
    shelf.index(image)
    with transaction.atomic():
        assert untagged._remove(shelf.repository, families) == {}


def test_a_manifest_is_signed_after_it_was_found(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    pass_time()
    families = untagged.families_of(shelf.repository)
    shelf.signature(image, TWO)
    with transaction.atomic():
        assert untagged._remove(shelf.repository, families) == {}


def test_a_family_of_which_somebody_holds_one_is_left(shelf: Shelf) -> None:
    image = shelf.image(CONFIG, ONE)
    shelf.signature(image, TWO)
    pass_time()
    with meanwhile(lambda: hold(Manifest.objects.filter(digest=image).values_list("pk"))):
        assert collect(delete_untagged=True)["manifests"] == 0
    assert collect(delete_untagged=True)["manifests"] == 2


# All at once.


class Pusher:
    """A client of two repositories that pushes only what it is not told is there."""

    def __init__(self, shelves: list[Shelf], seed: int) -> None:
        self.shelves, self.chance = shelves, random.Random(seed)

    def run(self) -> str:
        number, end = 0, time.monotonic() + 2 * LEASE
        while time.monotonic() < end:
            number += 1
            here, there = self.chance.sample(self.shelves, 2)
            image = self.push(here, f"v{number % 3}", is_listed=number % 5 == 0)
            if number % 4 == 0:
                self.copy(here, image, there)
        return "pushed"

    def push(self, shelf: Shelf, tag: str, *, is_listed: bool) -> str:
        shelf.blob(unique())  # and forgets it
        contents = [CONFIG, *self.chance.sample(POPULAR, 3)]
        while True:
            begun = time.monotonic()
            for content in contents:
                try:
                    ask_blob(shelf, content)
                except BlobUnknown:
                    shelf.blob(content)
            try:
                image = put_image(shelf, *contents, tag=tag)
                if is_listed:
                    shelf.index(image, tag="index")
            except ManifestBlobUnknown:  # only a client that was too slow may be told so
                assert time.monotonic() - begun > LEASE / 2
            else:
                return image

    def copy(self, here: Shelf, image: str, there: Shelf) -> None:
        try:
            artifact_copy(source=here.repository, digest=image, destination=there.repository, actor="a", actor_id=None)
        except ManifestUnknown:
            assert image not in here.manifests


def test_pushes_among_collections(shelf: Shelf, settings: Settings) -> None:
    """Collections run all the time, with short leases and no delay, and no push is refused."""
    settings.LEASE_SECONDS = LEASE
    settings.TOMBSTONE_SECONDS = 0
    second = Shelf(path="second", project=shelf.project)
    pushers = [Pusher([shelf, second], seed) for seed in range(3)]
    left = len(pushers)
    runs = []

    def push(pusher: Pusher) -> str:
        nonlocal left
        try:
            return pusher.run()
        finally:
            left -= 1

    def sweep() -> None:
        while left:
            runs.append(collect(delete_untagged=len(runs) % 2 == 0))

    results = together(*(partial(push, pusher) for pusher in pushers), sweep)
    assert results[:-1] == ["pushed"] * len(pushers), results
    assert len(runs) > 2
    assert sum(run["blobs"] for run in runs) > 0
    pass_time()
    collect(delete_untagged=True)


def test_the_client_that_asks_nothing_is_told_what_is_missing(shelf: Shelf) -> None:
    shelf.blob(CONFIG)
    shelf.blob(ONE)
    pass_time()
    collect()
    with pytest.raises(ManifestBlobUnknown):
        put_image(shelf, CONFIG, ONE)
