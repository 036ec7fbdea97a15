"""`python -m benchmarks.purge [--rows N]`: half a year of the audit trail is counted and removed, by the job itself.

On an embedded PostgreSQL in a directory that is removed at the end, as benchmarks.audit fills it: with a tenth of the
events, then with all. For each: events a second of a dry run and of a run, and the longest transaction, which is how
long anything else could have to wait.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.audit import _database, _prepared

if TYPE_CHECKING:
    from system.models import Execution

HOURS = 24 * 182


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.purge", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="harborlite-purge-"))
    os.environ.update(HARBORLITE_DATA=str(data), DJANGO_SETTINGS_MODULE="harborlite.settings")
    try:
        with _database(data):
            measured = [_measured(rows) for rows in (options.rows // 10, options.rows)]
    finally:
        shutil.rmtree(data)
    print("| events | counted | counted/s | removed | removed/s | longest transaction ms |\n|---|---|---|---|---|---|")
    for row in measured:
        print(f"| {row[0]:,} | {row[1]:,} | {row[2]:,.0f} | {row[3]:,} | {row[4]:,.0f} | {row[5]:,.0f} |")
    small, large = measured
    print(
        f"\nten times as many: counted at {large[2] / small[2]:.2f} of the rate, removed at {large[4] / small[4]:.2f}"
    )
    return 0


def _measured(rows: int) -> tuple[int, int, float, int, float, float]:
    from django.db import connection

    _prepared(rows)
    counted, counting, _ = _run(is_dry=True)
    removed, removing, longest = _run(is_dry=False)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE system_event")
    return rows, counted, counted / counting, removed, removed / removing, longest * 1000


def _run(*, is_dry: bool) -> tuple[int, float, float]:
    """How many events it was, and how long all of it and its longest batch took, in seconds."""
    from system import jobs, purge
    from system.jobs import handlers, rows
    from system.jobs.run import perform
    from system.services.events import events_purge

    handlers.load()
    longest = 0.0

    def timed(**asked: Any) -> Any:
        nonlocal longest
        started = time.perf_counter()
        found = events_purge(**asked)
        longest = max(longest, time.perf_counter() - started)
        return found

    purge.events_purge = timed  # type: ignore[attr-defined]
    parameters = {"audit_retention_hour": HOURS, "include_event_types": "pull_artifact,other", "dry_run": is_dry}
    execution: Execution = jobs.start(purge.KIND, parameters=parameters)
    task = rows.claim("system", "benchmark")
    assert task is not None
    started = time.perf_counter()
    perform(task)
    took = time.perf_counter() - started
    execution.refresh_from_db()
    return execution.result["purged"], took, longest


if __name__ == "__main__":
    raise SystemExit(main())
