"""Copies between repositories of this registry: rows only, no byte of a blob moves.

source                                      destination
closure of the artifact (registry.graph)    its blobs linked, its manifests children first, its tags last
"""

from collections import defaultdict
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from accounts.constraints import retried
from harborlite.errors import ManifestUnknown
from harborlite.faults import fault
from registry import graph
from registry.artifacts import full_name
from registry.models import Manifest, ManifestReference, Repository, Tag
from registry.oci import manifest as oci_manifest
from registry.oci import names
from registry.services import blobs, manifests, tags
from registry.services.locks import hold

_COPIED = ("digest", "media_type", "size", "content", "extra_attrs")
"""The other columns follow from these, or tell who pushed it here, and when."""


@retried
def artifact_copy(
    *, source: Repository, digest: str, destination: Repository, actor: str, actor_id: int | None
) -> None:
    """`destination` holds the artifact with everything that belongs to it, under all its tags, or nothing changed.

    ManifestUnknown when `source` does not hold it. Denied when the bytes new to the destination's project don't fit
    into its quota. What is there already is not touched.
    """
    try:
        with transaction.atomic(durable=True):
            root, ids = _held(source, digest)
            links = ManifestReference.objects.filter(manifest__in=ids, link__isnull=False)
            blobs.blobs_link(repository_id=destination.pk, blob_ids=set(links.values_list("link__blob_id", flat=True)))
            new = _manifests_copied(ids, destination, actor_id)
            fault("copy.before_tags")
            tagged, moved = _tags_copied(source, root, ids, destination, actor, new)
            if new.manifests or moved:
                manifests.emit_artifact(
                    "create",
                    destination.project_id,
                    full_name(destination),
                    digest,
                    tagged,
                    description=f"copied from {full_name(source)}",
                )
            fault("copy.before_commit")
    except IntegrityError:  # something of it was deleted between our look and our commit
        raise ManifestUnknown("the artifact was deleted meanwhile") from None


def _held(source: Repository, digest: str) -> tuple[Manifest, list[int]]:
    """The artifact and the ids of all that belongs to it, none of which goes away meanwhile."""
    root = Manifest.objects.filter(repository=source, digest=digest).only("digest", "repository").first()
    if root is None:
        raise ManifestUnknown()
    ids = graph.closure(root)
    held = hold(Manifest.objects.filter(pk__in=ids).values_list("pk"))
    if len(held) != len(ids):
        raise ManifestUnknown("the artifact was deleted meanwhile")
    return root, ids


@dataclass
class New:
    """What the destination did not have: manifests, those of them that are listed, and ids of their children."""

    manifests: int = 0
    listed: int = 0
    children: set[int] = field(default_factory=set)


def _manifests_copied(ids: list[int], destination: Repository, actor_id: int | None) -> New:
    new = New()
    for pk in ids:  # one by one: each may be 4 MiB
        found = Manifest.objects.values(*_COPIED).get(pk=pk)
        content = found["content"] = bytes(found["content"])
        row = Manifest(**found, project_id=destination.project_id, repository=destination, pushed_by_id=actor_id)
        is_new, children = manifests.manifest_ensure(row=row, parsed=oci_manifest.parse(content, row.media_type))
        new.manifests += is_new
        new.listed += is_new and row.is_listed
        new.children.update(children)
    return new


def _tags_copied(
    source: Repository, root: Manifest, ids: list[int], destination: Repository, actor: str, new: New
) -> tuple[list[str], int]:
    """The tags by which old clients find an accessory are set, then the root's; returns these, and how many moved."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name, digest, pk in Tag.objects.filter(repository=source, manifest__in=ids).values_list(
        "name", "manifest__digest", "manifest"
    ):
        if pk == root.pk or names.subject_of_legacy_tag(name):
            wanted[digest].append(name)
    own = sorted(wanted.pop(root.digest, []))
    rows = Manifest.objects.filter(repository=destination, digest__in=[*wanted, root.digest])
    ids_here = dict(rows.values_list("digest", "pk"))
    moved = 0
    for digest, held in [*sorted(wanted.items()), (root.digest, own)]:
        is_last = digest == root.digest
        moved += tags.tags_set(
            repository_id=destination.pk,
            manifest_id=ids_here[digest],
            digest=digest,
            names=held,
            actor=actor,
            touched=new.children if is_last else (),
            change=new.listed if is_last else 0,
        )
    return own, moved
