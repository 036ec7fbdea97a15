"""What a directory of backups holds, and how blobs come into it and out of it.

    DIR/blobs/AB/KEY          the bytes of blobs, as the file store keeps them; those of all backups here
    DIR/uploads/KEY           those of a blob that is being copied
    DIR/TIME/database.dump    the database at TIME, by pg_dump
    DIR/TIME/blobs.tsv        a line for each blob the database names: key, size, digest
    DIR/TIME/secrets/NAME     what DATA held besides: the key that signs and encrypts, if it was generated; ca.crt ...
    DIR/TIME/backup.json      what this is. Written last: a directory without it is no backup

A key is never used for other bytes, so a further backup copies only what is new. All bytes are compared with their
digests while they are copied, in both directions.
"""

import hmac
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from harborlite.cli.output import Failure
from harborlite.disk import sync

FORMAT = 1
SECRETS = ("secret-key", "admin-password", "ca.crt")
"""Files of DATA that a server needs to go on as it was."""


class Stored(NamedTuple):
    """A blob that a database names."""

    key: str
    size: int
    digest: str


@dataclass(frozen=True)
class Backup:
    """One backup: the directory TIME, and what backup.json says."""

    directory: Path
    time: str
    blobs: int
    size: int
    """Bytes of its blobs."""
    has_blobs: bool
    key: str
    """Tells the secret key it was made with from others."""
    damaged: list[str] = field(default_factory=list)
    """Digests of blobs that were wrong or missing already."""
    format: int = FORMAT

    @property
    def dump(self) -> Path:
        return self.directory / "database.dump"

    @property
    def list(self) -> Path:
        return self.directory / "blobs.tsv"

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    def stored(self) -> Iterator[Stored]:
        """The blobs its database names."""
        with self.list.open(encoding="ascii") as lines:
            for line in lines:
                key, size, digest = line.split()
                yield Stored(key, int(size), digest)

    def finish(self) -> None:
        """From now on it is one."""
        values = {name: value for name, value in asdict(self).items() if name != "directory"}
        draft = self.directory / "backup.json.new"
        draft.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        sync(draft)
        draft.rename(self.directory / "backup.json")
        sync(self.directory)
        sync(self.directory.parent)


def backups(top: Path) -> list[Backup]:
    """The backups in the directory, oldest first. Failure when one was made by a later version."""
    found = []
    for file in sorted(top.glob("*/backup.json")):
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.get("format") != FORMAT:
            raise Failure(f"{file.parent} was made by another version of harborlite")
        found.append(Backup(directory=file.parent, **values))
    return found


def key_mark(key: str) -> str:
    """Tells a secret key from others, and does not tell what it is."""
    return hmac.digest(key.encode(), b"harborlite backup", "sha256").hex()[:16]


def keep(source: Path, target: Path, names: Iterable[str]) -> None:
    """The files of `names` that `source` has are in `target` too, for us alone."""
    target.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        if (source / name).is_file():
            draft = target / f".{name}.new"
            draft.touch(mode=0o600)
            shutil.copyfile(source / name, draft)
            sync(draft)
            draft.rename(target / name)
    sync(target)
