"""Logical, unique and shared bytes: unique is what a deletion gives back, however blobs and children are shared."""

import random
import uuid
from dataclasses import dataclass, field

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from harborlite.actors import OPERATOR
from projects.models import Project
from projects.services.projects import project_create
from registry import sizes
from registry.models import Blob, Manifest, ManifestReference, ProjectBlob, Repository, RepositoryBlob, Tag
from registry.oci.media_types import OCI_INDEX, OCI_MANIFEST
from registry.services.blobs import blobs_link
from registry.sizes import Sizes

pytestmark = pytest.mark.django_db

OWN = 1000  # bytes of every manifest


@dataclass
class Shelf:
    """A repository, and beside its rows what they mean: which blobs and children each manifest names."""

    repository: Repository
    blobs: dict[int, set[int]] = field(default_factory=dict)
    children: dict[int, set[int]] = field(default_factory=dict)
    tagged: set[int] = field(default_factory=set)

    def manifest(self, blobs: list[Blob], children: list[int], *, is_tagged: bool = False) -> int:
        size = OWN + sum(blob.size for blob in blobs)
        size += sum(Manifest.objects.filter(pk__in=children).values_list("artifact_size", flat=True))
        made = Manifest.objects.create(
            project_id=self.repository.project_id,
            repository=self.repository,
            digest=f"sha256:{uuid.uuid4().hex * 2}",
            media_type=OCI_INDEX if children else OCI_MANIFEST,
            size=OWN,
            artifact_size=size,
            content=b"{}",
        )
        if blobs:
            blobs_link(repository_id=self.repository.pk, blob_ids=[blob.pk for blob in blobs])
        links = dict(RepositoryBlob.objects.filter(repository=self.repository).values_list("blob", "pk"))
        named = [("layer", {"link_id": links[blob.pk]}, blob.size) for blob in blobs]
        named += [("child", {"child_id": child}, OWN) for child in children]
        ManifestReference.objects.bulk_create(
            ManifestReference(
                manifest=made, kind=kind, position=position, digest="sha256:0", media_type="x/y", size=bytes_, **to
            )
            for position, (kind, to, bytes_) in enumerate(named)
        )
        self.blobs[made.pk], self.children[made.pk] = {blob.pk for blob in blobs}, set(children)
        if is_tagged:
            self.tag(made.pk)
        return made.pk

    def tag(self, manifest: int) -> None:
        Tag.objects.create(repository=self.repository, name=f"tag-{manifest}", manifest_id=manifest)
        self.tagged.add(manifest)


def blob(size: int) -> Blob:
    return Blob.objects.create(digest=f"sha256:{uuid.uuid4().hex * 2}", size=size, storage_key=uuid.uuid4().hex)


def project(name: str = "shop") -> Project:
    return project_create(name=name, owner=OPERATOR)


def shelf(owner: Project, name: str = "app") -> Shelf:
    return Shelf(Repository.objects.create(project=owner, name=name))


def test_an_image_that_shares_nothing() -> None:
    image = shelf(project()).manifest([blob(10), blob(20)], [])
    assert sizes.of_artifacts([image]) == {image: Sizes(OWN + 30, 30, 0)}


def test_two_images_on_one_base() -> None:
    app, base = shelf(project()), blob(100)
    images = [app.manifest([base, blob(size)], []) for size in (1, 2)]
    assert sizes.of_artifacts(images) == {
        images[0]: Sizes(OWN + 101, 1, 100),
        images[1]: Sizes(OWN + 102, 2, 100),
    }
    repository = app.repository.pk
    assert sizes.of_repositories([repository]) == {repository: Sizes(2 * OWN + 203, 103, 0)}


def test_a_layer_that_an_image_names_twice_counts_once() -> None:
    layer = blob(100)
    image = shelf(project()).manifest([layer, layer], [])
    assert sizes.of_artifacts([image])[image] == Sizes(OWN + 200, 100, 0)


def test_an_index_counts_with_its_children() -> None:
    app, base = shelf(project()), blob(100)
    children = [app.manifest([base, blob(size)], []) for size in (1, 2)]
    index = app.manifest([], children)
    assert sizes.of_artifacts([index])[index] == Sizes(3 * OWN + 203, 103, 0)


@pytest.mark.parametrize("how", ["tag", "index"])
def test_a_child_that_stays_keeps_its_blobs(how: str) -> None:
    app = shelf(project())
    children = [app.manifest([blob(size)], []) for size in (10, 20)]
    index = app.manifest([], children)
    if how == "tag":
        app.tag(children[0])
    else:
        app.manifest([], [children[0]])
    assert sizes.of_artifacts([index])[index] == Sizes(3 * OWN + 30, 20, 10)


def test_other_projects_don_t_show_in_what_a_project_sees() -> None:
    mine, other, layer = project(), project("other"), blob(100)
    image = shelf(mine).manifest([layer], [])
    shelf(other).manifest([layer], [])
    assert sizes.of_artifacts([image])[image] == Sizes(OWN + 100, 100, 0)
    assert sizes.of_project(mine, Project.objects.filter(pk=mine.pk)) == Sizes(OWN + 100, 100, 0)
    assert sizes.of_project(mine, Project.objects.all()) == Sizes(OWN + 100, 0, 100)


def test_a_blob_that_no_manifest_names_is_the_repository_s() -> None:
    app = shelf(project())
    blobs_link(repository_id=app.repository.pk, blob_ids=[blob(7).pk])
    assert sizes.of_repositories([app.repository.pk])[app.repository.pk] == Sizes(0, 7, 0)


def test_nothing_is_nothing() -> None:
    app = shelf(project())
    assert sizes.of_artifacts([]) == {}
    assert sizes.of_artifacts([10**9]) == {}
    assert sizes.of_repositories([app.repository.pk]) == {app.repository.pk: Sizes()}
    assert sizes.of_project(app.repository.project, Project.objects.all()) == Sizes()
    assert sizes.of_system() == Sizes()


def test_what_is_asked_together_costs_as_much_as_one() -> None:
    app, base = shelf(project()), blob(100)
    images = [app.manifest([base, blob(1)], []) for _ in range(20)]
    for call, count in (
        (lambda: sizes.of_artifacts(images), 1),
        (lambda: sizes.of_repositories([app.repository.pk]), 3),
        (lambda: sizes.of_project(app.repository.project, Project.objects.all()), 3),
        (sizes.of_system, 3),
    ):
        with CaptureQueriesContext(connection) as captured:
            call()
        assert len(captured) == count


@pytest.mark.parametrize("seed", range(8))
def test_unique_is_what_a_deletion_gives_back(seed: int) -> None:
    """Against a model: delete, then whatever has neither a tag nor an index that lists it any more, and recount."""
    chance = random.Random(seed)
    owners = [project(), project("other")]
    shelves = [shelf(owners[0], "a"), shelf(owners[0], "b"), shelf(owners[1], "a")]
    blobs = [blob(1 << power) for power in range(14)]  # a sum tells which they are
    for _ in range(40):
        where = chance.choice(shelves)
        known = list(where.blobs)
        if chance.random() < 0.4 and known:
            where.manifest(
                [], chance.sample(known, chance.randint(1, min(3, len(known)))), is_tagged=chance.random() < 0.3
            )
        else:
            where.manifest(chance.sample(blobs, chance.randint(1, 4)), [], is_tagged=chance.random() < 0.3)
    size_of = {one.pk: one.size for one in blobs}

    def total(pks: set[int]) -> int:
        return sum(size_of[pk] for pk in pks)

    for where in shelves:
        siblings = [one for one in shelves if one.repository.project_id == where.repository.project_id]
        found = sizes.of_artifacts(list(where.blobs))
        for root in where.blobs:
            closure = _closure(where, root)
            held = set().union(*(where.blobs[pk] for pk in closure))
            gone = _deleted_with(where, root, closure)
            left = set().union(*(one.blobs[pk] for one in siblings for pk in one.blobs if pk not in gone))
            assert (found[root].unique, found[root].shared) == (total(held - left), total(held & left))
        held = set().union(*where.blobs.values())
        others = set().union(*(pks for one in siblings if one is not where for pks in one.blobs.values()))
        of_it = sizes.of_repositories([where.repository.pk])[where.repository.pk]
        own = sum(OWN + total(pks) for pks in where.blobs.values())
        assert of_it == Sizes(own, total(held - others), total(held & others))
    in_each = [
        {pk for one in shelves if one.repository.project == owner for pks in one.blobs.values() for pk in pks}
        for owner in owners
    ]
    mine, other = in_each
    assert sizes.of_project(owners[0], Project.objects.all()).unique == total(mine - other)
    unheld = set(size_of) - mine - other
    everything = sizes.of_system()
    assert (everything.unique, everything.shared) == (total((mine ^ other) | unheld), total(mine & other))
    assert everything.logical == sum(OWN + total(pks) for one in shelves for pks in one.blobs.values())
    assert ProjectBlob.objects.count() == len(mine) + len(other)


def _closure(where: Shelf, root: int) -> set[int]:
    found, waiting = set(), [root]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += where.children[one]
    return found


def _deleted_with(where: Shelf, root: int, closure: set[int]) -> set[int]:
    gone, before = {root}, 0
    while len(gone) != before:
        before = len(gone)
        for one in closure - gone - where.tagged:
            if all(parent in gone for parent, children in where.children.items() if one in children):
                gone.add(one)
    return gone
