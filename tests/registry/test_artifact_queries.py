"""How much lists of artifacts ask of the database, and that whoever writes keeps what they are taken from right."""

import contextlib
import json
import random
import uuid
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import user_create
from harborlite.errors import HarborliteError
from projects.models import Label, Project
from projects.services.projects import project_create
from registry.models import Blob, Manifest, ManifestLabel, ManifestReference, Repository, Tag
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.oci.media_types import OCI_INDEX, OCI_MANIFEST
from registry.services import listed
from registry.services.artifacts import artifact_delete
from registry.services.blobs import blob_bind, blobs_link
from registry.services.copies import artifact_copy
from registry.services.manifests import manifest_delete, manifest_put
from registry.services.repositories import repository_ensure
from registry.services.tags import tag_create, tag_delete
from tests.product import wait_for
from tests.registry.filling import fill
from tests.together import together

PASSWORD = "Correct-Horse-7"
EVERYTHING = (
    "with_tag=true&with_label=true&with_accessory=true&with_inherited_accessory=true&with_immutable_status=true"
    "&with_sizes=true&page_size=100"
)


@pytest.fixture
def user(transactional_db: None) -> User:
    return user_create(username="counter", password=PASSWORD)


@pytest.fixture
def project(user: User) -> Project:
    return project_create(name="counted", owner=user)


def repository_of(project: Project, path: str) -> Repository:
    return Repository.objects.select_related("project").get(pk=repository_ensure(project=project, path=path))


def count(path: str) -> int:
    credentials = b64encode(f"counter:{PASSWORD}".encode()).decode()
    client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Basic {credentials}"})
    for _ in range(2):  # the first one learns what is remembered: the password, the configuration
        with CaptureQueriesContext(connection) as captured:
            response = client.get(f"/api/v2.0/projects/counted{path}")
        assert response.status_code == 200, response.content
    assert response.json()
    return len(captured)


def furnish(project: Project, path: str, artifacts: int) -> None:
    """A repository of so many artifacts, each an index with a label and a signature."""
    repository = repository_of(project, path)
    fill(repository, artifacts)
    label, _ = Label.objects.get_or_create(project=project, name="a")
    rows = list(Manifest.objects.filter(repository=repository))
    ManifestLabel.objects.bulk_create(ManifestLabel(manifest=row, label=label) for row in rows)
    Manifest.objects.filter(repository=repository).update(media_type=OCI_INDEX)
    Manifest.objects.bulk_create(
        Manifest(
            project=project,
            repository=repository,
            digest=row.digest.replace("sha256:00", "sha256:ff"),
            media_type=OCI_MANIFEST,
            subject_digest=row.digest,
            accessory_of=row.digest,
            is_listed=False,
            size=2,
            content=b"{}",
        )
        for row in rows
    )


@pytest.mark.parametrize("query", [EVERYTHING, "page_size=100", "page_size=100&q=tags%3D*", "page_size=100&sort=size"])
def test_a_list_asks_as_often_for_many_as_for_few(project: Project, query: str) -> None:
    furnish(project, "few", 3)
    furnish(project, "many", 60)
    assert count(f"/repositories/few/artifacts?{query}") == count(f"/repositories/many/artifacts?{query}") <= 14


def test_a_list_of_a_project_asks_as_often_for_many_repositories(project: Project) -> None:
    furnish(project, "app-0", 3)
    few = count(f"/artifacts?{EVERYTHING}")
    for number in range(1, 12):
        furnish(project, f"app-{number}", 5)
    assert count(f"/artifacts?{EVERYTHING}") == few


def test_a_list_counts_no_rows(project: Project) -> None:
    furnish(project, "app", 30)
    for path in ("/repositories/app/artifacts?page_size=5", "/artifacts?page_size=5"):
        with CaptureQueriesContext(connection) as captured:
            count(path)
        counting = [query["sql"] for query in captured if "COUNT(*)" in query["sql"].upper()]
        assert counting == []


def test_accessories_ask_as_often_for_many_as_for_few(project: Project) -> None:
    furnish(project, "app", 2)
    row = Manifest.objects.filter(accessory_of=None)[0]
    path = f"/repositories/app/artifacts/{row.digest}/accessories?page_size=100"
    one = count(path)
    Manifest.objects.bulk_create(
        Manifest(
            project=project,
            repository_id=row.repository_id,
            digest=f"sha256:{number:064d}",
            media_type=OCI_MANIFEST,
            accessory_of=row.digest,
            is_listed=False,
            size=2,
            content=b"{}",
        )
        for number in range(100, 150)
    )
    assert count(path) == one


# What lists are taken from.


class Writer:
    """Somebody who pushes into and deletes from one repository, without bytes."""

    def __init__(self, project: Project, path: str = "app") -> None:
        self.project, self.repository = project, repository_of(project, path)
        self.name = f"{project.name}/{path}"
        self.config = Digest.of(b"{}")
        with transaction.atomic():
            blob = blob_bind(digest=self.config, size=2, storage_key=uuid.uuid4().hex)
            blobs_link(repository_id=self.repository.pk, blob_ids=[(blob or Blob.objects.get()).pk])

    def image(self, number: int, tag: str | None = None, subject: str | None = None) -> str:
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "text/plain", "digest": str(self.config), "size": 2},
            "layers": [],
            "annotations": {"number": str(number)},
        }
        if subject:
            document["subject"] = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1}
        return self.put(document, tag)

    def index(self, children: list[str], tag: str | None = None) -> str:
        sizes = dict(Manifest.objects.filter(repository=self.repository).values_list("digest", "size"))
        entries = [{"mediaType": OCI_MANIFEST, "digest": child, "size": sizes.get(child, 1)} for child in children]
        return self.put({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, tag)

    def put(self, document: dict[str, Any], tag: str | None) -> str:
        content = json.dumps(document).encode()
        digest = Digest.of(content)
        manifest_put(
            project_id=self.project.pk,
            repository_id=self.repository.pk,
            name=self.name,
            content=content,
            digest=digest,
            parsed=parse(content, str(document["mediaType"])),
            names=[tag] if tag else [],
            actor="writer",
            actor_id=None,
        )
        return str(digest)

    def untag(self, tag: str) -> None:
        tag_delete(repository_id=self.repository.pk, name=tag, actor="writer")

    def tag(self, digest: str, tag: str) -> None:
        tag_create(repository=self.repository, digest=digest, name=tag, actor="writer")

    def delete(self, digest: str) -> None:
        artifact_delete(repository=self.repository, digest=digest, actor="writer")

    def delete_manifest(self, digest: str) -> None:
        manifest_delete(
            project_id=self.project.pk,
            repository_id=self.repository.pk,
            name=self.name,
            digest=Digest.parse(digest),
            actor="writer",
        )

    @property
    def listed(self) -> set[str]:
        return set(Manifest.objects.filter(repository=self.repository, is_listed=True).values_list("digest", flat=True))

    @property
    def counted(self) -> int:
        return Repository.objects.values_list("artifact_count", flat=True).get(pk=self.repository.pk)


@pytest.fixture
def writer(project: Project) -> Writer:
    return Writer(project)


def test_two_indexes_of_one_child(writer: Writer) -> None:
    child = writer.image(1)
    assert writer.listed == {child}
    first, second = writer.index([child], "a"), writer.index([child, writer.image(2)], "b")
    assert writer.listed == {first, second}
    writer.delete_manifest(first)
    assert writer.listed == {second}
    writer.delete_manifest(second)
    assert child in writer.listed
    assert writer.counted == len(writer.listed) == 2


def test_a_tag_that_moves_off_a_child(writer: Writer) -> None:
    child, other = writer.image(1, "v1"), writer.image(2)
    index = writer.index([child])
    assert writer.listed == {child, other, index}
    writer.image(2, "v1")
    assert writer.listed == {other, index}
    assert writer.counted == 2


def test_a_manifest_tagged_as_its_own_signature_stays_listed(writer: Writer) -> None:
    image = writer.image(1)
    writer.tag(image, f"{image.replace(':', '-')}.sig")
    assert writer.listed == {image}
    assert listed.unsettled() == []


def test_what_is_wrong_is_found(writer: Writer) -> None:
    image = writer.image(1, "v1")
    Manifest.objects.filter(digest=image).update(is_listed=False)
    Repository.objects.filter(pk=writer.repository.pk).update(artifact_count=7)
    assert {subject for _, subject, _ in listed.unsettled()} == {image, "counted/app"}


def test_who_untags_a_child_waits_for_who_lists_it(writer: Writer) -> None:
    """Neither sees what the other has not committed: the later one must look again."""
    child = writer.image(1, "v1")

    def untag() -> None:
        writer.untag("v1")
        connection.close()

    untagging = Thread(target=untag)
    with transaction.atomic():
        parent = Manifest.objects.create(
            project=writer.project,
            repository=writer.repository,
            digest=f"sha256:{'0' * 64}",
            media_type=OCI_INDEX,
            size=2,
            content=b"{}",
        )
        listing = {"manifest": parent, "child": Manifest.objects.get(digest=child), "kind": "child", "position": 0}
        ManifestReference.objects.create(digest=child, media_type=OCI_MANIFEST, size=1, **listing)
        listed.settle(repository_id=writer.repository.pk, manifest_ids=[listing["child"].pk], change=1)
        untagging.start()
        wait_for("the other one waits, or is done", lambda: not untagging.is_alive() or _is_somebody_waiting())
    untagging.join()
    assert writer.listed == {parent.digest}
    assert writer.counted == 1


def _is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def _attempt(call: Callable[[], object]) -> None:
    with contextlib.suppress(HarborliteError):  # it lost: what it wanted to change was changed meanwhile
        call()


@pytest.mark.parametrize("seed", range(4))
def test_writers_at_once_leave_lists_right(writer: Writer, seed: int) -> None:
    """Whatever meets whatever: pushes, tags, indexes, signatures, deletes, copies of the same few manifests."""
    images = [writer.image(number) for number in range(4)]
    elsewhere = Writer(writer.project, "copy")

    def work(chance: random.Random) -> None:
        for _ in range(15):
            image, other = chance.sample(images, 2)
            tag = chance.choice(["a", "b", "c", f"{images[0].replace(':', '-')}.sig"])
            actions: list[Callable[[], object]] = [
                partial(writer.image, images.index(image), tag),
                partial(writer.image, images.index(image)),
                partial(writer.image, 100 + images.index(image), None, other),
                partial(writer.index, [image, other], chance.choice([None, tag])),
                partial(writer.untag, tag),
                partial(writer.tag, image, tag),
                partial(writer.delete, image),
                partial(writer.delete_manifest, other),
                partial(
                    artifact_copy,
                    source=writer.repository,
                    digest=image,
                    destination=elsewhere.repository,
                    actor="writer",
                    actor_id=None,
                ),
            ]
            _attempt(chance.choice(actions))

    together(*(partial(work, random.Random(f"{seed}-{number}")) for number in range(6)))
    assert listed.unsettled() == []
    for one in (writer, elsewhere):
        assert one.counted == len(one.listed)
        assert not Tag.objects.filter(repository=one.repository).exclude(manifest__repository=one.repository).exists()
