"""What only the store of files must show: durability in the right order, full and broken disks, the files' modes."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harborlite.errors import Unavailable
from registry.blobstore import NotThere, Part
from registry.blobstore.filesystem import BEHIND, FilesystemBlobstore
from tests.contracts.bytes import KIB, MIB, chunked, content_of, noise, push
from tests.contracts.conftest import ROOT, Place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> FilesystemBlobstore:
    return FilesystemBlobstore(root)


def left(root: Path) -> list[str]:
    """Every file and directory below `root`, less the two that fan out."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.parent != root)


class Journal:
    """The calls that make things durable, as they happen: ("sync", path, size) and ("rename", from, to)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[tuple[object, ...]] = []
        self._root = root
        self._fsync, self._rename = os.fsync, os.rename
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "rename", self.rename)

    def fsync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        name = str(path.relative_to(self._root)) if path.is_relative_to(self._root) else "outside"
        self.calls.append(("sync", name, path.stat().st_size if path.is_file() else None))

    def rename(self, source: os.PathLike[str], target: os.PathLike[str]) -> None:
        self._rename(source, target)
        names = (str(Path(path).relative_to(self._root)) for path in (source, target))
        self.calls.append(("rename", *names))


def test_bytes_are_synced_before_the_names_that_lead_to_them(
    store: FilesystemBlobstore, root: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(monkeypatch, root)
    parts = store.write(key, [], chunked(noise(3 * MIB)))
    part, folder = f"uploads/{key}/{parts[0].name}", f"uploads/{key}"
    assert journal.calls == [
        ("sync", "outside", None),  # blobs store, uploads: made for the first write
        ("sync", ".", None),
        ("sync", part, 3 * MIB),
        ("sync", folder, None),
        ("sync", "uploads", None),
    ]
    journal.calls.clear()
    store.commit(key, parts)
    fan, target = f"blobs/{key[:2]}", f"blobs/{key[:2]}/{key}"
    assert journal.calls == [
        ("sync", ".", None),
        ("sync", "blobs", None),
        ("rename", part, target),
        ("sync", fan, None),
    ]


def test_joined_bytes_are_synced_before_they_get_their_name(
    store: FilesystemBlobstore, root: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = store.write(key, [], [b"one"])
    parts = store.write(key, parts, [b"two"])
    journal = Journal(monkeypatch, root)
    store.commit(key, parts)
    *_, sync, rename, directory = journal.calls
    assert sync == ("sync", rename[1], 6)
    assert rename == ("rename", sync[1], f"blobs/{key[:2]}/{key}")
    assert directory == ("sync", f"blobs/{key[:2]}", None)


def test_committing_again_syncs_the_name_again(
    store: FilesystemBlobstore, root: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call before may have died between the two."""
    parts = store.write(key, [], [b"one"])
    store.commit(key, parts)
    journal = Journal(monkeypatch, root)
    store.commit(key, parts)
    assert journal.calls == [("sync", f"blobs/{key[:2]}", None)]


def test_a_large_file_goes_to_the_disk_while_it_arrives(
    store: FilesystemBlobstore, root: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(monkeypatch, root)
    store.write(key, [], [bytes(MIB)] * (2 * BEHIND // MIB))
    sizes = [call[2] for call in journal.calls if call[2]]
    assert len(sizes) >= 2
    assert sizes[-1] == 2 * BEHIND


def test_only_the_owner_may_look(store: FilesystemBlobstore, root: Path, key: str) -> None:
    push(store, key, b"content")
    store.write("0" * 32, [], [b"more"])
    for path in [root, *root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_committed_upload_leaves_nothing_but_its_file(store: FilesystemBlobstore, root: Path, key: str) -> None:
    parts = store.write(key, [], [b"one"])
    store.write(key, parts, [b"lost"])
    store.commit(key, store.write(key, parts, [b"two"]))
    assert left(root) == [f"blobs/{key[:2]}", f"blobs/{key[:2]}/{key}"]


def test_sendfile_gets_a_real_file(store: FilesystemBlobstore, key: str, tmp_path: Path) -> None:
    push(store, key, noise(100 * KIB))
    with store.open(key, 1000, 50) as stored, (tmp_path / "sent").open("wb") as target:
        assert stored.tell() == 1000
        assert os.sendfile(target.fileno(), stored.fileno(), None, 50) == 50
    assert (tmp_path / "sent").read_bytes() == noise(100 * KIB)[1000:1050]


def test_parts_are_joined_where_the_kernel_can_not(
    store: FilesystemBlobstore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "not on this filesystem")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    push(store, key, noise(3 * MIB), b"middle", noise(2 * MIB))
    assert content_of(store, key) == noise(3 * MIB) + b"middle" + noise(2 * MIB)


@pytest.mark.parametrize("count", [1, 2])
def test_a_part_that_was_cut_short_is_not_committed(
    store: FilesystemBlobstore, root: Path, key: str, count: int
) -> None:
    parts: list[Part] = []
    for _ in range(count):
        parts = store.write(key, parts, [b"content"])
    os.truncate(root / "uploads" / key / parts[-1].name, 3)
    with pytest.raises(NotThere):
        store.commit(key, parts)
    assert store.size(key) is None


@pytest.mark.parametrize("bad", ["../../secret", "0-", "", "0-0123456789abcdef/x"])
def test_a_part_that_is_no_name_is_refused(store: FilesystemBlobstore, key: str, bad: str) -> None:
    store.write(key, [], [b"content"])
    with pytest.raises(ValueError, match="not a part"):
        store.commit(key, [Part(bad, 7)])


def test_foreign_files_are_not_listed(store: FilesystemBlobstore, root: Path, key: str) -> None:
    push(store, key, b"content")
    for name in (f"blobs/{key[:2]}/README", "uploads/README", "uploads/lost+found"):
        (root / name).touch()
    assert [entry.key for entry in iter(store.keys())] == [key]
    assert list(store.uploads()) == []


def test_a_store_that_was_never_written_to_is_empty(store: FilesystemBlobstore) -> None:
    assert list(store.keys()) == []
    assert list(store.uploads()) == []


# Disks that fail.


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EMFILE])
def test_a_failing_sync_is_unavailable(
    store: FilesystemBlobstore, root: Path, key: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    store.check()
    (root / "uploads").mkdir()
    monkeypatch.setattr(os, "fsync", fail)
    for call in (lambda: store.write(key, [], [b"content"]), store.check):
        with pytest.raises(Unavailable):
            call()
    assert left(root) == []


def test_a_sync_that_failed_meanwhile_is_not_forgotten(
    store: FilesystemBlobstore, root: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it once: the sync at the end would succeed."""
    synced: list[int] = []
    real = os.fsync

    def fail_first(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            synced.append(descriptor)
            if len(synced) == 1:
                raise OSError(errno.EIO, "bad sector")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_first)
    with pytest.raises(Unavailable):
        store.write(key, [], [bytes(MIB)] * (BEHIND // MIB + 5))
    assert left(root) == []


def test_a_full_disk_is_said_to_be_full(files: Place, key: str) -> None:
    program = f"store.write({key!r}, [], [b'x'])"
    failed = files.run_armed(program, "upload.mid_body", "enospc")
    assert "harborlite.errors.StorageFull" in failed.stderr
    assert list(files.store.uploads()) == []


LIMITED = """
import resource
from harborlite.errors import StorageFull
key = {key!r}
parts = store.write(key, [], [b"a" * 700_000])
parts = store.write(key, parts, [b"b" * 700_000])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
for call in (lambda: store.write(key, parts, [b"c" * 100_000] * 30), lambda: store.commit(key, parts)):
    try:
        call()
    except StorageFull:
        continue
    raise SystemExit("was not refused")
assert len(list(store._folder(key).iterdir())) == 2
assert store.size(key) is None
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.commit(key, parts)
"""


def test_what_was_acknowledged_survives_a_full_disk(files: Place, key: str) -> None:
    ran = files.run(LIMITED.format(key=key))
    assert ran.returncode == 0, ran.stderr
    assert content_of(files.store, key) == b"a" * 700_000 + b"b" * 700_000


SMALL_DISK = """
import os, subprocess, sys
from harborlite.errors import StorageFull, Unavailable
from registry.blobstore.filesystem import FilesystemBlobstore

def refused(error, call):
    try:
        call()
    except error:
        return
    raise SystemExit("was not refused")

mount = sys.argv[1]
store = FilesystemBlobstore(mount + "/blobs")
old, new = "a" * 32, "b" * 32
store.commit(old, store.write(old, [], [b"x" * 3_000_000]))
parts = store.write(new, [], [b"y" * 1_000_000])
refused(StorageFull, lambda: store.write(new, parts, [b"z" * 100_000] * 60))
assert os.listdir(mount + "/blobs/uploads/" + new) == [parts[0].name]
store.delete(old)
store.commit(new, store.write(new, parts, [b"z" * 100_000] * 20))
assert store.size(new) == 3_000_000
while True:
    try:
        open(mount + "/inode-" + str(len(os.listdir(mount))), "x").close()
    except OSError:
        break
refused(StorageFull, lambda: store.write(old, [], [b"x"]))
refused(StorageFull, store.check)
subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
refused(Unavailable, lambda: store.write(old, [], [b"x"]))
refused(Unavailable, lambda: store.delete(new))
refused(Unavailable, store.check)
with store.open(new, 999_999, 2) as stored:
    assert stored.read() == b"yz"
"""


def mounted(options: str, directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """What a command makes of a disk of its own, which is gone afterwards."""
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, directory, *command],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "harborlite.settings", "HARBORLITE_SECRET_KEY": "x" * 50},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_small_disk_fills_up_and_turns_read_only(tmp_path: Path) -> None:
    if not shutil.which("unshare") or mounted("size=1m", tmp_path, "true").returncode != 0:
        pytest.skip("no disk can be mounted here")
    ran = mounted("size=7m,nr_inodes=50", tmp_path, sys.executable, "-c", SMALL_DISK, tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_a_directory_removed_in_between_is_made_again(store: FilesystemBlobstore, root: Path, key: str) -> None:
    push(store, key, b"content")
    shutil.rmtree(root)
    push(store, key, b"content")
    assert content_of(store, key) == b"content"
