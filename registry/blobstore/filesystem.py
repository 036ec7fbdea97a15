"""Blobs as files. What was acknowledged is on the disk: each file first, then the directories that name it.

A part is synced where it was written. Committing a single part, which is what nearly every push has, is a rename;
several are joined by the kernel into one new file first.
"""

import errno
import io
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

from harborlite.errors import HarborliteError, StorageFull, Unavailable
from harborlite.faults import fault
from registry.blobstore import Entry, NotThere, Part, checked, checked_range

BUFFER = 1 << 20  # bytes gathered before a system call
BEHIND = 32 << 20  # bytes after which the disk is set to work while more are received
ATTEMPTS = 3  # at creating a file in a directory that another writer's end removes, and at that removal
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_PART = re.compile(r"[0-9]+-[0-9a-f]{16}")
logger = logging.getLogger(__name__)


class FilesystemBlobstore:
    """Keeps blobs below `root`, which is made when it is first written to."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._known: set[Path] = set()
        """Directories that this process found, or made, to be on the disk."""

    def write(self, key: str, parts: Sequence[Part], chunks: Iterable[bytes]) -> list[Part]:
        folder, rest = self._folder(key), iter(chunks)
        first = next(filter(len, rest), None)
        if first is None:
            return list(parts)
        path = folder / f"{len(parts)}-{secrets.token_hex(8)}"
        try:
            with _translated(key):
                descriptor = self._create_first(path) if not parts else _create(path)
            size = _fill(key, descriptor, chain((first,), rest))
            with _translated(key):
                _sync_directory(folder)
                if not parts:
                    _sync_directory(folder.parent)
        except BaseException:
            _drop(path)
            raise
        return [*parts, Part(path.name, size)]

    def commit(self, key: str, parts: Sequence[Part]) -> None:
        folder, target = self._folder(key), self._blob(key)
        total = sum(part.size for part in parts)
        with _translated(key):
            # The right length means that an earlier call got as far as the rename: no other file comes here.
            if self.size(key) != total:
                self._directory(target.parent)
                try:
                    self._place(folder, parts, target)
                except FileNotFoundError:  # another call may have been faster
                    if self.size(key) != total:
                        raise
            _sync_directory(target.parent)
            fault("commit.after_rename")
        try:
            _clear(folder)
        except OSError:
            logger.warning("leftovers of the committed upload %s could not be removed", key, exc_info=True)

    def abort(self, key: str) -> None:
        with _translated(key):
            _clear(self._folder(key))

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        checked_range(start, length)
        with _translated(key):
            return _Slice(self._blob(key), start, length)

    def size(self, key: str) -> int | None:
        path = self._blob(key)
        with _translated(key):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                return None

    def url(self, key: str, *, method: Literal["GET", "HEAD"] = "GET") -> None:
        checked(key)

    def delete(self, key: str) -> None:
        with _translated(key):
            self._blob(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[Entry]:
        for fan in _names(self._root / "blobs"):
            for name in _names(self._root / "blobs" / fan):
                with suppress(FileNotFoundError, ValueError):
                    found = self._blob(name).stat()
                    yield Entry(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def uploads(self) -> Iterator[str]:
        for name in _names(self._root / "uploads"):
            with suppress(ValueError):
                yield checked(name)

    def check(self) -> None:
        path = self._root / f"probe-{secrets.token_hex(8)}"
        with _translated(""):
            self._directory(self._root)
            descriptor = _create(path)
            try:
                os.write(descriptor, b"probe")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                path.unlink()

    def _folder(self, key: str) -> Path:
        return self._root / "uploads" / checked(key)

    def _blob(self, key: str) -> Path:
        return self._root / "blobs" / checked(key)[:2] / key

    def _directory(self, path: Path) -> None:
        """`path`, which is the root or below it, exists, and so do its names on the disk."""
        if path in self._known:
            return
        if path == self._root:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._directory(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        # Also when it was there already: who made it may not have come to this line yet.
        _sync_directory(path.parent)
        self._known.add(path)

    def _create_first(self, path: Path) -> int:
        """The new file `path`, whose directory is made too; the caller syncs the directories."""
        for attempt in range(ATTEMPTS):
            try:
                self._directory(path.parent.parent)
                with suppress(FileExistsError):
                    path.parent.mkdir(mode=0o700)
                return _create(path)
            except FileNotFoundError:  # a directory was removed in between
                self._known.clear()
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _place(self, folder: Path, parts: Sequence[Part], target: Path) -> None:
        """The bytes of `parts` have the name `target`; FileNotFoundError when some are missing."""
        if len(parts) == 1:
            source = _path_of(folder, parts[0])
            if source.stat().st_size != parts[0].size:
                raise FileNotFoundError(errno.ENOENT, "the part is cut short", str(source))
        else:
            source = self._joined(folder, parts)
        fault("commit.after_fsync")
        source.rename(target)

    def _joined(self, folder: Path, parts: Sequence[Part]) -> Path:
        """A new file with the bytes of all parts, on the disk. The parts stay, in case this is not the last attempt."""
        path = folder / f"{len(parts)}-{secrets.token_hex(8)}"
        descriptor = _create(path) if parts else self._create_first(path)
        try:
            with open(descriptor, "wb", buffering=0):
                for part in parts:
                    with _path_of(folder, part).open("rb", buffering=0) as source:
                        _copy(source.fileno(), descriptor, part.size)
                os.fsync(descriptor)
        except BaseException:
            _drop(path)
            raise
        return path


class _Slice(io.FileIO):
    """A file read from `start` up to `length` bytes further on."""

    def __init__(self, path: Path, start: int, length: int | None) -> None:
        super().__init__(path, "rb")
        self._end = None if length is None else start + length
        self.seek(start)

    def _at_most(self, size: int) -> int:
        return size if self._end is None else max(0, min(size, self._end - self.tell()))

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        return super().readinto(view[: self._at_most(len(view))]) or 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        return super().read(self._at_most(size)) or b""

    def readall(self) -> bytes:
        if self._end is None:
            return super().readall() or b""
        return b"".join(iter(lambda: self.read(BUFFER), b""))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """The system's errors, in the product's words."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotThere(key) from error
    except OSError as error:
        raise _meaning(error) from error


def _meaning(error: OSError) -> HarborliteError:
    if error.errno in _FULL:
        return StorageFull()
    return Unavailable("the registry's storage failed; try again later")


def _fill(key: str, descriptor: int, chunks: Iterable[bytes]) -> int:
    """The file is `chunks` and is on the disk; closes it, and returns its length. An error of `chunks` goes through."""
    size, due, behind = 0, BEHIND, None
    # The disk works while the next bytes arrive, instead of when the last has.
    raw = io.FileIO(descriptor, "wb")
    with ThreadPoolExecutor(1) as disk, io.BufferedWriter(raw, BUFFER) as file:
        try:
            for chunk in chunks:
                with _translated(key):
                    file.write(chunk)
                    if not size:
                        file.flush()
                        fault("upload.mid_body")
                    size += len(chunk)
                    if size >= due and (behind is None or behind.done()):
                        behind, due = _sync_behind(disk, descriptor, behind), size + BEHIND
            with _translated(key):
                file.flush()
                if behind is not None:
                    behind.result()
                os.fsync(descriptor)
        except BaseException:
            disk.shutdown()
            raw.close()  # without writing what is gathered
            raise
    return size


def _sync_behind(disk: ThreadPoolExecutor, descriptor: int, before: Future[None] | None) -> Future[None]:
    """Starts a sync. The system reports a failed write once, so what the one before met is raised here."""
    if before is not None:
        before.result()
    return disk.submit(os.fsync, descriptor)


def _copy(source: int, target: int, size: int) -> None:
    """The next `size` bytes of `source` are written to `target`; FileNotFoundError when it has fewer."""
    left, in_kernel = size, hasattr(os, "copy_file_range")
    while left:
        copied = 0
        if in_kernel:
            try:
                copied = os.copy_file_range(source, target, min(left, 1 << 30))
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
                in_kernel = False
                continue
        elif data := memoryview(os.read(source, min(left, BUFFER))):
            copied = os.write(target, data)
            os.lseek(source, copied - len(data), os.SEEK_CUR)
        if not copied:
            raise FileNotFoundError(errno.ENOENT, "a part is cut short")
        left -= copied


def _path_of(folder: Path, part: Part) -> Path:
    if not _PART.fullmatch(part.name):
        raise ValueError(f"not a part: {part.name!r}")
    return folder / part.name


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(path: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(path)
    return []


def _drop(path: Path) -> None:
    """The file is gone, and its directory if it held nothing else, as far as that can be had."""
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        path.parent.rmdir()


def _clear(folder: Path) -> None:
    """The directory and the files in it are gone."""
    for attempt in range(ATTEMPTS):
        for name in _names(folder):
            (folder / name).unlink(missing_ok=True)
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # another writer may have made a file in between
            if error.errno != errno.ENOTEMPTY or attempt == ATTEMPTS - 1:
                raise
        else:
            return
