"""The Celery application and its beat table."""

import os
import signal

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from django.conf import settings

from harborlite.leash import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")

app = Celery("harborlite")
app.config_from_object(settings.CELERY)
app.conf.beat_schedule = {
    # A tick that was not taken up in time is dropped: the next one does the same work.
    "housekeeping": {"task": "registry.housekeeping", "schedule": 60.0, "options": {"expires": 55}},
    "quotas": {"task": "projects.quotas_fold", "schedule": 30.0, "options": {"expires": 25}},
}
app.autodiscover_tasks()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _begin(**_: object) -> None:
    """A process of the pool is gone with its worker, also when that was killed; it sends on the events it makes."""
    from system import events  # its models can be imported once the worker has set Django up

    die_with_parent(signal.SIGKILL)
    events.start()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # as above
def _end(**_: object) -> None:
    """Celery's processes end without Python's own farewell."""
    from system import events  # as above

    events.flush()
