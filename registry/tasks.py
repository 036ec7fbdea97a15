"""The registry's background work: Celery carries it, the services do it."""

import logging

from celery import shared_task

from registry import gc
from registry.services import uploads

logger = logging.getLogger(__name__)


@shared_task(name="registry.housekeeping")  # type: ignore[untyped-decorator]  # Celery has no types
def housekeeping() -> None:
    """Discards stale uploads and removes the bytes that are due. Run every minute; twice at once does no harm."""
    purged = uploads.uploads_purge()
    for swept, (removed, failed) in (("objects", gc.sweep()), ("leftover uploads", gc.sweep_parts())):
        if removed or failed:
            logger.info("housekeeping: %d %s removed, %d failed", removed, swept, failed)
    if purged:
        logger.info("housekeeping: %d uploads discarded", purged)
