"""Starts jobs, and tells how they are, in a process of its own: lines [what, values] of JSON in, answers out."""

import json
import sys
from typing import Any

from tests.workers import app  # isort: skip - sets Django up for what follows

from django.db import DatabaseError, connection

from harborlite.database.base import release
from system import jobs
from system.models import Execution, Schedule, Task, Worker


def start(kind: str, tasks: list[dict[str, Any]], **given: Any) -> int:
    return jobs.start(kind, tasks=[jobs.NewTask(arguments=arguments) for arguments in tasks], **given).pk


def stop(execution: int) -> None:
    jobs.stop(execution)


def execution(number: int) -> dict[str, Any]:
    row = Execution.objects.values("status", "status_message", "username", "ended_at", "trigger").get(pk=number)
    return {**row, "tasks": list(Task.objects.filter(execution=number).order_by("pk").values())}


def executions(kind: str) -> list[str]:
    return list(Execution.objects.filter(kind=kind).order_by("pk").values_list("status", flat=True))


def effects() -> list[dict[str, Any]]:
    return ask("SELECT task, item, process, fence FROM effect ORDER BY id")


def ask(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []


def schedule(kind: str, cron: str, items: int) -> None:
    jobs.schedule_set(kind, type="Custom", cron=cron, parameters={"items": items})


def schedules() -> list[dict[str, Any]]:
    return list(Schedule.objects.values())


def workers() -> list[dict[str, Any]]:
    return list(Worker.objects.values())


def forget() -> None:
    """There was never a job."""
    ask("TRUNCATE system_execution, system_task, system_tasklog, system_schedule, system_worker, effect")


def hurry() -> None:
    """What waits for another attempt need not wait."""
    ask("UPDATE system_task SET due_at = now() WHERE status = 'Pending' AND due_at > now()")


def broker_flush() -> None:
    app.app.connection_for_write().default_channel.client.flushall()


def is_well() -> bool:
    try:
        return bool(ask("SELECT 1"))
    except DatabaseError:
        return False


def pause(kind: str) -> None:
    jobs.pause(kind)


def resume(kind: str) -> None:
    jobs.resume(kind)


def main() -> None:
    with connection.cursor() as cursor:
        cursor.execute(app.TABLE)
    for line in sys.stdin:
        what, values = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"result": globals()[what](**values)}
        except Exception as error:  # noqa: BLE001 - the test is told
            answer = {"error": repr(error)}
        finally:
            release()
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
