"""`python -m benchmarks.audit [--rows N] [--rounds N] [--data DIR]`: the audit trail when it holds ten million events.

Fills an embedded PostgreSQL, in a directory that is removed at the end, and asks the REST API in this process: for each
question how many queries it takes and its 50th and 95th percentile. Then what it costs to write: events one by one,
each in a transaction of its own, pulls as they leave their buffer, and the CSV of a part of it.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.test import Client

AIM = 500.0  # milliseconds, the 95th percentile
LISTS = {
    "newest": "",
    "100 newest": "page_size=100",
    "oldest": "sort=op_time",
    "a month": "q=op_time%3D%5B{month}%5D",
    "page 1,000": "page=1000&page_size=10",
    "page 50,000 of 100": "page=50000&page_size=100",
    "page 50,000 of 100, by its link": "page=50000&page_size=100&after={middle}",
    "last page": "page={last}&page_size=100",
    "large project": "q=project_id%3D1",
    "small project": "q=project_id%3D180",
    "last page of a large project": "q=project_id%3D1&page={last_of_project}&page_size=100",
    "user": "q=username%3Duser7",
    "pulls": "q=operation%3Dpull",
    "deletions": "q=operation%3Ddelete",
    "deletions in a large project": "q=project_id%3D1,operation%3Ddelete",
    "a user in a large project": "q=project_id%3D1,username%3Duser7",
    "a rare type": "q=resource_type%3Dconfiguration",
    "failures": "q=operation_result%3Dfalse",
    "one artifact": "q=resource%3Dproject1/repo3:v7",
    "part of a name, frequent": "q=resource%3D~project1",
    "part of a name, rare": "q=resource%3D~t17/repo33:v1",
    "part of a name, in none": "q=resource%3D~nothere",
    "part of a username": "q=username%3D~ser49",
}
INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'system_event' AND indexname <> 'system_event_pkey'
"""
FILL = """
    INSERT INTO system_event (
        at, username, user_id, address, request_id, operation, resource_type, resource, project_id, description,
        is_successful, extra
    )
    SELECT now() - (n::float8 / %(rows)s) * interval '365 days', 'user' || person, person,
        '10.0.' || (person %% 250) || '.7',
        md5(n::text), operation, type, name, project, operation || ' ' || type || ' with name: ' || name, luck < 0.9995,
        '{"digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}'
    FROM (
        SELECT n, random() AS luck, 1 + floor(200 * random() ^ 3)::int AS project,
            1 + floor(500 * random() ^ 2)::int AS person, floor(50 * random() ^ 2)::int AS repository,
            floor(200 * random())::int AS version
        FROM generate_series(%(rows)s, 1, -1) AS n
    ) AS drawn,
    LATERAL (
        SELECT CASE WHEN luck < 0.92 THEN 'pull' WHEN luck < 0.97 THEN 'create' WHEN luck < 0.99 THEN 'delete'
                    WHEN luck < 0.9999 THEN 'login' ELSE 'update' END AS operation,
               CASE WHEN luck < 0.96 THEN 'artifact' WHEN luck < 0.99 THEN 'tag' WHEN luck < 0.9999 THEN 'user'
                    ELSE 'configuration' END AS type,
               'project' || project || '/repo' || repository || ':v' || version AS name
    ) AS told
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=20, help="how often each question is asked")
    parser.add_argument("--data", type=Path, help="where to keep the database, for another run on the same rows")
    options = parser.parse_args()
    data = (options.data or Path(tempfile.mkdtemp(prefix="harborlite-audit-"))).absolute()
    os.environ.update(HARBORLITE_DATA=str(data), DJANGO_SETTINGS_MODULE="harborlite.settings")
    try:
        with _database(data):
            client = _prepared(options.rows)
            rows = [_asked(client, name, query, options.rounds) for name, query in _questions(options.rows)]
            rows += [_emitted(1000), _flushed(20_000), _exported(client)]
    finally:
        if options.data is None:
            shutil.rmtree(data)
    print(f"{options.rows:,} events; 95th percentile to be below {AIM:,.0f} ms\n")
    for row in (("question", "queries", "p50 ms", "p95 ms"), ("---",) * 4, *rows):
        print(f"| {' | '.join(row)} |")
    return 0


@contextlib.contextmanager
def _database(data: Path) -> Iterator[None]:
    import django

    from harborlite.embedded import Postgres

    server = Postgres(data, {"max_wal_size": "4GB", "maintenance_work_mem": "512MB"})
    server.start()
    try:
        django.setup()
        yield
    finally:
        server.stop()


def _prepared(rows: int) -> "Client":
    """A client of an administrator, on a table of `rows` events."""
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from accounts.services import token_issue, user_create
    from system.models import Event

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        if not Event.objects.exists():
            _say("filling; this takes some minutes")
            cursor.execute(INDEXES)
            indexes = cursor.fetchall()
            cursor.execute(f"DROP INDEX {', '.join(name for name, _ in indexes)}")
            cursor.execute(FILL, {"rows": rows})
            for _, definition in indexes:
                cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE system_event")
        cursor.execute(
            "SELECT pg_size_pretty(pg_table_size('system_event')), pg_size_pretty(pg_indexes_size('system_event'))"
        )
        _say("table {}, indexes {}".format(*cursor.fetchone()))
        cursor.execute("SET statement_timeout = '15s'")
    _, secret = token_issue(
        user=user_create(username=f"boss{time.time_ns()}", password=None, is_admin=True), name="trail"
    )
    return Client(HTTP_HOST="localhost", headers={"Authorization": f"Bearer {secret}"})


def _questions(rows: int) -> Iterator[tuple[str, str]]:
    from datetime import UTC, datetime, timedelta

    from system.models import Event

    now = datetime.now(UTC)
    month = "~".join((now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S") for days in (60, 30))
    places = {
        "month": month,
        "last": rows // 100,
        "last_of_project": Event.objects.filter(project_id=1).count() // 100,
        "middle": Event.objects.filter(at__lt=now - timedelta(days=180)).latest("at").pk,
    }
    for name, query in LISTS.items():
        yield name, query.format(**places)


def _asked(client: "Client", name: str, query: str, rounds: int) -> tuple[str, str, str, str]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    client.get(f"/api/v2.0/auditlog-exts?{query}")
    for _ in range(rounds):
        with CaptureQueriesContext(connection) as captured:
            started = time.perf_counter()
            answer: Any = client.get(f"/api/v2.0/auditlog-exts?{query}")
            times.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, answer.content
        assert answer["X-Total-Count"]
    _say(name)
    return (f"{name} ({int(answer['X-Total-Count']):,})", str(len(captured)), *_percentiles(times))


def _emitted(count: int) -> tuple[str, str, str, str]:
    from django.db import transaction

    from system.events import emit

    times = []
    for number in range(count):
        started = time.perf_counter()
        with transaction.atomic(durable=True):
            emit("create", "artifact", f"project7/repo{number % 50}:v{number}", project_id=7)
        times.append((time.perf_counter() - started) * 1000)
    return ("write: an event in its transaction", "1", *_percentiles(times))


def _flushed(count: int) -> tuple[str, str, str, str]:
    from harborlite.actors import Actor
    from system import events

    times = []
    for _ in range(5):
        for number in range(count):
            artifact = events.Artifact(7, 7, 7, f"project7/repo{number % 50}", f"v{number % 200}", "sha256:" + "0" * 64)
            events.pulled(artifact, Actor(7, f"user{number % 500}", "user", is_admin=False, version=1), "10.0.0.7", "r")
        started = time.perf_counter()
        events.flush()
        times.append((time.perf_counter() - started) * 1000)
    return (f"write: {count:,} buffered pulls", "1", *_percentiles(times))


def _exported(client: "Client") -> tuple[str, str, str, str]:
    started = time.perf_counter()
    answer: Any = client.get("/api/v2.0/auditlog-exts?format=csv&q=project_id%3D180")
    lines = b"".join(answer.streaming_content).count(b"\r\n")
    spent = (time.perf_counter() - started) * 1000
    return (f"read: CSV of {lines:,} events", str(1 + -(-lines // 1000)), f"{spent:,.0f}", f"{spent:,.0f}")


def _percentiles(times: list[float]) -> tuple[str, str]:
    ordered = sorted(times)
    return f"{statistics.median(ordered):,.1f}", f"{ordered[int(len(ordered) * 0.95)]:,.1f}"


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
