"""Whether database and object storage agree: the invariants that data can show. Reads only; repairs are services'.

blob        each blob's bytes are stored, in full length; with `deep`, they have its digest      quarantine, or release
content     each manifest's bytes have its digest; its references are those its bytes name       references made anew
tenancy     tags, links and children stay inside their repository                                tag moved or deleted
history     each tag points where its last move went                                             the move is added
list        manifests are in lists of artifacts as their tags and indexes say, and are counted   counted anew
quota       each project is charged for the blobs its repositories link, each once               charged anew
deletion    what can be restored has its manifests' bytes and holds their blobs                  -
upload      what an upload session says it has is stored                                         discarded
tombstone   bytes that a blob has don't wait for their removal                                   taken back
stray       each stored object is named by a blob, an upload or a tombstone                      tombstone
job         a running task has a live lease; executions and their tasks end together             given to a worker again
session     no transaction is idle for long                                                      -
event       with `deep`: every event is of a known type                                          -

It runs beside pushes, deletes and collections. What looks wrong is looked at once more before it is told, so nothing
that is merely under way is.
"""

from collections.abc import Iterator

from registry.fsck import charges, content, jobs, stored
from registry.fsck.violations import Violation

__all__ = ["Violation", "check"]


def check(*, deep: bool = False) -> Iterator[Violation]:
    """Every violation found. With `deep`, all bytes are read and hashed."""
    yield from stored.blobs(deep=deep)
    yield from content.manifests()
    yield from content.tenancy()
    yield from content.history()
    yield from content.lists()
    yield from charges.holdings()
    yield from charges.quotas()
    yield from content.deletions()
    yield from stored.uploads()
    yield from stored.tombstones()
    yield from stored.strays()
    yield from jobs.tasks()
    yield from jobs.executions()
    yield from jobs.sessions()
    if deep:
        yield from jobs.events()
