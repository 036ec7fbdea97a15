"""The Celery application and its beat table."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")

app = Celery("harborlite")
app.config_from_object(settings.CELERY)
app.conf.beat_schedule = {
    # A tick that was not taken up within its minute is dropped: the next one does the same work.
    "housekeeping": {"task": "registry.housekeeping", "schedule": 60.0, "options": {"expires": 55}},
}
app.autodiscover_tasks()
