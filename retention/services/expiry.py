"""Tags that go by themselves: when, and the job that takes them away.

A tag that is moved forgets its expiry (registry.services.tags): what it names then is something else.
"""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite import origin
from harborlite.errors import BadRequest, HarborliteError, NotFound, Precondition
from harborlite.faults import fault
from registry import gates
from registry.artifacts import full_name
from registry.models import Deletion, Manifest, ManifestReference, Repository, Tag
from registry.services import tags
from registry.services.artifacts import artifact_remove
from registry.services.locks import tags_held
from retention.facts import in_use_in
from retention.locks import decisions_held
from system import jobs
from system.events import emit
from system.jobs.run import Run

KIND = "TAG_EXPIRY"
CRON = "0 */5 * * * *"


@retried
def expiry_set(*, repository: Repository, name: str, expires_at: datetime | None) -> Tag:
    """The tag goes by itself some minutes after `expires_at` at most; with None it stays.

    When it was its artifact's last tag, the artifact goes with it. NotFound when there is no such tag, Precondition
    when it is immutable, BadRequest for a time that is over by the database's clock.
    """
    with transaction.atomic(durable=True):
        held = tags_held(Tag.objects.filter(repository=repository, name=name))
        if not held:
            raise NotFound(f"there is no tag {name}")
        (tag,) = held
        if expires_at is not None:
            gates.check_delete(repository.pk, [name])
            _require_future(tag, expires_at)
        if tag.expires_at != expires_at:
            tags.tag_set_expiry(tag=tag, expires_at=expires_at)
            if expires_at is not None:
                jobs.schedule_set(KIND, type="Custom", cron=CRON)
            until = expires_at.isoformat() if expires_at else None
            emit(
                "update",
                "tag",
                f"{full_name(repository)}:{name}",
                project_id=repository.project_id,
                project=repository.project.name,
                description=f"expires at {until}" if until else "does not expire",
                extra={"expires_at": until},
            )
    return tag


def _require_future(tag: Tag, expires_at: datetime) -> None:
    if not Tag.objects.filter(pk=tag.pk).annotate(now=Now()).filter(now__lt=expires_at).exists():
        raise BadRequest("expires_at: it is over already")


def expire_run(run: Run) -> None:
    """The task: tags whose time is over are gone, each in a transaction of its own; what keeps one is written down.

    What could not go is tried again by the next run.
    """
    due = Tag.objects.filter(expires_at__lte=Now()).select_related("repository__project").order_by("expires_at", "pk")
    counts = {"deleted": 0, "kept": 0}
    tried: set[int] = set()
    while found := [tag for tag in due[: len(tried) + 100] if tag.pk not in tried]:
        for tag in found:
            tried.add(tag.pk)
            name = f"{full_name(tag.repository)}:{tag.name}"
            try:
                _expire(run, tag)
                counts["deleted"] += 1
                run.log(f"{name} expired")
            except (HarborliteError, IntegrityError) as error:
                counts["kept"] += 1
                reason = error.message if isinstance(error, HarborliteError) else "it is being changed"
                run.log(f"{name} stays: {reason}")
    run.result(**counts)


@retried
def _expire(run: Run, tag: Tag) -> None:
    """The tag is gone, and its artifact when that was its last tag and nothing needs it. Precondition when in use."""
    repository = tag.repository
    actor = origin.current().actor.username
    with run.step():
        decisions_held(repository.project_id)
        in_use = in_use_in(repository.project_id)
        # The manifest before its tags: in this order everybody locks them.
        manifest = Manifest.objects.select_for_update(of=("self",)).only("digest").filter(pk=tag.manifest_id).first()
        held = tags_held(Tag.objects.filter(pk=tag.pk, manifest=manifest, expires_at__lte=Now()))
        if manifest is None or not held:
            raise Precondition("it was moved, or its expiry was changed")

        def check(going: list[int]) -> None:
            if in_use and Manifest.objects.filter(pk__in=going, digest__in=in_use).exists():
                raise Precondition("it is in use")

        if _is_needed(manifest, tag):
            check([manifest.pk, *_children(manifest)])
            tags.tags_remove(repository_id=repository.pk, tags=held, actor=actor)
            _told(repository, tag, manifest.digest)
        else:
            artifact_remove(
                repository=repository,
                digest=manifest.digest,
                actor=actor,
                reason=Deletion.Reason.RETENTION,
                check=check,
                description=f"the tag {tag.name} expired",
            )
        fault("expiry.before_commit")


def _is_needed(manifest: Manifest, tag: Tag) -> bool:
    """Whether the artifact stays when it loses the tag."""
    has_more = Tag.objects.filter(manifest=manifest).exclude(pk=tag.pk).exists()
    is_accessory = Manifest.objects.filter(pk=manifest.pk, accessory_of__isnull=False).exists()
    return has_more or is_accessory or ManifestReference.objects.filter(child=manifest).exists()


def _children(manifest: Manifest) -> list[int]:
    rows = ManifestReference.objects.filter(manifest=manifest, child__isnull=False)
    return [child for child in rows.values_list("child", flat=True) if child is not None]


def _told(repository: Repository, tag: Tag, digest: str) -> None:
    emit(
        "delete",
        "tag",
        f"{full_name(repository)}:{tag.name}",
        project_id=repository.project_id,
        project=repository.project.name,
        description=f"the tag {tag.name} expired",
        extra={"digest": digest},
    )
