"""What is removed from the store: all that is due, nothing because of what a listing does not show, and no more than
can be believed to be garbage.
"""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from registry import fsck, gc
from registry.blobstore import Part, blobstore
from registry.models import Blob, Tombstone, Upload
from registry.services import uploads
from system.models import Event, TaskLog
from tests.contracts.troublemaker import Answer, Request, Trouble, Troublemaker, failing, troublemaker
from tests.images import sha256
from tests.registry.gc.shelf import Shelf, collect, kept_keys, pass_time, stored_keys
from tests.seaweed import Seaweed

CONFIG, ONE, TWO, THREE = b"{}", b"one", b"twotwo", b"threethreethree"
DAY = 24 * 3600


@pytest.fixture
def trouble(seaweed: Seaweed, settings: Settings) -> Iterator[Troublemaker]:
    """The store is S3, behind a proxy that can be told what to do with which request."""
    with troublemaker(seaweed.endpoint) as made:
        settings.STORAGE = "s3"
        settings.STORAGES = {
            **settings.STORAGES,
            "blobs": {
                "BACKEND": "storages.backends.s3.S3Storage",
                "OPTIONS": {
                    "bucket_name": f"collected-{secrets.token_hex(4)}",
                    "endpoint_url": made.endpoint,
                    "region_name": "us-east-1",
                    "access_key": seaweed.access_key,
                    "secret_key": seaweed.secret_key,
                    "client_config": quick_client(),
                },
            },
        }
        blobstore.cache_clear()
        yield made
        blobstore.cache_clear()


def quick_client() -> object:
    from botocore.config import Config

    return Config(
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def is_of(request: Request, key: str) -> bool:
    return request.path.endswith(key)


def logs() -> str:
    return "\n".join(TaskLog.objects.order_by("pk").values_list("text", flat=True))


def stray(settings: Settings, size: int = 10, *, age: float = 2 * DAY) -> str:
    """The key of bytes that no row ever named, as old as that."""
    key = secrets.token_hex(16)
    blobstore().commit(key, blobstore().write(key, [], [b"x" * size]))
    path = Path(settings.BLOBS_ROOT, "blobs", key[:2], key)
    os.utime(path, (time.time() - age,) * 2)
    return key


# Undeletable objects.


@pytest.mark.s3
@pytest.mark.parametrize("workers", [1, 5])
def test_an_object_that_can_not_be_deleted_holds_up_no_other(
    trouble: Troublemaker, shelf: Shelf, settings: Settings, workers: int
) -> None:
    """F-49: the run ends in part, and the next one tries again."""
    settings.TOMBSTONE_SECONDS = 0
    for content in (ONE, TWO, THREE):
        shelf.blob(content)
    pass_time()
    key = Blob.objects.get(digest=sha256(TWO)).storage_key

    def refuse(request: Request) -> Trouble | None:
        return failing(500, "InternalError") if request.method == "DELETE" and is_of(request, key) else None

    trouble.on = refuse
    result = collect(workers=workers)
    assert (result["outcome"], result["blobs"], result["removed_objects"], result["failed"]) == ("partial", 3, 2, 1)
    assert stored_keys() == {key}
    assert collect()["failed"] == 1
    trouble.on = lambda _: None
    result = collect()
    assert (result["outcome"], result["removed_objects"], result["removed_bytes"]) == ("complete", 1, len(TWO))
    assert stored_keys() == kept_keys() == set()


@pytest.mark.s3
def test_parts_that_nobody_goes_on_with_go(trouble: Troublemaker, shelf: Shelf) -> None:
    """L-11: small ones and those of a multipart upload; those of a session under way stay."""
    mine = uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")
    uploads.upload_append(upload=mine, content=uploads.Content([ONE]))
    small, large = secrets.token_hex(16), secrets.token_hex(16)
    blobstore().write(small, [], [TWO])
    blobstore().write(large, [], [bytes(9 << 20)])
    result = collect(dry_run=True)
    assert result["removed_parts"] == 2
    result = collect()
    assert (result["removed_parts"], result["uploads"]) == (2, 0)
    assert list(blobstore().uploads()) == [mine.storage_key]
    uploads.upload_finish(upload=mine, digest=uploads.Digest.of(ONE), content=None)
    assert [str(violation) for violation in fsck.check(deep=True)] == []


@pytest.mark.s3
def test_parts_that_can_not_be_removed_are_told(trouble: Troublemaker, shelf: Shelf) -> None:
    key = secrets.token_hex(16)
    blobstore().write(key, [], [TWO])
    trouble.on = lambda request: failing(500, "InternalError") if request.method == "DELETE" else None
    result = collect()
    assert (result["outcome"], result["failed"]) == ("partial", 1)


# Listings.


@pytest.mark.s3
@pytest.mark.parametrize("lie", ["nothing", "half"])
def test_a_listing_that_lacks_objects_costs_none(trouble: Troublemaker, shelf: Shelf, lie: str) -> None:
    """F-23: what the store does not show is there all the same."""
    kept = shelf.image(CONFIG, *(b"layer %d" % number for number in range(10)), tag="v1")
    pass_time()
    seen: list[Answer] = []

    def lying(request: Request) -> Trouble | None:
        def answer(ask: object) -> Answer:
            found = ask()  # type: ignore[operator]
            seen.append(found)
            pieces = found.body.split(b"<Contents>")
            few = pieces[:1] if lie == "nothing" else pieces[: 1 + len(pieces) // 2]
            tail = b"" if few[-1].endswith(b"</ListBucketResult>") else b"</ListBucketResult>"
            return Answer(found.status, found.headers, b"<Contents>".join(few) + tail)

        return answer if request.lists and "list-type" in request.query else None

    trouble.on = lying
    assert collect(delete_untagged=True)["blobs"] == 0
    assert seen
    trouble.on = lambda _: None
    assert shelf.manifests == {kept}
    assert len(stored_keys()) == 11
    assert [str(violation) for violation in fsck.check(deep=True)] == []


@pytest.mark.s3
def test_a_listing_that_fails_costs_none(trouble: Troublemaker, shelf: Shelf) -> None:
    """What does not need it was done, and the run is tried again."""
    shelf.blob(ONE)
    pass_time()
    trouble.on = lambda request: failing(500, "InternalError") if request.lists else None
    with pytest.raises(AssertionError):
        collect()
    assert not Blob.objects.exists()
    assert len(stored_keys_behind(trouble)) == 1


def stored_keys_behind(trouble: Troublemaker) -> set[str]:
    trouble.on = lambda _: None
    return stored_keys()


# Orphans.


def test_bytes_that_no_row_names_go_after_a_delay(shelf: Shelf, settings: Settings) -> None:
    for number in range(40):
        shelf.blob(b"layer %d" % number)
    shelf.image(CONFIG, *(b"layer %d" % number for number in range(40)), tag="v1")
    young, old = stray(settings, age=DAY / 2), stray(settings, 7)
    told = collect(dry_run=True)
    assert (told["orphans"], told["orphan_bytes"], Tombstone.objects.count()) == (1, 7, told["removed_objects"])
    result = collect()
    assert (result["outcome"], result["orphans"], result["orphan_bytes"]) == ("complete", 1, 7)
    assert old in logs()
    assert young not in logs()
    assert {young, old} <= stored_keys()
    pass_time(settings.TOMBSTONE_SECONDS + 1)
    result = collect()
    assert (result["removed_bytes"], result["orphans"]) == (7, 0)
    assert old not in stored_keys()
    assert young in stored_keys()


def test_too_many_orphans_are_not_believed(shelf: Shelf, settings: Settings) -> None:
    """As after the database was restored from an old backup: nothing goes, and it is told."""
    shelf.image(CONFIG, *(b"layer %d" % number for number in range(39)), tag="v1")
    strays = {stray(settings) for _ in range(3)}
    result = collect()
    assert (result["outcome"], result["orphans"], result["orphans_kept"]) == ("partial", 0, 3)
    assert strays <= stored_keys()
    assert not Tombstone.objects.filter(storage_key__in=strays).exists()
    event = Event.objects.get(operation="warn", resource_type="storage")
    assert "3 of 43 stored objects" in event.description
    assert "3 of 43 stored objects" in logs()


def test_no_more_orphans_than_the_setting_go(shelf: Shelf, settings: Settings) -> None:
    settings.GC_ORPHANS = 1
    shelf.image(CONFIG, *(b"layer %d" % number for number in range(60)), tag="v1")
    for _ in range(3):
        stray(settings)
    result = collect()
    assert (result["orphans"], result["orphans_kept"]) == (0, 2)
    assert "2 or more of 64" in logs()


def test_a_fresh_database_does_not_empty_the_store(settings: Settings) -> None:
    for _ in range(5):
        stray(settings)
    result = collect()
    assert (result["orphans"], result["orphans_kept"]) == (0, 5)
    assert len(stored_keys()) == 5


def test_an_upload_under_way_is_no_orphan(shelf: Shelf, settings: Settings) -> None:
    """Its bytes may be committed before any blob names them."""
    shelf.image(CONFIG, *(b"layer %d" % number for number in range(60)), tag="v1")
    upload = uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")
    parts = blobstore().write(upload.storage_key, [], [ONE])
    blobstore().commit(upload.storage_key, parts)
    path = Path(settings.BLOBS_ROOT, "blobs", upload.storage_key[:2], upload.storage_key)
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    result = collect()
    assert (result["orphans"], result["orphans_kept"]) == (0, 0)
    assert Upload.objects.exists()


# What must never be.


def test_a_tombstone_never_takes_what_a_blob_has(shelf: Shelf) -> None:
    shelf.image(CONFIG, tag="v1")
    blob = Blob.objects.get()
    Tombstone.objects.create(storage_key=blob.storage_key, not_before=blob.created_at)
    assert collect()["removed_objects"] == 0
    assert gc.sweep() == (0, 0)
    assert blobstore().size(blob.storage_key) == len(CONFIG)


def test_parts_of_one_write(shelf: Shelf) -> None:
    """What a process leaves that dies between two parts goes with the session, however it ends."""
    upload = uploads.upload_start(repository_id=shelf.repository.pk, actor="pusher")
    parts: list[Part] = blobstore().write(upload.storage_key, [], [ONE])
    blobstore().write(upload.storage_key, parts, [TWO])
    pass_time()
    result = collect()
    assert (result["uploads"], result["removed_objects"]) == (1, 1)
    assert list(blobstore().uploads()) == []
