"""The jobs' doors: Celery brings the word that there may be something to do, the rows say what."""

from celery import shared_task

from system import purge  # noqa: F401 - its handler
from system.jobs import run, ticks
from system.jobs.nudges import WORK


@shared_task(name=WORK)  # type: ignore[untyped-decorator]  # Celery has no types
def work(queue: str) -> None:
    """Does what waits in the queue. However often it is told, each task is done by one worker."""
    run.work(queue)


@shared_task(name="system.tick")  # type: ignore[untyped-decorator]  # as above
def tick() -> None:
    """What is due begins, what was left goes on. Run every ten seconds; twice at once does no harm."""
    ticks.tick()


@shared_task(name="system.history")  # type: ignore[untyped-decorator]  # as above
def history() -> None:
    """Old executions are forgotten. Run every minute; twice at once does no harm."""
    ticks.history_forget()
