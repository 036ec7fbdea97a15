"""Files of a Helm chart, read from its archive as it streams by: none goes to disk, all work is bounded. Pure.

    chart.tgz = gzip(tar( NAME/Chart.yaml, NAME/values.yaml, NAME/README.md, NAME/templates/..., ... ))

An archive is whatever somebody pushed. One that is none, or passes a bound, is ChartInvalid (S-137: a few bytes of
gzip can stand for terabytes, a tar header for a file of any size).
"""

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Protocol, cast

from harborlite.errors import BadRequest

MAX_ARCHIVE = 16 * 1024 * 1024
"""Bytes of an archive that is read at all."""
MAX_UNPACKED = 32 * 1024 * 1024
"""Bytes read of what it holds."""
MAX_FILE = 1024 * 1024
"""Bytes of one file that is shown."""
MAX_MEMBERS = 10_000
PIECE = 64 * 1024


class ChartInvalid(BadRequest):
    """The archive can't be read within the bounds."""

    message = "the chart's archive can't be read"


class Readable(Protocol):
    """Where bytes come from, in their order."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def file_of(archive: Readable, name: str) -> bytes:
    """The file `name` at the top of the chart, letter case aside; nothing when the chart has none. ChartInvalid."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Unzipped(archive)), mode="r|", bufsize=PIECE) as members:
            for member in _top_files(members):
                if member.name.partition("/")[2].lower() == name.lower():
                    return _content(members, member)
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, RecursionError):
        raise ChartInvalid() from None
    return b""


def _top_files(members: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Regular files directly in the chart's own folder."""
    for number, member in enumerate(members):
        if number >= MAX_MEMBERS:
            raise ChartInvalid(f"the chart's archive has more than {MAX_MEMBERS} entries")
        if member.isreg() and not member.issparse() and member.name.count("/") == 1:
            yield member


def _content(members: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_FILE:
        raise ChartInvalid(f"{member.name[-80:]!a} is longer than {MAX_FILE} bytes")
    file = members.extractfile(member)
    return file.read(MAX_FILE) if file else b""


class _Unzipped:
    """What `archive` unzips to, as a file that is read forwards; ChartInvalid past MAX_UNPACKED."""

    def __init__(self, archive: Readable) -> None:
        self._archive = archive
        self._unzip = zlib.decompressobj(wbits=31)
        self._left = MAX_UNPACKED

    def read(self, size: int = -1, /) -> bytes:
        return b"".join(self._pieces(size))

    def close(self) -> None:
        """The archive is its opener's."""

    def _pieces(self, size: int) -> Iterable[bytes]:
        while size > 0 and not self._unzip.eof:
            zipped = self._unzip.unconsumed_tail or self._archive.read(PIECE)
            piece = self._unzip.decompress(zipped, min(size, PIECE))
            if not zipped and not piece:
                raise EOFError
            size -= len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise ChartInvalid(f"the chart's archive unpacks to more than {MAX_UNPACKED} bytes")
            yield piece
