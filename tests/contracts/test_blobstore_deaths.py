"""A process that dies while it writes or commits loses nothing that was acknowledged, and its traces can be swept."""

import json

import pytest

from registry.blobstore import Part
from tests.contracts.bytes import content_of
from tests.contracts.conftest import Place

COMMITS = """
import json
parts = store.write({key!r}, [], [b"x" * 1000])
print(json.dumps([part.to_json() for part in parts]), flush=True)
store.commit({key!r}, parts)
"""
DIES_RECEIVING = """
import os, signal
def chunks():
    yield from [b"x" * (1 << 20)] * 30
    os.kill(os.getpid(), signal.SIGKILL)
store.write({key!r}, [], chunks())
"""


@pytest.mark.parametrize("point", ["commit.after_fsync", "commit.after_rename"])
def test_commit_goes_on_after_death(place: Place, key: str, point: str) -> None:
    died = place.run_armed(COMMITS.format(key=key), point, "kill9")
    assert died.returncode == -9, died.stderr
    parts = [Part.from_json(value) for value in json.loads(died.stdout)]
    assert place.store.size(key) == (1000 if point == "commit.after_rename" else None)
    place.store.commit(key, parts)
    assert content_of(place.store, key) == b"x" * 1000
    assert key not in list(place.store.uploads())


def test_an_upload_that_died_can_be_swept(place: Place, key: str) -> None:
    died = place.run(DIES_RECEIVING.format(key=key))
    assert died.returncode == -9, died.stderr
    assert place.store.size(key) is None
    assert key in list(place.store.uploads())
    place.store.abort(key)
    assert key not in list(place.store.uploads())


def test_a_failure_in_the_middle_leaves_nothing(place: Place, key: str) -> None:
    failed = place.run_armed(COMMITS.format(key=key), "upload.mid_body", "raise")
    assert "failpoint upload.mid_body" in failed.stderr
    assert key not in list(place.store.uploads())
