"""Artifacts as people see them: a manifest with its children and accessories. Delete, and labels."""

from collections.abc import Callable

from django.db import IntegrityError, transaction

from accounts.constraints import refusals, retried
from harborlite.errors import ManifestUnknown, NotFound, Precondition
from harborlite.faults import fault
from projects.models import Label
from registry import graph
from registry.artifacts import full_name
from registry.models import Deletion, Manifest, ManifestLabel, Repository
from registry.services import manifests
from system import events

ATTEMPTS = 5
_MEANWHILE = "the artifact was tagged or listed by an index meanwhile; try again"


@retried
def artifact_delete(*, repository: Repository, digest: str, actor: str, reason: str = Deletion.Reason.USER) -> None:
    """The artifact is gone with its tags, its accessories, and those of its children that nothing else names.

    All of it can be restored together (services.restorations).
    ManifestUnknown when it is not there, Precondition when an index lists it: the index would be left with a hole.
    """
    try:
        with transaction.atomic(durable=True):
            artifact_remove(repository=repository, digest=digest, actor=actor, reason=reason)
            fault("artifact.before_delete_commit")
    except IntegrityError:
        raise Precondition(_MEANWHILE) from None


def artifact_remove(
    *,
    repository: Repository,
    digest: str,
    actor: str,
    reason: str,
    check: Callable[[list[int]], None] = lambda _: None,
    description: str = "",
) -> None:
    """As `artifact_delete`, in the caller's transaction; IntegrityError, at the latest when it commits, may come too.

    `check` gets the ids of all that goes, which are locked, and may refuse.
    """
    going = _locked(repository, digest)
    if not going:
        raise Precondition(_MEANWHILE)
    if parent := graph.parents_outside(going).values_list("digest", flat=True).first():
        raise Precondition(f"the index {parent} lists this artifact; delete the index first")
    check(going)
    tags = manifests.manifests_remove(repository_id=repository.pk, manifest_ids=going, actor=actor, reason=reason)
    manifests.emit_artifact("delete", repository.project_id, full_name(repository), digest, tags, description)


@retried
def artifact_label(*, repository: Repository, artifact: Manifest, label: Label) -> None:
    """The label is on the artifact. Conflict when it is already, NotFound when one of the two is gone."""
    with refusals(f"the artifact has the label {label} already"), transaction.atomic(durable=True):
        ManifestLabel.objects.create(manifest=artifact, label=label)
        _told("labelled", repository, artifact, label)


@retried
def artifact_unlabel(*, repository: Repository, artifact: Manifest, label: Label) -> None:
    """The label is not on the artifact. NotFound when it was not."""
    with transaction.atomic(durable=True):
        if not ManifestLabel.objects.filter(manifest=artifact, label=label).delete()[0]:
            raise NotFound("the artifact does not have this label")
        _told("no longer labelled", repository, artifact, label)


def _locked(repository: Repository, digest: str) -> list[int]:
    """The ids of what goes with the artifact, locked in their order; none when that changes all the time."""
    for _ in range(ATTEMPTS):
        root = Manifest.objects.filter(repository=repository, digest=digest).only("digest", "repository").first()
        if root is None:
            raise ManifestUnknown()
        going = graph.doomed(root)
        rows = Manifest.objects.select_for_update(of=("self",)).filter(pk__in=going).order_by("pk")
        if [pk for (pk,) in rows.values_list("pk")] == going == graph.doomed(root):
            return going  # nobody deleted, tagged or listed one of them before the lock
    return []


def _told(what: str, repository: Repository, artifact: Manifest, label: Label) -> None:
    name = f"{full_name(repository)}@{artifact.digest}"
    events.emit(
        "update",
        "artifact",
        name,
        project_id=repository.project_id,
        project=repository.project.name,
        description=f"{what} {label}",
        extra={"label": label.name, "digest": artifact.digest},
    )
