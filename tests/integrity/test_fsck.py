"""What the check finds in rows, each by itself, and that its repair leaves nothing to find."""

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.services import user_create
from projects.models import Project, Quota, QuotaEntry
from projects.services.projects import project_create
from registry import fsck
from registry.blobstore import blobstore
from registry.models import (
    Blob,
    DeletedBlob,
    Manifest,
    ManifestReference,
    ProjectBlob,
    Repository,
    RepositoryBlob,
    Tag,
    TagMove,
    Tombstone,
    Upload,
)
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.services import repositories
from registry.services.blobs import blob_bind, blobs_link
from registry.services.manifests import manifest_delete, manifest_put
from system import jobs
from system.jobs import rows
from system.models import Event, Execution, Task

pytestmark = pytest.mark.django_db(transaction=True)
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Home:
    """A project with a repository that holds an image `v1`, of a config and a layer that are stored."""

    project: Project
    repository: Repository
    layer: Blob

    @property
    def manifest(self) -> Manifest:
        return Manifest.objects.get(repository=self.repository)

    @property
    def tag(self) -> Tag:
        return Tag.objects.get(repository=self.repository)


def stored(repository_id: int, content: bytes) -> Blob:
    digest, key = Digest.of(content), uuid.uuid4().hex
    blob = Blob.objects.filter(digest=str(digest)).first()
    if blob is None:
        blobstore().commit(key, blobstore().write(key, [], [content]))
    with transaction.atomic():
        blob = blob or blob_bind(digest=digest, size=len(content), storage_key=key)
        assert blob is not None
        blobs_link(repository_id=repository_id, blob_ids=[blob.pk])
    return blob


def built(name: str, layer: bytes = b"layer") -> Home:
    owner = user_create(username=f"of-{name}", password="Correct-Horse-7")
    project = project_create(name=name, owner=owner)
    repository_id = repositories.repository_ensure(project=project, path="app")
    config, blob = stored(repository_id, b"{}"), stored(repository_id, layer)
    content = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": OCI_LAYER, "digest": blob.digest, "size": blob.size}],
        }
    ).encode()
    manifest_put(
        project_id=project.pk,
        repository_id=repository_id,
        name=f"{name}/app",
        content=content,
        digest=Digest.of(content),
        parsed=parse(content, OCI_IMAGE),
        names=["v1"],
        actor="somebody",
        actor_id=owner.pk,
    )
    return Home(project, Repository.objects.get(pk=repository_id), blob)


@pytest.fixture
def home(transactional_db: None) -> Home:
    for entry in list(blobstore().keys()):
        blobstore().delete(entry.key)
    made = built("home")
    assert found() == []
    return made


def found() -> list[str]:
    return [violation.kind for violation in fsck.check(deep=True)]


def repaired() -> dict[str, str]:
    """What was done about each kind."""
    return {each.kind: each.repair() if each.repair else "" for each in fsck.check(deep=True)}


def reference_lost(home: Home) -> None:
    ManifestReference.objects.filter(kind="layer").delete()


def reference_too_many(home: Home) -> None:
    ManifestReference.objects.create(
        manifest=home.manifest, kind="layer", position=7, digest="sha256:" + "0" * 64, media_type=OCI_LAYER, size=1
    )


def reference_elsewhere(home: Home) -> None:
    there = built("there")
    link = RepositoryBlob.objects.get(repository=there.repository, blob=home.layer)
    ManifestReference.objects.filter(manifest=home.manifest, kind="layer").update(link=link)


def reference_to_something_else(home: Home) -> None:
    link = RepositoryBlob.objects.get(repository=home.repository, blob__size=2)
    ManifestReference.objects.filter(kind="layer").update(link=link)


def tag_elsewhere(home: Home) -> None:
    Tag.objects.filter(pk=home.tag.pk).update(manifest=built("there").manifest)


def tag_elsewhere_alone(home: Home) -> None:
    Tag.objects.filter(pk=home.tag.pk).update(manifest=built("there", b"another").manifest)


def move_unknown(home: Home) -> None:
    TagMove.objects.all().delete()


def tag_vanished(home: Home) -> None:
    Tag.objects.all().delete()


def list_hides(home: Home) -> None:
    Manifest.objects.update(is_listed=False)


def list_miscounts(home: Home) -> None:
    Repository.objects.update(artifact_count=5)


def charged_too_much(home: Home) -> None:
    QuotaEntry.objects.create(project=home.project, delta=1000)


def charged_nothing(home: Home) -> None:
    QuotaEntry.objects.all().delete()
    Quota.objects.update(folded=0)


def charged_another_size(home: Home) -> None:
    ProjectBlob.objects.filter(blob=home.layer).update(size=1)


def charged_for_nothing(home: Home) -> None:
    there = project_create(name="there", owner=user_create(username="there", password="Correct-Horse-7"))
    ProjectBlob.objects.create(project=there, blob=home.layer, size=home.layer.size)


def charged_to_another(home: Home) -> None:
    there = built("there", b"something else")
    holding = ProjectBlob.objects.create(project=there.project, blob=home.layer, size=home.layer.size)
    RepositoryBlob.objects.filter(blob=home.layer).update(holding=holding)


def quota_lost(home: Home) -> None:
    Quota.objects.all().delete()


def upload_miscounts(home: Home) -> None:
    Upload.objects.create(id=uuid.uuid4(), repository=home.repository, actor="somebody", size=9, parts=[["0-a", 5]])


def tombstone_of_the_living(home: Home) -> None:
    Tombstone.objects.create(storage_key=home.layer.storage_key, not_before=Now())


def bytes_of_nobody(home: Home) -> None:
    key = uuid.uuid4().hex
    blobstore().commit(key, blobstore().write(key, [], [b"stray"]))


def parts_of_nobody(home: Home) -> None:
    blobstore().write(uuid.uuid4().hex, [], [b"stray"])


def worker_lost(home: Home) -> None:
    jobs.start("SCRUB")
    assert rows.claim("gc", "lost") is not None
    Task.objects.update(lease_until=Now() - timedelta(hours=1))


def execution_left_open(home: Home) -> None:
    execution = jobs.start("SCRUB")
    Task.objects.filter(execution=execution).update(status="Success", ended_at=Now())
    Execution.objects.update(updated_at=Now() - timedelta(hours=1))


REPAIRED: dict[Callable[[Home], None], set[str]] = {
    reference_lost: {"content"},
    reference_too_many: {"content"},
    reference_elsewhere: {"tenancy"},
    reference_to_something_else: {"content"},
    tag_elsewhere: {"tenancy"},
    tag_elsewhere_alone: {"tenancy", "history"},
    move_unknown: {"history"},
    tag_vanished: {"history"},
    list_hides: {"list"},
    list_miscounts: {"list"},
    charged_too_much: {"quota"},
    charged_nothing: {"quota"},
    charged_another_size: {"quota"},
    charged_for_nothing: {"quota"},
    charged_to_another: {"quota"},
    quota_lost: {"quota"},
    upload_miscounts: {"upload"},
    tombstone_of_the_living: {"tombstone"},
    bytes_of_nobody: {"stray"},
    parts_of_nobody: {"stray"},
    worker_lost: {"job"},
    execution_left_open: {"job"},
}


@pytest.mark.parametrize("damage", REPAIRED, ids=lambda damage: damage.__name__)
def test_what_is_found_is_repaired(home: Home, damage: Callable[[Home], None]) -> None:
    damage(home)
    assert set(found()) == REPAIRED[damage]
    repaired()
    repaired()  # what one repair made visible, the next one sees
    assert found() == []


def test_a_tag_comes_back_to_its_own_repository(home: Home) -> None:
    tag_elsewhere(home)
    assert repaired()["tenancy"] == "it points at its own repository's"
    assert home.tag.manifest.repository == home.repository


def test_bytes_that_a_blob_has_are_never_removed(home: Home) -> None:
    tombstone_of_the_living(home)
    repaired()
    assert not Tombstone.objects.exists()
    assert blobstore().size(home.layer.storage_key) == home.layer.size


def test_many_strays_are_told_and_left_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather the database is the wrong one."""
    monkeypatch.setattr("registry.fsck.stored.FEW", 1)
    bytes_of_nobody(home)
    bytes_of_nobody(home)
    assert repaired() == {"stray": ""}
    assert not Tombstone.objects.exists()


@pytest.mark.parametrize("content", [b"{}", b"no manifest"])
def test_wrong_bytes_of_a_manifest_are_told(home: Home, content: bytes) -> None:
    Manifest.objects.update(content=content)
    assert repaired() == {"content": ""}
    assert found() == ["content"]


def test_what_can_not_be_restored_is_told(home: Home) -> None:
    manifest_delete(
        project_id=home.project.pk,
        repository_id=home.repository.pk,
        name="home/app",
        digest=Digest.parse(home.manifest.digest),
        actor="somebody",
    )
    assert DeletedBlob.objects.count() == 2
    assert found() == []
    DeletedBlob.objects.filter(blob=home.layer).delete()
    (violation,) = fsck.check()
    assert (violation.kind, home.layer.digest in violation.problem) == ("deletion", True)


def test_events_of_no_type_are_told(home: Home) -> None:
    Event.objects.create(at=Now(), username="somebody", operation="bake", resource_type="cake", resource="cake")
    assert repaired() == {"event": ""}


def test_a_transaction_that_is_idle_for_long_is_told(home: Home) -> None:
    """Of which the server's own limit leaves none: the view of sessions is the database's, so it is asked alone."""
    from registry.fsck import jobs as checks

    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("30s",)
    assert list(checks.sessions()) == []


def test_of_many_blobs_exactly_the_damaged_are_found(home: Home) -> None:
    blobs = [stored(home.repository.pk, b"%064d" % number) for number in range(200)]
    bad = random.sample(blobs, 100)
    for blob in bad:
        content = bytearray(b"%064d" % blobs.index(blob))
        content[random.randrange(64)] ^= 1 << random.randrange(8)
        blobstore().delete(blob.storage_key)
        blobstore().commit(blob.storage_key, blobstore().write(blob.storage_key, [], [bytes(content)]))
    assert {violation.subject for violation in fsck.check(deep=True)} == {blob.digest for blob in bad}
    assert list(fsck.check()) == []  # their lengths are right


def test_the_command_says_what_is_left(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    list_miscounts(home)
    blobstore().delete(home.layer.storage_key)
    with pytest.raises(CommandError, match="2 violations found"):
        call_command("fsck")
    with pytest.raises(CommandError, match="1 violations left"):
        call_command("fsck", repair=True)
    assert "1 violations repaired" in capsys.readouterr().out
    # In quarantine it is still missing.
    with pytest.raises(CommandError, match="1 violations left"):
        call_command("fsck", repair=True)
