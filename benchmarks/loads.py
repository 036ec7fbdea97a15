"""What is measured. Each load takes a running registry and answers one figure; more is better, but for memory."""

import hashlib
import http.client
import json
import os
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.servers import Peer

MIB = 1 << 20
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
SECONDS = 4
BIG = 256 * MIB


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Connection:
    """One keep-alive connection of a client that has its token."""

    def __init__(self, peer: Peer, repository: str) -> None:
        self.repository = repository
        self.headers = peer.headers(repository)
        self.http = http.client.HTTPConnection(urlsplit(peer.url).netloc, timeout=120)

    def call(self, method: str, path: str, status: int, body: bytes = b"", **headers: str) -> dict[str, str]:
        self.http.request(method, path, body, {**self.headers, **headers})
        answer = self.http.getresponse()
        text = answer.read()
        assert answer.status == status, (method, path, answer.status, text[:300])
        return {name.lower(): value for name, value in answer.getheaders()}

    def push_blob(self, content: bytes) -> str:
        """As docker does for small blobs: a session, then all bytes with the closing request."""
        digest = digest_of(content)
        location = self.call("POST", f"/v2/{self.repository}/blobs/uploads/", 202)["location"]
        self.call("PUT", _with_digest(location, digest), 201, content)
        return digest

    def push_image(self, tag: str, size: int = 1024) -> None:
        """A unique layer of `size` bytes, a unique config, and their manifest under `tag`."""
        config, layer = json.dumps({"id": uuid.uuid4().hex}).encode(), os.urandom(size)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.push_blob(config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": self.push_blob(layer),
                    "size": len(layer),
                }
            ],
        }
        path = f"/v2/{self.repository}/manifests/{tag}"
        self.call("PUT", path, 201, json.dumps(manifest).encode(), **{"Content-Type": OCI_IMAGE})

    def stream(self, chunks: Iterator[bytes], digest: Callable[[], str]) -> str:
        """As docker does for layers: a session, one chunked PATCH, an empty PUT."""
        location = self.call("POST", f"/v2/{self.repository}/blobs/uploads/", 202)["location"]
        path = urlsplit(location)
        self.http.request("PATCH", f"{path.path}?{path.query}".rstrip("?"), chunks, self.headers, encode_chunked=True)
        answer = self.http.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        self.call("PUT", _with_digest(answer.headers["Location"], digest()), 201)
        return digest()


def _with_digest(location: str, digest: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query + '&' if parts.query else ''}digest={digest}"


def manifest_reads(method: str, connections: int) -> Callable[[Peer], float]:
    """Manifest reads by tag per second, over keep-alive connections."""

    def measure(peer: Peer) -> float:
        Connection(peer, "library/read").push_image("latest")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-H", f"Accept: {OCI_IMAGE}"]
        for name, value in peer.headers("library/read").items():
            command += ["-H", f"{name}: {value}"]
        script = f"wrk.method = '{method}'\n"
        command += ["-s", "/dev/stdin", f"{peer.url}/v2/library/read/manifests/latest"]
        said = subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout
        assert "Non-2xx" not in said, said
        return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]

    return measure


def _pieces(size: int, seed: bytes, hasher: "hashlib._Hash") -> Iterator[bytes]:
    """Unique bytes that cost next to nothing to make: one random MiB, numbered."""
    piece = bytearray(os.urandom(MIB))
    for number in range(size // MIB):
        piece[:24] = seed + number.to_bytes(8, "big")
        hasher.update(piece)
        yield bytes(piece)


def streamed_push(size: int = BIG) -> Callable[[Peer], float]:
    """MiB per second of a layer pushed as docker does, the client's own hashing taken out of the time."""

    def measure(peer: Peer) -> float:
        hasher = hashlib.sha256()
        pieces = list(_pieces(size, uuid.uuid4().bytes, hasher))
        client = Connection(peer, "library/push")
        started = time.monotonic()
        client.stream(iter(pieces), lambda: f"sha256:{hasher.hexdigest()}")
        return size / MIB / (time.monotonic() - started)

    return measure


def blob_get(size: int = BIG) -> Callable[[Peer], float]:
    """MiB per second of a layer pulled; each peer's file is warm in the page cache."""

    def measure(peer: Peer) -> float:
        hasher = hashlib.sha256()
        client = Connection(peer, "library/pull")
        digest = client.stream(_pieces(size, uuid.uuid4().bytes, hasher), lambda: f"sha256:{hasher.hexdigest()}")
        command = ["curl", "-sSf", "-o", "/dev/null", "-w", "%{size_download} %{time_total}"]
        for name, value in client.headers.items():
            command += ["-H", f"{name}: {value}"]
        command.append(f"{peer.url}/v2/library/pull/blobs/{digest}")
        rates = []
        for _ in range(4):
            got, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            assert int(got) == size
            rates.append(size / MIB / float(seconds))
        return max(rates)

    return measure


def image_pushes(repositories: int, workers: int = 16, each: int = 12) -> Callable[[Peer], float]:
    """Images of 1 KiB pushed per second by `workers` clients into that many repositories."""

    def measure(peer: Peer) -> float:
        run = uuid.uuid4().hex[:8]

        def work(number: int) -> None:
            client = Connection(peer, f"library/many-{run}-{number % repositories}")
            for turn in range(each):
                client.push_image(f"w{number}-{turn}")

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda number: Connection(peer, f"library/many-{run}-{number}").push_image("first"),
                          range(repositories)))  # fmt: skip
            started = time.monotonic()
            list(pool.map(work, range(workers)))
            return workers * each / (time.monotonic() - started)

    return measure


def memory_growth(small: int = 64 * MIB, large: int = 512 * MIB) -> Callable[[Peer], float]:
    """MiB that the peak of memory grows by when the layer pushed and pulled is eight times as large."""

    def measure(peer: Peer) -> float:
        peaks = []
        for size in (small, large):
            with _peak(peer) as peak:
                streamed_push(size)(peer)
                blob_get(size)(peer)
            peaks.append(max(peak))
        return (peaks[1] - peaks[0]) / MIB

    return measure


@contextmanager
def _peak(peer: Peer) -> Iterator[list[int]]:
    samples = [peer.memory()]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.05):
            samples.append(peer.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()
