"""The scrub: stored bytes are read and compared with their digests, a slice of them a day.

    those in quarantine first             bytes that came back are given out again
    then the blobs that were known to     right  -> Blob.checked_at is now
    be right for the longest time         wrong  -> quarantine (services.quarantine), until they are pushed again

The job SCRUB (registry.tasks) is one task. A slice is the HARBORLITE_SCRUB_DAYS-th part of the blobs: so each is read
once in as many days. It reads at most HARBORLITE_SCRUB_RATE MiB per second and holds no database connection meanwhile.
A worker that dies loses what it read since the last step, at most SECONDS.

Many damaged blobs are rather a sign of a store that is not there as a whole, such as a directory that is not mounted:
then the run ends, and tells so.

Parameters: all (bool, false): every blob, instead of a slice. Result:

    outcome     "complete", or "stopped" when too many were damaged
    checked     blobs that were read and found right, `bytes` of them
    damaged     blobs that were put into quarantine
    released    blobs whose bytes came back
    unread      blobs that the store did not give; the next run tries again
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from harborlite.database.base import release
from harborlite.errors import HarborliteError
from registry.models import Blob
from registry.services.blobs import blob_problem, store_check
from registry.services.quarantine import blob_quarantine, blobs_checked
from system import events, jobs
from system.models import Execution

if TYPE_CHECKING:
    from system.jobs.run import Run

KIND = "SCRUB"
BATCH = 200  # blobs that are read from the database at a time
SECONDS = 5.0  # between steps
FEW = 10
SHARE = 20
"""Of so many blobs one may be damaged, if there are more than FEW, before the run ends."""
UNREAD = 20  # blobs on end that the store does not give, before the run fails
COUNTED = ("checked", "bytes", "damaged", "released", "unread")


def scrub_start(*, is_all: bool = False) -> Execution:
    """A slice, or all blobs, will be read. Conflict while a scrub is under way."""
    with transaction.atomic():
        return jobs.start(KIND, parameters={"all": is_all})


def schedule_ensure() -> None:
    """A slice is read every day, unless HARBORLITE_SCRUB_DAYS says that none is."""
    if not settings.SCRUB_DAYS:
        jobs.schedule_delete(KIND)
    elif jobs.schedule_get(KIND) is None:
        jobs.schedule_set(KIND, type="Daily", cron="0 17 3 * * *")


def scrub(run: "Run") -> None:
    """The slice is read, or what is left of it."""
    scrubbing = Scrubbing(run)
    scrubbing.begin()
    for blob in scrubbing.blobs():
        scrubbing.look(blob)
        if scrubbing.is_too_much():
            scrubbing.give_up()
            return
    scrubbing.write(outcome="complete")


class Scrubbing:
    """A run under way, and its memory. What is in `found` was read and is not written yet."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        kept = run.checkpoint
        self.limit: int = kept.get("limit", 0)
        self.looked: int = kept.get("looked", 0)
        self.after_quarantined: int = kept.get("quarantined", 0)
        self.after: list[Any] = kept.get("after", [])
        """checked_at and id of the last one that was looked at."""
        self.counts: dict[str, int] = kept.get("counts", dict.fromkeys(COUNTED, 0))
        self.found: list[tuple[Blob, str]] = []
        self.unread = 0
        self._written = self._paid = self._asked = time.monotonic()

    def begin(self) -> None:
        """The store takes writes, and it is known how many blobs there are to look at."""
        store_check()
        if not self.limit:
            count = Blob.objects.count()
            is_all = self.run.parameters.get("all") is True or not settings.SCRUB_DAYS
            self.limit = count if is_all else -(-count // settings.SCRUB_DAYS)
            self.run.log(f"Reading {self.limit} of {count} blobs")

    def blobs(self) -> Iterator[Blob]:
        """Those in quarantine, then those whose turn it is, as many as the slice has."""
        while rows := list(
            Blob.objects.filter(quarantined_at__isnull=False, pk__gt=self.after_quarantined).order_by("pk")[:BATCH]
        ):
            for blob in rows:
                yield blob
                self.after_quarantined = blob.pk
        while rows := list(self._turn()[: min(BATCH, max(0, self.limit - self.looked))]):
            for blob in rows:
                self.after = [blob.checked_at.isoformat(), blob.pk]
                self.looked += 1
                yield blob

    def _turn(self) -> Any:
        rows = Blob.objects.filter(quarantined_at=None).order_by("checked_at", "pk")
        if not self.after:
            return rows
        at, pk = datetime.fromisoformat(self.after[0]), self.after[1]
        return rows.filter(Q(checked_at__gt=at) | Q(checked_at=at, pk__gt=pk))

    def look(self, blob: Blob) -> None:
        """The blob's bytes are read; what was found is written now and then."""
        release()
        try:
            problem = blob_problem(digest=blob.digest, size=blob.size, storage_key=blob.storage_key, pace=self._pace)
        except HarborliteError as error:
            self.unread += 1
            self.counts["unread"] += 1
            if self.unread > UNREAD:
                raise
            self.run.log(f"{blob.digest} was not read: {error}")
            return
        self.unread = 0
        self.found.append((blob, problem))
        if problem or time.monotonic() > self._written + SECONDS:
            self.write()

    def _pace(self, size: int) -> None:
        """So many bytes were read: it is not faster than it may be, and may be stopped in the middle of a blob."""
        rate = settings.SCRUB_RATE << 20
        now = time.monotonic()
        self._paid = max(self._paid, now - 1) + (size / rate if rate else 0)
        if self._paid > now:
            time.sleep(self._paid - now)
        if time.monotonic() > self._asked + SECONDS:
            self.run.check()
            self._asked = time.monotonic()

    def write(self, **result: Any) -> None:
        """What was found is known to everybody, and where the next worker goes on."""
        with self.run.step():
            for blob, problem in self.found:
                self._write(blob, problem)
            self.run.save(
                limit=self.limit,
                looked=self.looked,
                quarantined=self.after_quarantined,
                after=self.after,
                counts=self.counts,
            )
            self.run.progress(done=self.looked, total=self.limit, unit="blobs")
            self.run.result(**self.counts, **result)
        self.found = []
        self._written = time.monotonic()

    def _write(self, blob: Blob, problem: str) -> None:
        if problem:
            if blob_quarantine(storage_key=blob.storage_key, problem=problem):
                self.counts["damaged"] += 1
                self.run.log(f"{blob.digest} is in quarantine: {problem}")
        elif blobs_checked({blob.pk: blob.storage_key}):
            self.counts["checked"] += 1
            self.counts["bytes"] += blob.size
            if blob.quarantined_at is not None:
                self.counts["released"] += 1
                self.run.log(f"{blob.digest} is right again")

    def is_too_much(self) -> bool:
        return self.counts["damaged"] > max(FEW, self.looked // SHARE)

    def give_up(self) -> None:
        """It is told that the run ends, and why."""
        text = (
            f"{self.counts['damaged']} of {self.looked} blobs are damaged: is this the right storage? The scrub ends."
        )
        with self.run.step():
            self.run.log(text)
            self.run.result(**self.counts, outcome="stopped")
            events.emit("warn", "storage", "scrub", description=text, is_successful=False)
