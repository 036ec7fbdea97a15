"""`python -m benchmarks.lists [--rounds N] [--json]`: what lists of the REST API cost when there is ten times as much.

Two servers side by side, one with 1,000 repositories and 100,000 artifacts, one with a tenth of that. For each list,
in turns, so that what else the machine does hits both alike: how many queries it takes (that number must not grow)
and its 50th and 95th percentile (of which the latter may be half as long again).
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.servers import PASSWORD, Peer, harborlite

ROOT = Path(__file__).resolve().parent.parent
SCALES = (0.1, 1.0)
AIM = 1.5
REPOSITORY = "/projects/big/repositories/deep%252Frepo-1"
EXPANSIONS = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true"

LISTS = {
    "projects": "/projects?page_size=100",
    "projects by name": "/projects?q=name%3D~big-1&page_size=10",
    "project": "/projects/big",
    "project summary": "/projects/big/summary",
    "members": "/projects/big/members?page_size=10",
    "robots": "/robots?page_size=100",
    "labels": "/labels?scope=p&project_id={project}&page_size=10",
    "users": "/users?page_size=100",
    "user search": "/users/search?username=person-1&page_size=10",
    "quotas": "/quotas?page_size=100",
    "quotas by use": "/quotas?page_size=100&sort=-used.storage",
    "repositories": "/projects/big/repositories?page_size=10",
    "repositories by name": "/projects/big/repositories?q=name%3D~repo-9&page_size=10",
    "all repositories": "/repositories?page_size=10",
    "artifacts": f"{REPOSITORY}/artifacts?page_size=10",
    "artifacts, everything": f"{REPOSITORY}/artifacts?page_size=100&{EXPANSIONS}",
    "artifacts, deep": f"{REPOSITORY}/artifacts?page=90&page_size=10&with_tag=true",
    "artifacts by tag": f"{REPOSITORY}/artifacts?q=tags%3Dalso-{{tenth}}&with_tag=true",
    "artifact": f"{REPOSITORY}/artifacts/v{{tenth}}?{EXPANSIONS}",
    "tags": f"{REPOSITORY}/artifacts/v{{tenth}}/tags?with_immutable_status=true",
    "accessories": f"{REPOSITORY}/artifacts/v{{tenth}}/accessories",
    "project's artifacts": f"/projects/big/artifacts?page_size=100&{EXPANSIONS}",
    "project's artifacts, latest": "/projects/big/artifacts?page_size=100&latest_in_repository=true&with_tag=true"
    "&q=media_type%3Dapplication/vnd.oci.image.config.v1%2Bjson",
    "search": "/search?q=repo-99",
    "statistics": "/statistics",
    "audit log": "/auditlog-exts?page_size=100",
    "audit log, old form": "/audit-logs?page_size=100",
    "audit log by user": "/auditlog-exts?q=username%3Duser-7&page_size=100",
    "audit log by operation": "/auditlog-exts?q=operation%3Ddelete,resource_type%3Dtag&page_size=100",
    "project's audit log": "/projects/big/auditlog-exts?page_size=100",
}


@dataclass
class Filled:
    """A server with rows in it, and somebody who asks it on one connection that stays open."""

    peer: Peer
    env: dict[str, str]
    numbers: dict[str, int]

    def __post_init__(self) -> None:
        credentials = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {credentials}"}
        self.http = http.client.HTTPConnection(urlsplit(self.peer.url).netloc, timeout=120)

    def path(self, name: str) -> str:
        return "/api/v2.0" + LISTS[name].format(**self.numbers)

    def ask(self, name: str) -> float:
        """Milliseconds."""
        started = time.perf_counter()
        self.http.request("GET", self.path(name), headers=self.headers)
        answer = self.http.getresponse()
        body = answer.read()
        assert answer.status == 200, (name, answer.status, body[:300])
        return (time.perf_counter() - started) * 1000

    def queries(self) -> dict[str, int]:
        headers = json.dumps({**self.headers, "Host": urlsplit(self.peer.url).netloc})
        said = _filling(self.env, "count", text="\n".join([headers, *map(self.path, LISTS)]))
        return dict(zip(LISTS, map(int, said.split()), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="requests for each list and server")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        small, large = (stack.enter_context(_filled(scale)) for scale in SCALES)
        queries = small.queries(), large.queries()
        rows = []
        for name in LISTS:
            print(f"  {name}", file=sys.stderr)
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(options.rounds + 5):
                for server, found in zip((small, large), times, strict=True):
                    took = server.ask(name)
                    if turn >= 5:
                        found.append(took)
            rows.append(_row(name, (queries[0][name], queries[1][name]), times))
    print(json.dumps(rows, indent=2) if options.json else _table(rows))
    return sum(not row["is_aim_met"] for row in rows)


def _row(name: str, queries: tuple[int, int], times: tuple[list[float], list[float]]) -> dict[str, object]:
    p50 = [statistics.median(found) for found in times]
    p95 = [statistics.quantiles(found, n=20)[-1] for found in times]
    ratio = p95[1] / p95[0]
    is_aim_met = queries[0] == queries[1] and ratio <= AIM
    return {"list": name, "queries": queries, "p50": p50, "p95": p95, "ratio": ratio, "is_aim_met": is_aim_met}


def _table(rows: list[dict[str, object]]) -> str:
    head = ["list", "queries", "p50 small", "p50 large", "p95 small", "p95 large", "ratio of p95", ""]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        queries, p50, p95 = row["queries"], row["p50"], row["p95"]
        assert isinstance(queries, tuple)
        assert isinstance(p50, list)
        assert isinstance(p95, list)
        counted = str(queries[0]) if queries[0] == queries[1] else f"{queries[0]} and {queries[1]}"
        figures = [f"{figure:.1f} ms" for figure in (*p50, *p95)]
        lines.append([str(row["list"]), counted, *figures, f"{row['ratio']:.2f}", "" if row["is_aim_met"] else "!"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextlib.contextmanager
def _filled(scale: float) -> Iterator[Filled]:
    with harborlite() as peer:
        env = {**os.environ, "HARBORLITE_DATA": str(peer.data), "HARBOR_ADMIN_PASSWORD": PASSWORD}
        print(f"  filling, {scale:.0%}", file=sys.stderr)
        yield Filled(peer, env, json.loads(_filling(env, "fill", str(scale))))


def _filling(env: dict[str, str], *arguments: str, text: str = "") -> str:
    command = [sys.executable, "-m", "benchmarks.filling", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
