"""The stores of the contract suite, each with the environment in which another process has the same one."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from harborlite.settings import s3_client
from registry.blobstore import Blobstore
from registry.blobstore.filesystem import FilesystemBlobstore
from registry.blobstore.s3 import S3Blobstore
from tests.seaweed import Seaweed

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "contracts"
PART = 5 << 20  # bytes; the least that S3 takes


@dataclass(frozen=True)
class Place:
    """A store and its settings."""

    store: Blobstore
    settings: dict[str, str]
    scratch: Path

    def run(self, program: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """What a process that has the same store, as `store`, makes of the program."""
        start = "from registry.blobstore import Part, blobstore\nstore = blobstore()\n"
        return subprocess.run(
            [sys.executable, "-c", start + program],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "harborlite.settings",
                "HARBORLITE_SECRET_KEY": "x" * 50,
                "HARBORLITE_DATA": str(self.scratch),
                **self.settings,
                **settings,
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run_armed(self, program: str, point: str, action: str) -> subprocess.CompletedProcess[str]:
        """The same, with a failpoint armed."""
        (self.scratch / point).write_text(action, encoding="ascii")
        return self.run(program, HARBORLITE_FAULTS=str(self.scratch))


@pytest.fixture
def files(tmp_path: Path) -> Place:
    return Place(FilesystemBlobstore(tmp_path / "blobs"), {"HARBORLITE_STORAGE": "filesystem"}, tmp_path)


@pytest.fixture
def objects(s3: S3Blobstore, seaweed: Seaweed, tmp_path: Path) -> Place:
    settings = {
        "HARBORLITE_STORAGE": "s3",
        "HARBORLITE_S3_BUCKET": BUCKET,
        "HARBORLITE_S3_PREFIX": "below",
        "HARBORLITE_S3_ENDPOINT": seaweed.endpoint,
        "HARBORLITE_S3_ACCESS_KEY": seaweed.access_key,
        "HARBORLITE_S3_SECRET_KEY": seaweed.secret_key,
    }
    return Place(s3, settings, tmp_path)


@pytest.fixture(scope="session")
def s3(seaweed: Seaweed) -> Iterator[S3Blobstore]:
    with closing(Opened(seaweed, seaweed.endpoint)) as opened:
        yield opened.store


class Opened:
    """An S3 store under `endpoint`, to be closed."""

    def __init__(self, seaweed: Seaweed, endpoint: str, *, bucket: str = BUCKET, public: str = "") -> None:
        options = {
            "bucket_name": bucket,
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "access_key": seaweed.access_key,
            "secret_key": seaweed.secret_key,
            "location": "below",
            "querystring_expire": 900,
            "client_config": s3_client(),
        }
        self._storages = [self._storage(options)]
        if public:
            self._storages.append(self._storage({**options, "endpoint_url": public}))
        self.store = S3Blobstore(self._storages[0], public=self._storages[-1], redirect=True, part_size=PART)

    @staticmethod
    def _storage(options: dict[str, object]) -> Any:
        return storages.create_storage({"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options})

    def close(self) -> None:
        for each in self._storages:
            each.connection.meta.client.close()


@pytest.fixture(params=["files", pytest.param("objects", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> Blobstore:
    return place.store


@pytest.fixture
def key() -> str:
    """A key that nothing was written under."""
    return secrets.token_hex(16)
