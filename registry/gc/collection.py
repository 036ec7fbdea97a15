"""One run of the collection: how far it has come, what came of it, and how fast it may go."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from accounts.constraints import retried
from harborlite.faults import fault
from registry.models import Blob, Manifest, RepositoryBlob, Tombstone
from system.jobs.run import Run

BATCH = 500  # rows that go together: for as long do pushes wait that need one of them
ATTEMPTS = 5  # at a batch that something came between
LOOKED = 100  # rows that are only looked at cost as much as one that goes
PATIENCE = 300_000  # milliseconds
BREATH = 1.0  # seconds between looks whether the run shall stop
WORKERS = 10
COUNTED = (
    "freed_bytes",
    "blobs",
    "links",
    "manifests",
    "uploads",
    "deletions",
    "removed_objects",
    "removed_bytes",
    "removed_parts",
    "orphans",
    "orphan_bytes",
    "orphans_kept",
    "failed",
)


Counts = Mapping[str, int]
"""What came of something, by the names in COUNTED."""


class Found(NamedTuple):
    """What a look at some rows found: ids of those that may go, in order; the last row's id, None behind the end."""

    ids: Sequence[int]
    last: int | None
    looked: int


Find = Callable[[int], Found]
"""Takes the id behind which it looks."""
Remove = Callable[[Sequence[int]], Counts]
"""Takes ids that were found; what may not go any more, stays. In a transaction; an IntegrityError says: once more."""


class Collection:
    """A run under way, and its memory."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.is_dry = run.parameters.get("dry_run") is True
        self.with_untagged = run.parameters.get("delete_untagged") is True
        self.workers = min(max(int(run.parameters.get("workers") or 1), 1), WORKERS)
        # A preview begins anew: it changed nothing, and what it knows of manifests was in memory.
        kept = {} if self.is_dry else run.checkpoint
        self.phase: str = kept.get("phase", "")
        self.after: int = kept.get("after", 0)
        self.done: int = kept.get("done", 0)
        self.total: int = kept.get("total", 0)
        self.counts: dict[str, int] = kept.get("counts", {})
        self.doomed: set[int] = set()
        """Of a preview: ids of the manifests that would go."""
        self._paid = time.monotonic()

    def begin(self) -> None:
        """It is known how much there is to look at."""
        if self.phase:
            self.run.log(f"Going on with {self.phase} behind {self.after}")
            return
        self.total = RepositoryBlob.objects.count() + Tombstone.objects.filter(not_before__lte=Now()).count()
        self.total += 2 * Blob.objects.count()  # looked at twice: the rows, and then the objects
        if self.with_untagged:
            self.total += Manifest.objects.count()
        self.run.log(f"Collecting garbage{', nothing is written' if self.is_dry else ''}: {self.total} rows to look at")

    def enter(self, phase: str) -> None:
        """The phase begins, or goes on where it was left."""
        if phase != self.phase:
            self._keep(phase=phase, after=0)
            self.run.log(f"Now {phase}")
        self.run.check()

    def end(self) -> None:
        """All is done, and the result says how."""
        with self.run.step():
            result = self.result(self.counts)
            self.run.progress(done=self.total, total=self.total, unit="rows")
            self.run.result(**result)
            self.run.log(", ".join(f"{name} {value}" for name, value in result.items()))

    def result(self, counts: Mapping[str, int]) -> dict[str, int | str]:
        """What the execution says came of it, when that is `counts`."""
        found = {name: counts.get(name, 0) for name in COUNTED}
        is_partial = found["failed"] or found["orphans_kept"]
        return {"outcome": "preview" if self.is_dry else "partial" if is_partial else "complete", **found}

    def walk(self, find: Find, remove: Remove) -> None:
        """All rows that `find` finds went through `remove`, each batch together with the note that it did."""
        while True:
            with read_only():
                found = find(self.after)
            for start in range(0, len(found.ids), BATCH):
                self.batch(remove, found.ids[start : start + BATCH])
            if found.last is None:
                return
            self._keep(after=found.last, looked=found.looked - len(found.ids))
            self.pay(found.looked // LOOKED)

    def batch(self, remove: Remove, ids: Sequence[int]) -> None:
        """These went, and the run goes on behind the last of them."""
        self.did(lambda: remove(ids), after=ids[-1], looked=len(ids))
        self.pay(len(ids))

    def did(self, write: Callable[[], Counts], *, after: int | None = None, looked: int = 0) -> None:
        """What `write` wrote is committed, together with the note that it was; a preview's can't write.

        It is called again when a foreign key refuses the commit, for something that came between.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._did(write, after, looked)
            except IntegrityError:
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    @retried
    def _did(self, write: Callable[[], Counts], after: int | None, looked: int) -> None:
        if self.is_dry:
            with read_only():
                counts = write()
            self._keep(after=after, looked=looked, counts=counts)
            return
        with self.run.step():
            kept = self._write(after=after, looked=looked, counts=write())
            fault("collection.before_commit")
        fault("collection.after_commit")
        self._remember(kept)

    def note(self, **counts: int) -> None:
        """This came of something that is done already."""
        self._keep(counts=counts)

    def passed(self, after: int) -> None:
        """What stands there is done; it is kept with the next thing that is."""
        self.after = after

    def looked(self, count: int) -> None:
        """So many things were looked at, and may stay."""
        self._keep(looked=count)
        self.pay(count // LOOKED)

    def pay(self, count: int) -> None:
        """So many things have used up their time, at HARBORLITE_GC_RATE; without a transaction. Stopped, Fenced."""
        rate = settings.GC_RATE
        due = self._paid + count / rate if rate else 0.0
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, BREATH))
            self.run.check()
        self._paid = time.monotonic()

    def _keep(self, **values: Any) -> None:
        with self.run.step():
            kept = self._write(**values)
        self._remember(kept)

    def _write(
        self, *, phase: str | None = None, after: int | None = None, looked: int = 0, counts: Counts | None = None
    ) -> dict[str, Any]:
        """It is written, in the step, how far the run is and what came of it; see the checkpoint's names."""
        come = counts or {}
        counted = {name: self.counts.get(name, 0) + come.get(name, 0) for name in COUNTED}
        done = min(self.done + looked, self.total)
        kept = {
            "phase": self.phase if phase is None else phase,
            "after": self.after if after is None else after,
            "done": done,
            "total": self.total,
            "counts": counted,
        }
        self.run.save(**kept)
        self.run.progress(done=done, total=self.total, unit="rows")
        self.run.result(**self.result(counted))
        return kept

    def _remember(self, kept: Mapping[str, Any]) -> None:
        """What was written is committed."""
        self.phase, self.after, self.done, self.counts = kept["phase"], kept["after"], kept["done"], kept["counts"]


@contextmanager
def read_only() -> Iterator[None]:
    """PostgreSQL refuses whatever would write here, and takes its time: a repository may have a million manifests."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = %s", [PATIENCE])
        yield
