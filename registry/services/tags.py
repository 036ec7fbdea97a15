"""Tags: set, create, return and delete; every move leaves a TagMove row."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite import generations
from harborlite.errors import Conflict, ManifestUnknown
from harborlite.faults import fault
from registry import gates
from registry.models import Manifest, Repository, Tag, TagMove
from registry.oci import names as oci_names
from registry.services.inserts import insert_if_absent
from registry.services.listed import settle
from registry.services.locks import hold, tags_held
from system import events

BATCH = 2000  # rows a statement

# In the order in which they are given, that of their names. A time at which a tag was to expire and that is past has
# done its work.
_RETURN = """
    INSERT INTO registry_tag (repository_id, name, manifest_id, created_at, moved_at, pulled_at, expires_at)
    SELECT %(repository)s, name, manifest_id, created_at, moved_at, pulled_at,
        CASE WHEN expires_at > now() THEN expires_at END
    FROM unnest(
        %(name)s::text[], %(manifest_id)s::bigint[], %(created_at)s::timestamptz[], %(moved_at)s::timestamptz[],
        %(pulled_at)s::timestamptz[], %(expires_at)s::timestamptz[]
    ) AS kept (name, manifest_id, created_at, moved_at, pulled_at, expires_at)
    ON CONFLICT DO NOTHING
    RETURNING name, manifest_id
"""


class KeptTag(NamedTuple):
    """A tag as the recycle bin keeps it, times as text, and what it shall point at."""

    name: str
    created_at: str
    moved_at: str
    pulled_at: str | None
    expires_at: str | None
    manifest_id: int


@retried
def tag_create(*, repository: Repository, digest: str, name: str, actor: str) -> None:
    """A new tag points at the manifest. Conflict when the repository has a tag of that name.

    TagInvalid when it is no name of a tag, ManifestUnknown when the repository does not hold the manifest.
    """
    oci_names.check_tag(name)
    with refusals(f"there is a tag {name} already", "the repository is gone"), transaction.atomic(durable=True):
        manifest_id = _held(repository, digest)
        tags_set(
            repository_id=repository.pk,
            manifest_id=manifest_id,
            digest=digest,
            names=[name],
            actor=actor,
            are_new=True,
        )
        _emit("create", repository, name, digest)


def tag_return(*, repository: Repository, digest: str, name: str, actor: str) -> None:
    """The tag points at the manifest, as it did before. The caller has a transaction.

    ManifestUnknown when the repository does not hold the manifest, Precondition when the tag is immutable and points
    elsewhere.
    """
    manifest_id = _held(repository, digest)
    if tags_set(repository_id=repository.pk, manifest_id=manifest_id, digest=digest, names=[name], actor=actor):
        _emit("restore", repository, name, digest)


def tags_set(
    *,
    repository_id: int,
    manifest_id: int,
    digest: str,
    names: Iterable[str],
    actor: str,
    are_new: bool = False,
    check: gates.Check = gates.check_move,
    touched: Iterable[int] = (),
    change: int = 0,
) -> int:
    """Each of `names` points at the manifest; returns how many did not. The caller has a transaction.

    Conflict when one is there already though they `are_new`, and what the gate `check` says of those that would move.
    Names are taken in order, so two pushes of several tags can't wait for each other.

    `touched` and `change` are what the caller did before that lists of artifacts depend on, as `settle` takes them.
    """
    found = {name: _insert_or_lock(repository_id, name, manifest_id) for name in sorted(set(names))}
    there = [tag for tag in found.values() if tag is not None]
    if are_new and there:
        raise Conflict(f"there is a tag {there[0].name} already")
    moving = {tag.name: tag.manifest_id for tag in there if tag.manifest_id != manifest_id}
    fault("tag.between_lock_and_update")
    digests = {}
    if moving:
        check(repository_id, moving)
        digests = dict(Manifest.objects.filter(pk__in=moving.values()).values_list("pk", "digest"))
        Tag.objects.filter(repository_id=repository_id, name__in=moving).update(
            manifest_id=manifest_id, moved_at=Now(), expires_at=None
        )
    moves = [
        TagMove(
            repository_id=repository_id,
            tag=name,
            from_digest=digests[moving[name]] if name in moving else None,
            to_digest=digest,
            actor=actor,
        )
        for name, tag in found.items()
        if tag is None or name in moving
    ]
    TagMove.objects.bulk_create(moves)
    unsettled = {*touched, *moving.values(), *([manifest_id] if moves else [])}
    if unsettled or change:
        settle(repository_id=repository_id, manifest_ids=unsettled, change=change)
    generations.bump_on_commit("repository", repository_id)
    return len(moves)


def tags_return(*, repository_id: int, tags: Sequence[KeptTag], actor: str) -> tuple[dict[str, int], list[str]]:
    """Those of the tags are there again that were free, with what was known of them.

    Returns what these point at, by name, and the names of those that point elsewhere now. The caller has a transaction
    in which it holds the manifests, and settles them (services.listed). By few statements, however many there are.
    """
    columns = list(zip(*sorted(tags, key=lambda tag: tag.name.encode()), strict=True)) or [()] * len(KeptTag._fields)
    with connection.cursor() as cursor:
        cursor.execute(
            _RETURN, {"repository": repository_id, **dict(zip(KeptTag._fields, map(list, columns), strict=True))}
        )
        made = dict(cursor.fetchall())
    digests = dict(Manifest.objects.filter(pk__in=set(made.values())).values_list("pk", "digest"))
    TagMove.objects.bulk_create(
        [
            TagMove(repository_id=repository_id, tag=name, to_digest=digests[manifest_id], actor=actor)
            for name, manifest_id in made.items()
        ],
        batch_size=BATCH,
    )
    wanted = {tag.name: tag.manifest_id for tag in tags if tag.name not in made}
    there = Tag.objects.filter(repository_id=repository_id, name__in=wanted).values_list("name", "manifest_id")
    return made, sorted(name for name, manifest_id in there if wanted[name] != manifest_id)


def tag_set_expiry(*, tag: Tag, expires_at: datetime | None) -> None:
    """The tag goes by itself at that time, with None never. The caller holds it in its transaction, and tells of it."""
    tag.expires_at = expires_at
    tag.save(update_fields=["expires_at"])


@retried
def tag_delete(*, repository_id: int, name: str, actor: str, digest: str | None = None) -> None:
    """The tag is gone, its manifest stays. ManifestUnknown when there is no such tag (of the manifest `digest`).

    Precondition when it is immutable.
    """
    with transaction.atomic(durable=True):
        tags = Tag.objects.filter(repository_id=repository_id, name=name)
        held = tags_held(tags.filter(manifest__digest=digest) if digest else tags)
        if not tags_remove(repository_id=repository_id, tags=held, actor=actor):
            raise ManifestUnknown(f"there is no tag {name}")
        _emit("delete", Repository.objects.select_related("project").get(pk=repository_id), name, digest)


def tags_remove(*, repository_id: int, tags: list[Tag], actor: str) -> int:
    """The tags, which the caller holds in its transaction, are gone; returns how many these were.

    Precondition when one of them is immutable.
    """
    if tags:
        gates.check_delete(repository_id, [tag.name for tag in tags])
    digests = dict(Manifest.objects.filter(pk__in={tag.manifest_id for tag in tags}).values_list("pk", "digest"))
    TagMove.objects.bulk_create(
        TagMove(
            repository_id=repository_id,
            tag=tag.name,
            from_digest=digests[tag.manifest_id],
            to_digest=None,
            actor=actor,
        )
        for tag in tags
    )
    removed = Tag.objects.filter(pk__in=[tag.pk for tag in tags]).delete()[0]
    if removed:
        settle(repository_id=repository_id, manifest_ids=digests)
    generations.bump_on_commit("repository", repository_id)
    return removed


def _held(repository: Repository, digest: str) -> int:
    """The id of the manifest, which nobody deletes before the caller's transaction ends; ManifestUnknown."""
    for (found,) in hold(Manifest.objects.filter(repository=repository, digest=digest).values_list("pk")):
        return int(found)
    raise ManifestUnknown(f"there is no artifact {digest} in the repository")


def _emit(operation: str, repository: Repository, name: str, digest: str | None) -> None:
    project = repository.project
    events.emit(
        operation,
        "tag",
        f"{project.name}/{repository.name}:{name}",
        project_id=project.pk,
        project=project.name,
        extra={"digest": digest} if digest else None,
    )


def _insert_or_lock(repository_id: int, name: str, manifest_id: int) -> Tag | None:
    """The tag, locked, if there was one; else None, and now there is one that points at the manifest."""
    while insert_if_absent(Tag(repository_id=repository_id, name=name, manifest_id=manifest_id)) is None:
        for tag in tags_held(Tag.objects.filter(repository_id=repository_id, name=name)):
            return tag
        # It was deleted between the two statements.
    return None
