"""The Celery application and its beat table."""

import os
import signal

from celery import Celery
from celery.signals import worker_process_init
from django.conf import settings

from harborlite.leash import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")

app = Celery("harborlite")
app.config_from_object(settings.CELERY)
app.conf.beat_schedule = {
    # A tick that was not taken up within its minute is dropped: the next one does the same work.
    "housekeeping": {"task": "registry.housekeeping", "schedule": 60.0, "options": {"expires": 55}},
}
app.autodiscover_tasks()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _die_with_worker(**_: object) -> None:
    """A process of the pool is gone with its worker, also when that was killed."""
    die_with_parent(signal.SIGKILL)
