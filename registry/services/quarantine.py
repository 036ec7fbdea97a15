"""Blobs whose stored bytes are wrong or missing: kept, and answered as unknown, until they are pushed again.

                 .--- found by a scrub, a check or a pull ---> quarantined ---.
    sound blob --'                                                  |         |
        ^------ a push binds the digest to its new bytes <----------'         |
        ^------ a scrub finds the bytes right again (a disk came back) <------'

Whoever asks for a quarantined blob is told that it is not there, so that clients push it again; whoever references it
is told that it is missing. What references it already stays, and is whole again with that push, in every repository.
"""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Now

from registry.models import Blob, RepositoryBlob
from system import events

NAMED = 100  # repositories


def blobs_checked(keys: Mapping[int, str]) -> int:
    """The bytes of the blobs, each id with its storage key, were just found right; returns how many these are.

    One that was quarantined is so no more. A blob that got other bytes meanwhile is left out. The caller has a
    transaction.
    """
    rows = Blob.objects.filter(pk__in=keys, storage_key__in=keys.values())
    released = rows.filter(quarantined_at__isnull=False).select_for_update(no_key=True).order_by("pk")
    for blob in list(released):
        _emit("release", blob, "its bytes were found right")
    return rows.update(checked_at=Now(), quarantined_at=None)


def blob_quarantine(*, storage_key: str, problem: str) -> bool:
    """The blob with these bytes answers as unknown from now on; False when it did already, or has other bytes by now.

    `problem` says how the bytes are: it goes into the audit trail. The caller has a transaction.
    """
    sound = Blob.objects.filter(storage_key=storage_key, quarantined_at=None)
    blob = sound.select_for_update(no_key=True).first()
    if blob is None:
        return False
    Blob.objects.filter(pk=blob.pk).update(quarantined_at=Now(), checked_at=Now())
    _emit("quarantine", blob, problem)
    return True


def blob_settle(*, storage_key: str, problem: str) -> str:
    """What was just found about these bytes is known: `problem`, or that they are right. Says what was done for it.

    Nothing, when the blob has other bytes by now. No transaction is open.
    """
    with transaction.atomic(durable=True):
        if problem:
            is_new = blob_quarantine(storage_key=storage_key, problem=problem)
            return "in quarantine until it is pushed again" if is_new else ""
        keys = dict(Blob.objects.filter(storage_key=storage_key).values_list("pk", "storage_key"))
        return "released from quarantine" if blobs_checked(keys) else ""


def blob_lost(*, storage_key: str) -> None:
    """The blob, whose bytes the store does not have, answers as unknown from now on. No transaction is open."""
    with transaction.atomic(durable=True):
        blob_quarantine(storage_key=storage_key, problem="its bytes are missing from storage")


def blob_repaired(*, blob: Blob) -> None:
    """It is written down that a push gave the quarantined blob new bytes. The caller has a transaction."""
    _emit("release", blob, "it was pushed again")


def _emit(operation: str, blob: Blob, problem: str) -> None:
    name = Concat(F("repository__project__name"), Value("/"), F("repository__name"))
    holders = RepositoryBlob.objects.filter(blob=blob).order_by("pk").annotate(full_name=name)
    events.emit(
        operation,
        "blob",
        blob.digest,
        description=f"{operation} blob {blob.digest}: {problem}",
        extra={
            "problem": problem,
            "size": blob.size,
            "repositories": sorted(holders.values_list("full_name", flat=True)[:NAMED]),
        },
    )
