"""Whatever is deleted, in whatever order, is what it was when all of it is restored, in whatever order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harborlite.errors import Precondition
from projects.models import Label, Project
from registry.gc import rows
from registry.models import Deletion, Manifest, ManifestLabel, Repository, RepositoryBlob
from registry.services import repositories, restorations, tags
from tests.registry.bin.snapshot import content
from tests.registry.gc.shelf import Shelf

ACTS = ("image", "index", "signature", "tag", "tag", "label")


@dataclass
class Grown:
    """A repository that grows by what hypothesis chooses."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    shelf: Shelf = field(default_factory=lambda: Shelf(f"grown-{Project.objects.count()}"))
    digests: list[str] = field(default_factory=list)

    def one(self) -> str:
        digest: str = self.draw(st.sampled_from(self.digests))
        return digest

    def image(self) -> None:
        """Its layers are from a few, which others share."""
        parts = [b"%d" % number for number in self.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))]
        self.digests.append(self.shelf.image(b"config %d" % len(self.digests), *parts))

    def index(self) -> None:
        children = [self.one() for _ in range(self.draw(st.integers(1, 3)))]
        self.digests.append(self.shelf.index(*dict.fromkeys(children)))

    def signature(self) -> None:
        self.digests.append(self.shelf.signature(self.one(), b"signature %d" % len(self.digests)))

    def tag(self) -> None:
        name, digest = f"v{self.draw(st.integers(0, 4))}", self.one()
        row = Manifest.objects.get(repository=self.shelf.repository, digest=digest)
        with transaction.atomic():
            tags.tags_set(
                repository_id=row.repository_id, manifest_id=row.pk, digest=digest, names=[name], actor="pusher"
            )

    def label(self) -> None:
        label, _ = Label.objects.get_or_create(project=self.shelf.project, name=f"l{self.draw(st.integers(0, 2))}")
        row = Manifest.objects.get(repository=self.shelf.repository, digest=self.one())
        ManifestLabel.objects.get_or_create(manifest=row, label=label)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_comes_back(data: st.DataObject) -> None:
    grown = Grown(data.draw)
    grown.image()
    for act in data.draw(
        st.lists(st.sampled_from(["image", "index", "signature", "tag", "tag", "label"]), max_size=10)
    ):
        getattr(grown, act)()
    shelf = grown.shelf
    before = content(shelf.repository)
    for digest in data.draw(st.permutations(grown.digests)):
        if digest in shelf.manifests:
            try:
                shelf.delete_artifact(digest)
            except Precondition:  # an index lists it
                continue
    if data.draw(st.booleans()):
        repositories.repository_delete(repository=shelf.repository)
    if data.draw(st.booleans()):
        RepositoryBlob.objects.update(leased_until="2000-01-01T00:00:00Z")
        with transaction.atomic():
            rows.links_collect(rows.links_find(0).ids)
    mine = Deletion.objects.filter(project_id=shelf.project.pk).order_by("pk").values_list("pk", flat=True)
    for pk in data.draw(st.permutations(list(mine))):
        if Deletion.objects.filter(pk=pk).exists():
            restorations.deletion_restore(project=shelf.project, deletion_id=pk, actor="restorer")
    assert not Deletion.objects.filter(project_id=shelf.project.pk).exists()
    assert content(Repository.objects.get(project=shelf.project)) == before
