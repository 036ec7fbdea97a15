"""The registry's background work: Celery carries it, the services do it."""

import logging

from celery import shared_task

from registry import gc, scrub
from registry.services import uploads
from system.jobs.run import Run, handles

logger = logging.getLogger(__name__)


@handles("GARBAGE_COLLECTION")
def collect(run: Run) -> None:
    """The job: see registry.gc for its parameters and its result."""
    gc.collect(run)


@handles(scrub.KIND)
def read(run: Run) -> None:
    """The job: see registry.scrub for its parameters and its result."""
    scrub.scrub(run)


@shared_task(name="registry.housekeeping")  # type: ignore[untyped-decorator]  # Celery has no types
def housekeeping() -> None:
    """Discards stale uploads and removes the bytes that are due. Run every minute; twice at once does no harm."""
    purged = uploads.uploads_purge()
    for swept, (removed, failed) in (("objects", gc.sweep()), ("leftover uploads", gc.sweep_parts())):
        if removed or failed:
            logger.info("housekeeping: %d %s removed, %d failed", removed, swept, failed)
    if purged:
        logger.info("housekeeping: %d uploads discarded", purged)
