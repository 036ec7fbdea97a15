"""Online garbage collection: what nothing needs any more goes, while clients push and pull.

    uploads     sessions idle or open for too long                        -> tombstones
    deletions   what can't be restored any more (recycle bin)             -> gone
    manifests   that no tag leads to, if asked for                        -> recycle bin
    links       of a repository to a blob: no reference, no live lease    -> gone, the project is released
    blobs       no link, and no deletion that needs it to be restored     -> tombstones, HARBORLITE_TOMBSTONE_SECONDS
    objects     bytes of tombstones that are due, parts without a session -> removed from the store
    orphans     bytes that no row names, older than a day                 -> tombstones, unless they are too many

Why no push loses anything: whatever a client may rely on was leased in the moment it was answered (a blob pushed,
mounted, asked for or read; a manifest pushed or read), and here only that goes whose lease is over. Rows are locked
without waiting (a row that anybody else holds is left for the next time) and looked at once more after that, by a
statement that sees all that was committed before the lock; foreign keys refuse what could still come between. Bytes
go later than the row that named them, and a new push of the same digest has another key, so the two never meet.

Each batch is one short transaction, which also writes down how far the run has come: a worker that dies loses none of
it, and the next one goes on there. No decision is made by what a listing of the store does not show.

The job GARBAGE_COLLECTION (registry.tasks) is one task. Parameters, all optional:

    delete_untagged   bool, false: manifests without a tag go too
    dry_run           bool, false: nothing is written but the run itself; PostgreSQL is told to refuse it
    workers           int, 1 to 10, 1: objects that are removed from the store at a time

Result, of the task from its first batch on, and of the execution when it has ended:

    outcome           "complete"; "partial": something could not be removed or was kept back, see the log;
                      "preview": a dry run, and what follows is what a run now would do
    freed_bytes       of the blobs that went (or, of a preview, would go)
    blobs, links, manifests, uploads, deletions     how many went
    removed_objects, removed_bytes, removed_parts   what left the store: also what earlier runs collected
    orphans, orphan_bytes                           bytes that no row named, with a tombstone now
    orphans_kept      as many, but too many to be believed: nothing was done about them
    failed            objects and parts that were not removed: the store refused, or a backup is being made; the next
                      run tries again
"""

from registry.gc.collection import Collection
from registry.gc.objects import sweep, sweep_parts
from registry.gc.phases import PHASES
from system.jobs.run import Run

__all__ = ["collect", "sweep", "sweep_parts"]


def collect(run: Run) -> None:
    """All phases from where the run was left, each to its end."""
    collection = Collection(run)
    collection.begin()
    names = [phase.name for phase in PHASES]
    for phase in PHASES[names.index(collection.phase) if collection.phase else 0 :]:
        collection.enter(phase.name)
        (phase.preview if collection.is_dry else phase.work)(collection)
    collection.end()
