"""The projects' background work: Celery carries it, the services do it."""

import logging

from celery import shared_task

from projects.services import quotas

logger = logging.getLogger(__name__)


@shared_task(name="projects.quotas_fold")  # type: ignore[untyped-decorator]  # Celery has no types
def quotas_fold() -> None:
    """What came and went since the last time is folded into the quotas. Run often; twice at once does no harm."""
    if folded := quotas.quotas_fold():
        logger.debug("quotas of %d projects folded", folded)
