"""The product's Celery application with two kinds of jobs more, for tests that hurt the workers which do them.

A task of theirs makes `items` effects, one a step, and rests `rest` seconds after each: rows of a table of their own,
which tells who made which effect, and how often. Ticks come more often, and idle transactions are ended sooner.
"""

import os
import signal
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")
django.setup()

from django.db import connection  # noqa: E402 - what follows can be imported once Django is set up

from system.jobs import kinds  # noqa: E402

KIND, OTHER = "TEST", "OTHER"
kinds.KINDS |= {  # type: ignore[operator]  # it is a dict
    KIND: kinds.Kind(KIND, "gc", attempts=4, history=3),
    OTHER: kinds.Kind(OTHER, "retention", is_single=False),
}

from harborlite.celery import app  # noqa: E402 - for `celery --app tests.workers.app`
from system.jobs.handlers import handles  # noqa: E402
from system.jobs.run import Run  # noqa: E402

TICK = 2.0  # seconds
app.conf.beat_schedule["system.tick"]["schedule"] = TICK
options = connection.settings_dict["OPTIONS"]
options["options"] = options["options"].replace(
    "idle_in_transaction_session_timeout=30s", "idle_in_transaction_session_timeout=6s"
)

TABLE = """
    CREATE TABLE IF NOT EXISTS effect (
        id bigserial PRIMARY KEY, task bigint, item int, process int, fence bigint, at timestamptz DEFAULT now()
    )
"""


@handles(KIND)
@handles(OTHER)
def effects(run: Run) -> None:
    told = {**run.parameters, **run.arguments}
    for item in range(run.checkpoint.get("next", 0), told["items"]):
        if told.get("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        with run.step():
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO effect (task, item, process, fence) VALUES (%s, %s, %s, %s)",
                    [run.task.pk, item, os.getpid(), run.task.fence],
                )
            run.save(next=item + 1)
            run.progress(done=item + 1, total=told["items"], unit="effects")
            time.sleep(told.get("hold", 0))
        time.sleep(told.get("rest", 0))
