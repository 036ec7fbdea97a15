"""Whether bytes that are on their way may still become part of a project; asked before they are read, and while they
come. What is exact is asked at the commit (projects.services.quotas): here only that is refused which can't succeed.
"""

from django.db.models import Max

from harborlite.database.base import release
from projects import quota
from projects.models import Project
from projects.quota import Usage
from registry.models import ProjectBlob
from registry.oci.digest import Digest


class Room:
    """What a project with a limit still takes. A blob that it holds already is charged no second time, so it may be
    pushed again though nothing new fits: the blob `digest`, or, as long as that is not known, one of any digest.
    """

    def __init__(self, project_id: int, usage: Usage, digest: Digest | None = None) -> None:
        self.project_id, self.usage, self.digest = project_id, usage, digest
        self._most = usage.room
        self._is_exact = False

    def admit(self, size: int) -> None:
        """Returns when a blob of `size` bytes, or one that has them and more to come, may be taken.

        QuotaExceeded when not. At most one query, when it does not fit; holds no database connection afterwards.
        """
        if self._most is None or size <= self._most:
            return
        if not self._is_exact:
            self._is_exact, self._most = True, max(self._most, self._held())
            release()
        if size > self._most:
            raise self.usage.refusal(size)

    def _held(self) -> int:
        held = ProjectBlob.objects.filter(project=self.project_id)
        if self.digest is not None:
            held = held.filter(blob__digest=str(self.digest))
        return held.aggregate(most=Max("size"))["most"] or 0


def room_of(project: Project, limit: int, digest: Digest | None = None) -> Room | None:
    """The room of `project`, whose limit was `limit` a moment ago; None when it takes whatever comes.

    One query where there is a limit, none where there is not.
    """
    if limit == quota.UNLIMITED or not quota.is_enforced():
        return None
    usage = quota.of(project.pk)
    return Room(project.pk, usage, digest) if usage.is_limited else None
