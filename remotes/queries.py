"""Reads of the registries that this one talks to. Who may read them is decided outside projects (registry:read)."""

from django.db.models import QuerySet

from harborlite.errors import NotFound
from remotes.models import Remote


def remotes() -> QuerySet[Remote]:
    """All of them."""
    return Remote.objects.all()


def remote_get(remote_id: int) -> Remote:
    """That one. NotFound."""
    remote = Remote.objects.filter(pk=remote_id).first() if remote_id < 2**63 else None
    if remote is None:
        raise NotFound(f"there is no registry {remote_id}")
    return remote
