"""`make bench`, or `python -m benchmarks [--only WORD] [--json] [--runs N]`.

Starts this registry (token authentication on) and Debian's docker-registry (none) side by side and prints each load's
median and the ratio. HARBORLITE_BENCH_REGISTRY3 may name a distribution 3 binary as a third. Absolute figures mean
nothing beyond the run they stand in.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import loads, servers
from benchmarks.servers import Peer


@dataclass(frozen=True)
class Load:
    """`floor` is the least ratio to docker-registry that we accept; None when only looked at."""

    name: str
    unit: str
    measure: Callable[[Peer], float]
    floor: float | None = None


LOADS = (
    Load("manifest GET by tag, 1 connection", "/s", loads.manifest_reads("GET", 1), 1.5),
    Load("manifest GET by tag, 16 connections", "/s", loads.manifest_reads("GET", 16), 1.5),
    Load("manifest HEAD by tag, 1 connection", "/s", loads.manifest_reads("HEAD", 1), 1.5),
    Load("manifest HEAD by tag, 16 connections", "/s", loads.manifest_reads("HEAD", 16), 1.5),
    Load("blob GET, 256 MiB", "MiB/s", loads.blob_get(), 1.0),
    Load("streamed push, 256 MiB", "MiB/s", loads.streamed_push(), 1.3),
    Load("pushes of 1 KiB, 16 repositories", "/s", loads.image_pushes(16)),
    Load("pushes of 1 KiB, one repository", "/s", loads.image_pushes(1)),
    Load("memory growth, 64 to 512 MiB", "MiB", loads.memory_growth()),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="only loads whose name holds this")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each load and server; the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        peers = [
            stack.enter_context(servers.harborlite()),
            stack.enter_context(servers.distribution("docker-registry", ["serve"])),
        ]
        if third := os.environ.get("HARBORLITE_BENCH_REGISTRY3"):
            peers.append(stack.enter_context(servers.distribution(third, ["serve"])))
        rows = [_row(load, peers, options.runs) for load in LOADS if options.only in load.name]
    print(json.dumps(rows, indent=2) if options.json else _table(rows, [peer.name for peer in peers]))
    return 0


def _row(load: Load, peers: list[Peer], runs: int) -> dict[str, object]:
    """Medians, the servers taking turns, so that what else the machine does hits all alike."""
    found: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(runs):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            print(f"  {load.name}: {peer.name}", file=sys.stderr)
            found[peer.name].append(load.measure(peer))
    medians = {name: statistics.median(values) for name, values in found.items()}
    ours, *others = medians.values()
    ratios = [ours / other if other > 0 else 0.0 for other in others]
    return {"load": load.name, "unit": load.unit, "floor": load.floor, "medians": medians, "ratios": ratios}


def _table(rows: list[dict[str, object]], names: list[str]) -> str:
    ours, *others = names
    head = ["load", ours, *(word for name in others for word in (name, f"ours / {name}")), "floor"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        medians, ratios = row["medians"], row["ratios"]
        assert isinstance(medians, dict)
        assert isinstance(ratios, list)
        pairs = [w for n, r in zip(others, ratios, strict=True) for w in (_figure(medians[n], row), f"{r:.2f}")]
        lines.append([str(row["load"]), _figure(medians[ours], row), *pairs, str(row["floor"] or "")])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(value: float, row: dict[str, object]) -> str:
    return f"{value:,.0f} {row['unit']}"


if __name__ == "__main__":
    sys.exit(main())
