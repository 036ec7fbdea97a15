"""How a blob gets to another registry: mounted there, or sent; after a break it goes on where the registry stopped.

POST    mount=? from=?          201 it was there already
        202 Location            a session
PATCH   the bytes from offset   202; or broken: GET Location says how far it got; a session that is lost, or that
                                can't go on, is begun anew
PUT     digest=                 201
"""

from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

from remotes.client import OCTETS, RegistryClient
from remotes.errors import (
    RemoteError,
    RemoteInvalid,
    RemoteNotFound,
    RemoteRateLimited,
    RemoteRefused,
    RemoteUnavailable,
)
from remotes.failures import expect
from remotes.grammar import check_digest, check_repository
from remotes.http import LONGEST_WAIT, Reply

Source = Callable[[int], Iterator[bytes]]
Progress = Callable[[int], None]

TRIES = 5  # without the registry having taken anything in between
PATIENCE = 600.0  # seconds a registry may take to put a blob together


def blob_push(
    client: RegistryClient,
    repository: str,
    digest: str,
    size: int,
    source: Source,
    *,
    mount_from: str = "",
    chunk: int = 0,
    progress: Progress = lambda _sent: None,
) -> bool:
    """The registry has the blob in `repository`. False when it was mounted from `mount_from`: no byte was sent.

    `source(offset)` gives the bytes from there on; what it raises ends the push. `chunk` is the most one request
    carries, 0 for everything at once. `progress` is told how many bytes are on their way; what it raises ends the push.
    Any RemoteError; those that another try may heal after TRIES without progress.
    """
    upload = _Upload(client, repository, digest, size, source, chunk, progress)
    if upload.begin(mount_from):
        return False
    upload.run()
    return True


class _Upload:
    """One blob on its way."""

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        digest: str,
        size: int,
        source: Source,
        chunk: int,
        progress: Progress,
    ) -> None:
        self._client = client
        self._start = f"/v2/{check_repository(repository)}/blobs/uploads/"
        self._repository = repository
        self._digest = check_digest(digest)
        self._size = size
        self._source = source
        self._chunk = chunk
        self._progress = progress
        self._scopes: tuple[str, ...] = (f"repository:{repository}:pull,push",)
        self._location = ""
        self._offset = 0
        self._broken: RemoteError | None = None

    def begin(self, mount_from: str = "") -> bool:
        """There is a session with nothing in it, or True: the blob was there already and is now here."""
        path = self._start
        scopes = self._scopes
        if mount_from:
            path += "?" + urlencode({"mount": self._digest, "from": check_repository(mount_from)})
            scopes = (*scopes, f"repository:{mount_from}:pull")
        reply = expect(self._client.ask("POST", path, scopes), 201, 202)
        if reply.status == 201:
            return True
        self._offset = 0
        self._located(reply)
        return False

    def run(self) -> None:
        """All bytes are there, under their digest."""
        tries, furthest = 0, 0
        while True:
            try:
                while self._offset < self._size:
                    self._append()
                self._finish()
            except RemoteError as error:
                tries = 1 if self._offset > furthest else tries + 1
                furthest = max(furthest, self._offset)
                if error is self._broken or tries > TRIES or not _may_go_on(error):
                    raise
                self._client.http.pause(tries, error.retry_after or 0.0)
            else:
                return
            if self._catch_up():
                return

    def _append(self) -> None:
        """One request with the bytes from the offset on."""
        offset, length = self._offset, self._size - self._offset
        if self._chunk:
            length = min(length, self._chunk)
        headers = {**OCTETS}
        if offset or self._chunk:
            headers["Content-Range"] = f"{offset}-{offset + length - 1}"
        stream = self._client.open(
            "PATCH",
            self._location,
            self._scopes,
            headers=headers,
            body=lambda: self._bytes(offset, length),
            length=length,
            patience=PATIENCE,
        )
        with stream:
            reply = expect(stream.reply(), 202)
        self._located(reply)
        self._offset = _reached(reply, offset + length)
        if self._offset <= offset or self._offset > offset + length:
            raise RemoteInvalid("the other registry loses count of an upload")

    def _bytes(self, offset: int, length: int) -> Iterator[bytes]:
        """From the source, exactly so many. What it raises is kept, to be told from what the destination does."""
        left = length
        try:
            for chunk in self._source(offset):
                part = chunk[:left]
                yield part
                left -= len(part)
                self._progress(offset + length - left)
                if not left:
                    return
            raise RemoteInvalid(f"the source of {self._digest} ends before its {self._size} bytes")
        except RemoteError as error:
            self._broken = error
            raise

    def _finish(self) -> None:
        mark = "&" if urlsplit(self._location).query else "?"
        path = f"{self._location}{mark}{urlencode({'digest': self._digest})}"
        with self._client.open("PUT", path, self._scopes, headers=OCTETS, patience=PATIENCE) as stream:
            reply = stream.reply()
        expect(reply, 201)
        if reply.headers.get("Docker-Content-Digest", self._digest) != self._digest:
            raise RemoteInvalid(f"the other registry took {self._digest} for something else")

    def _catch_up(self) -> bool:
        """The offset is the registry's; a session that it does not know, or won't let go on, is begun anew.

        True when the whole blob is there: the session ended well, and only the answer was lost.
        """
        reply = self._client.ask("GET", self._location, self._scopes)
        if reply.status in (200, 204):
            self._offset = min(_reached(reply, 0), self._size)
            if "Location" in reply.headers:
                self._located(reply)
            return self.begin() if self._offset == 0 else False
        if self._offset == self._size and self._client.blob_head(self._repository, self._digest):
            return True
        return self.begin()

    def _located(self, reply: Reply) -> None:
        location = reply.headers.get("Location")
        if not location:
            raise RemoteInvalid("the other registry does not say where an upload goes on")
        self._location = self._client.located(reply.url, location)


def _may_go_on(error: RemoteError) -> bool:
    """It did not answer, or lost the session (404), or has another offset than ours (416); no other no."""
    if isinstance(error, RemoteRateLimited):
        return (error.retry_after or 0.0) <= LONGEST_WAIT
    is_lost = error.answer in (409, 416) or "BLOB_UPLOAD_INVALID" in error.codes
    return isinstance(error, RemoteUnavailable | RemoteNotFound) or (isinstance(error, RemoteRefused) and is_lost)


def _reached(reply: Reply, otherwise: int) -> int:
    """How many bytes the registry has, by the Range of its answer; `0-0` is its word for one and for none, so none."""
    first, _, last = reply.headers.get("Range", "").removeprefix("bytes=").partition("-")
    if first != "0" or not last.isdecimal() or len(last) > 18:
        return otherwise
    return int(last) + 1 if int(last) else otherwise
