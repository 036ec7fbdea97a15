"""`python -m benchmarks.collect [--blobs N] [--rate N] [--seconds N]`: garbage collection beside pushes that go on.

Fills a server of its own, in a directory that is removed at the end, with N blobs that nothing references, their bytes
as files, and collects them twice: first a tenth as many, then all, with pushes of small images on four connections all
the time. Prints blobs per second, how long each phase took, the 95th percentile of a push before and during the
collection, and by how much the time per blob grew with the size. With `--rate`, as fast as HARBORLITE_GC_RATE lets it.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from benchmarks import servers
from benchmarks.loads import Connection
from benchmarks.servers import PASSWORD, ROOT, Peer

PUSHERS = 4
GROWTH = 1.5  # the most we accept, of the time per blob from a tenth of the size to all of it
SLOWER = 2.0  # as much, of the 95th percentile of a push
LEAST = 500.0  # blobs per second, without a rate

_FILL = """
    WITH repository AS (
        SELECT repository.id, project_id FROM registry_repository AS repository
        JOIN projects_project AS project ON project.id = project_id
        WHERE project.name || '/' || repository.name = %(repository)s
    ), blob AS (
        INSERT INTO registry_blob (digest, size, storage_key)
        SELECT 'sha256:' || key || key, %(size)s, key FROM unnest(%(keys)s::text[]) AS key
        RETURNING id, size
    ), holding AS (
        INSERT INTO registry_projectblob (project_id, blob_id, size)
        SELECT repository.project_id, blob.id, blob.size FROM blob, repository
        RETURNING id, blob_id
    ), charged AS (
        INSERT INTO projects_quotaentry (project_id, delta) SELECT project_id, %(size)s * %(count)s FROM repository
    )
    INSERT INTO registry_repositoryblob (repository_id, blob_id, holding_id, leased_until)
    SELECT repository.id, holding.blob_id, holding.id, now() - interval '1 hour' FROM holding, repository
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect", description=__doc__)
    parser.add_argument("--blobs", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=0, help="HARBORLITE_GC_RATE; 0 for as fast as it can")
    parser.add_argument("--workers", type=int, default=4, help="files that are removed at a time")
    parser.add_argument("--seconds", type=int, default=20, help="how long is pushed before anything is collected")
    options = parser.parse_args()
    os.environ |= {"HARBORLITE_GC_RATE": str(options.rate), "HARBORLITE_TOMBSTONE_SECONDS": "0"}
    with servers.harborlite() as peer, pushing(peer) as pushes:
        time.sleep(options.seconds)
        before = pushes.p95()
        runs = [collected(peer, pushes, count, options.workers) for count in (options.blobs // 10, options.blobs)]
    for run in runs:
        print(run.line(before))
    growth = runs[1].seconds / runs[1].blobs / (runs[0].seconds / runs[0].blobs)
    print(f"a push before: p95 {before:.1f} ms; time per blob grew by {growth:.2f} (at most {GROWTH})")
    is_fast = options.rate > 0 or runs[1].blobs / runs[1].seconds >= LEAST
    return 0 if is_fast and growth <= GROWTH and runs[1].p95 <= SLOWER * before else 1


@dataclass
class Run:
    """One collection; `p95` is of the pushes meanwhile, in milliseconds."""

    blobs: int
    seconds: float
    pushes: int
    p95: float
    phases: str

    def line(self, before: float) -> str:
        return (
            f"{self.blobs} blobs in {self.seconds:.1f} s: {self.blobs / self.seconds:.0f} blobs/s ({self.phases});"
            f" {self.pushes} pushes meanwhile, p95 {self.p95:.1f} ms ({self.p95 / before:.2f} of before)"
        )


@dataclass
class Pushes:
    """Images that clients push, one after the other, until it is over."""

    peer: Peer
    is_over: threading.Event = field(default_factory=threading.Event)
    times: list[float] = field(default_factory=list)
    """Milliseconds that each took, from its first request to its last answer."""
    failures: list[BaseException] = field(default_factory=list)

    def push(self, number: int) -> None:
        client = Connection(self.peer, f"library/push{number}")
        try:
            while not self.is_over.is_set():
                started = time.monotonic()
                client.push_image(f"v{len(self.times) % 50}")
                self.times.append((time.monotonic() - started) * 1000)
        except BaseException as error:
            self.failures.append(error)
            raise

    def p95(self, since: int = 0) -> float:
        assert not self.failures, self.failures
        return statistics.quantiles(self.times[since:], n=20)[-1]


@contextmanager
def pushing(peer: Peer) -> Iterator[Pushes]:
    pushes = Pushes(peer)
    threads = [threading.Thread(target=pushes.push, args=(number,)) for number in range(PUSHERS)]
    for thread in threads:
        thread.start()
    try:
        yield pushes
    finally:
        pushes.is_over.set()
        for thread in threads:
            thread.join()


def collected(peer: Peer, pushes: Pushes, count: int, workers: int) -> Run:
    """So much garbage was made, and a collection has removed it with its bytes."""
    Connection(peer, "library/garbage").push_image("kept")
    environment = {**os.environ, "HARBORLITE_DATA": str(peer.data), "DJANGO_SETTINGS_MODULE": "harborlite.settings"}
    subprocess.run(
        [sys.executable, "-m", "benchmarks.collect", "fill", str(count)], env=environment, cwd=ROOT, check=True
    )
    since = len(pushes.times)
    body = {"schedule": {"type": "Manual"}, "parameters": {"workers": workers}}
    started = time.monotonic()
    location = ask(peer, "POST", "/system/gc/schedule", body).headers["Location"]
    path = f"/system/gc/{location.rpartition('/')[2]}"
    while (run := ask(peer, "GET", path).json())["job_status"] != "Success":
        assert run["job_status"] in ("Pending", "Running"), run
        time.sleep(0.2)
    seconds = time.monotonic() - started
    told = json.loads(run["job_parameters"])
    assert told["purged_blobs"] >= count, run
    phases = phases_of(ask(peer, "GET", f"{path}/log").text)
    return Run(count, seconds, len(pushes.times) - since, pushes.p95(since), phases)


def phases_of(log: str) -> str:
    """How many seconds each phase took that took any."""
    lines = [line.split(maxsplit=2) for line in log.splitlines() if line]
    begun = [(datetime.fromisoformat(line[0]), line[2]) for line in lines if line[1] == "Now"]
    ends = [*(moment for moment, _ in begun[1:]), datetime.fromisoformat(lines[-1][0])]
    took = [(name, (end - moment).seconds) for (moment, name), end in zip(begun, ends, strict=True)]
    return ", ".join(f"{name} {seconds} s" for name, seconds in took if seconds)


def ask(peer: Peer, method: str, path: str, body: Any = None) -> requests.Response:
    answer = requests.request(method, f"{peer.url}/api/v2.0{path}", json=body, auth=("admin", PASSWORD), timeout=60)
    answer.raise_for_status()
    return answer


def fill(count: int) -> None:
    """In a process with the server's environment: rows, and files of 100 bytes."""
    import django

    django.setup()

    from django.conf import settings
    from django.db import connection

    root, seed = Path(settings.BLOBS_ROOT, "blobs"), os.urandom(8)
    keys = [hashlib.md5(seed + str(number).encode()).hexdigest() for number in range(count)]
    for key in keys:
        path = root / key[:2] / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
    os.sync()  # files that the disk does not know yet would be removed faster
    for start in range(0, count, 10_000):
        some = keys[start : start + 10_000]
        values = {"keys": some, "size": 100, "count": len(some), "repository": "library/garbage"}
        with connection.cursor() as cursor:
            cursor.execute(_FILL, values)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(int(sys.argv[2]))
    else:
        sys.exit(main())
