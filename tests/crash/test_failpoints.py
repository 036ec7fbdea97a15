"""Every failpoint, hit by the smallest push or sweep that reaches it (F-01 to F-04; reliability.md 7.0).

Those of changes over REST are in test_interrupted.

Whatever happens there: what was acknowledged stays, nothing partial is seen, the client's next attempt succeeds and
nothing is left behind.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from harborlite.faults import POINTS
from tests.crash.scene import Ledger, Scene, assert_blob, assert_chain, image_of, offset_of, tagged
from tests.images import sha256, unique
from tests.ociclient import Client
from tests.product import ROOT
from tests.wire import Answer

HALF = 100_000  # bytes
LANDED = frozenset({"commit.after_db_commit_before_response", "manifest.after_commit"})
"""Points behind the commit: the client hears nothing, and the change is there."""
PUSHED = {"upload": (1,), "commit": (1, 2), "manifest": (1,), "tag": (1,)}
"""In how many pieces the layer is pushed: one is renamed into place, two are joined."""
ANSWERS = {"raise": (500, "UNKNOWN"), "enospc": (507, "UNAVAILABLE")}

HITS = [
    pytest.param(point, action, pieces, id=f"{point}-{action}-{pieces}")
    for point in POINTS
    for pieces in PUSHED.get(point.partition(".")[0], ())
    for action in ("kill9", "raise")
]
FULL = [
    pytest.param(point, "enospc", pieces, id=f"{point}-enospc-{pieces}")
    for point in ("upload.mid_body", "commit.after_fsync", "commit.after_rename")
    for pieces in PUSHED[point.partition(".")[0]]
]


class Refused(Exception):
    """The server answered that it failed."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer))
        self.answer = answer


class Push:
    """A client that pushes a layer, then a manifest of it under a tag that stood for another image."""

    def __init__(self, ledger: Ledger, repository: str, pieces: int) -> None:
        self.ledger, self.client, self.repository, self.pieces = ledger, ledger.client, repository, pieces
        config = unique()
        self.before = ledger.push_image(repository, "latest", config)
        self.layer = unique(2 * HALF)
        self.digest = sha256(self.layer)
        self.manifest = image_of(config, self.layer)
        self.location = ""
        self.held = 0
        """Bytes of the session that were acknowledged."""

    def run(self) -> None:
        """All of it is acknowledged, or ConnectionError or Refused."""
        self.location, self.held = "", 0
        answer = self._accepted(self.client.start(self.repository), 202)
        self.location = answer.headers["Location"]
        first = self.layer[: len(self.layer) // self.pieces]
        self._accepted(self.client.append(self.location, first), 202)
        self.held = len(first)
        self.finish(self.held)
        document = self.client.push_manifest(self.repository, "latest", self.manifest)
        self._accepted(document, 201)
        self.ledger.note_manifest(self.repository, "latest", self.manifest)

    def finish(self, offset: int) -> None:
        """The session, which holds `offset` bytes, is the blob."""
        rest = self.layer[offset:]
        where = {"content_range": f"{offset}-{len(self.layer) - 1}"} if rest else {}
        self._accepted(self.client.finish(self.location, self.digest, rest, **where), 201)
        self.ledger.blobs[self.repository, self.digest] = self.layer

    def assert_nothing_partial(self, *, has_landed: bool) -> None:
        """What broke has happened as a whole or not at all (I2, F-02 to F-04); if it has, it is to stay so."""
        blob_is_acknowledged = (self.repository, self.digest) in self.ledger.blobs
        if blob_is_acknowledged or has_landed:
            assert_blob(self.client, self.repository, self.digest, self.layer)
        else:
            assert self.client.head_blob(self.repository, self.digest).status == 404
            assert self.client.get_blob(self.repository, self.digest).status == 404
        is_there = blob_is_acknowledged and has_landed
        found = self.client.get_manifest(self.repository, sha256(self.manifest))
        assert (found.status, found.body if is_there else b"") == ((200, self.manifest) if is_there else (404, b""))
        assert tagged(self.client, self.repository, "latest") == (sha256(self.manifest) if is_there else self.before)
        if is_there:
            self.ledger.note_manifest(self.repository, "latest", self.manifest)

    def resume(self, *, is_finishing: bool) -> None:
        """Goes on with the upload session where the server says, as far as it is not over (I6).

        That is behind what was acknowledged; behind everything, once the session was being finished.
        """
        if not self.location or (self.repository, self.digest) in self.ledger.blobs:
            return
        if self.client.request("GET", self.location).status == 404:
            assert_blob(self.client, self.repository, self.digest, self.layer)
            return
        offset = offset_of(self.client, self.location)
        assert offset == (len(self.layer) if is_finishing else self.held)
        self.finish(offset)
        assert_blob(self.client, self.repository, self.digest, self.layer)

    @staticmethod
    def _accepted(answer: Answer, status: int) -> Answer:
        if answer.status >= 500:
            raise Refused(answer)
        assert answer.status == status, answer
        return answer


@pytest.fixture(scope="module")
def ledger(scene: Scene) -> Iterator[Ledger]:
    """What all tests of this module were told; at their end it is still true."""
    ledger = Ledger(scene.world.player())
    yield ledger
    ledger.verify()


@pytest.mark.parametrize(("point", "action", "pieces"), [*HITS, *FULL])
def test_push_survives(scene: Scene, ledger: Ledger, repository: str, point: str, action: str, pieces: int) -> None:
    push = Push(ledger, repository, pieces)
    workers = set(scene.server.web_workers())
    scene.server.arm(point, action)
    if action == "kill9":
        with pytest.raises(requests.ConnectionError):
            push.run()
        scene.wait_until_whole()
        assert len(workers - set(scene.server.web_workers())) == 1
    else:
        with pytest.raises(Refused) as refused:
            push.run()
        assert_envelope(refused.value.answer, *ANSWERS[action])
    assert scene.is_disarmed(point)

    scene.assert_sound()
    push.assert_nothing_partial(has_landed=point in LANDED)
    ledger.verify(repository)
    push.resume(is_finishing=point.startswith("commit."))
    push.run()
    ledger.verify(repository)
    assert_chain(scene.janitor("moves_of", repository=repository), "latest", sha256(push.manifest))
    scene.assert_tidy()


def assert_envelope(answer: Answer, status: int, code: str) -> None:
    """The error is told as the protocol wants it, and nothing of what went wrong inside."""
    assert (answer.status, answer.codes) == (status, [code]), answer
    assert b"failpoint" not in answer.body
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize("action", ["kill9", "raise", "enospc"])
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("gc.")])
def test_sweep_survives(scene: Scene, ledger: Ledger, repository: str, tmp_path: Path, point: str, action: str) -> None:
    content, config = unique(), unique()
    ledger.push_image(repository, "latest", config, content)
    (tmp_path / point).touch()
    while (tmp_path / point).exists():  # the scheduled housekeeping may have taken up what this one should find
        for _ in range(3):
            leave_garbage(ledger.client, repository)
        (tmp_path / point).write_text(action)
        status = housekeeping(scene, tmp_path)
    assert status == {"kill9": -9, "raise": 1, "enospc": 0}[action]

    scene.assert_sound()
    ledger.verify(repository)
    scene.assert_tidy()
    ledger.verify(repository)


def leave_garbage(client: Client, repository: str) -> None:
    """A cancelled upload, whose bytes are to be swept."""
    location = client.session_of(repository)
    assert client.append(location, unique(HALF)).status == 202
    assert client.request("DELETE", location).status == 204


def housekeeping(scene: Scene, faults: Path) -> int:
    """Runs the task in a process of its own, which passes the failpoints armed in `faults`; returns its status."""
    program = "import django; django.setup(); from registry.tasks import housekeeping; housekeeping()"
    environment = {"DJANGO_SETTINGS_MODULE": "harborlite.settings", "HARBORLITE_FAULTS": str(faults)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=scene.server.env | environment, cwd=ROOT, capture_output=True, timeout=60
    )
    return run.returncode


def test_fsck_command_finds_what_is_wrong(scene: Scene, ledger: Ledger, repository: str) -> None:
    """The oracle of these tests sees damage: else they would prove nothing."""
    content = unique(HALF)
    digest = ledger.client.push_blob(repository, content)
    stored = (scene.server.data / "blobs" / "blobs").rglob("*")
    (path,) = (path for path in stored if path.is_file() and path.read_bytes() == content)
    path.write_bytes(b"\0" + content[1:])
    found = scene.server.command("fsck", "--deep")
    assert found.returncode == 1
    assert digest in found.stdout
    path.write_bytes(content)
    found = scene.server.command("fsck", "--deep")
    assert (found.returncode, found.stdout) == (0, "no violations found\n")
