"""What the S3 store is built from: the client's errors in our words, a multipart upload, a stream that goes on."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from harborlite.errors import StorageFull, Unavailable
from registry.blobstore import NotThere

FLYING = 2  # parts on their way while one is received
LARGE = 64 << 20  # bytes; of such parts, one at a time
RESUMED = 5  # times that a download whose connection broke goes on
BLOCK = 1 << 20  # bytes
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound", "InvalidPart"})
_FULL = frozenset({"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})


def code_of(error: ClientError) -> str:
    """S3's name of the error; the HTTP status where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(key: str) -> Iterator[None]:
    """The client's errors, in the product's words: NotThere, StorageFull, Unavailable."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in _MISSING:
            raise NotThere(key) from error
        if code_of(error) in _FULL:
            raise StorageFull from error
        raise Unavailable("the object store refused; try again later") from error
    except (BotoCoreError, HTTPError) as error:
        raise Unavailable("the object store does not answer; try again later") from error


class Multipart:
    """A multipart upload of the object `name`. What is sent travels on two threads while the caller goes on.

    It starts with the first part. Left by an error, it is aborted and its parts are gone.
    """

    def __init__(self, client: Any, bucket: str, name: str, *, key: str, content_type: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": name}
        self._key = key
        self._content_type = content_type
        self._pool = ThreadPoolExecutor(FLYING)
        self._flying: deque[Future[str]] = deque()
        self._etags: list[str] = []
        self.upload = ""
        """Its id at the store."""

    @property
    def is_started(self) -> bool:
        return bool(self.upload)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        if kind is not None and self.is_started:
            with suppress(ClientError, BotoCoreError, HTTPError):
                self._client.abort_multipart_upload(**self._where, UploadId=self.upload)

    def start(self) -> str:
        """The upload exists; returns its id."""
        with translated(self._key):
            answer = self._client.create_multipart_upload(**self._where, ContentType=self._content_type)
        self.upload = str(answer["UploadId"])
        return self.upload

    def send(self, body: bytes | bytearray) -> None:
        """`body` is on its way as the next part. An error of an earlier one is raised here, or by finish()."""
        if not self.is_started:
            self.start()
        while len(self._flying) >= (FLYING if len(body) < LARGE else 1):
            self._etags.append(self._flying.popleft().result())
        number = len(self._etags) + len(self._flying) + 1
        self._flying.append(self._pool.submit(self._send, number, body))

    def _send(self, number: int, body: bytes | bytearray) -> str:
        with translated(self._key):
            answer = self._client.upload_part(**self._where, UploadId=self.upload, PartNumber=number, Body=body)
        return str(answer["ETag"])

    def finish(self) -> tuple[str, ...]:
        """All parts that were sent have arrived; returns the marks they are known by."""
        while self._flying:
            self._etags.append(self._flying.popleft().result())
        return tuple(self._etags)

    def copy(self, upload: str, number: int, source: str, first: int, end: int) -> str:
        """Bytes `first` up to `end` of the object `source` are part `number` of `upload`; returns its mark."""
        with translated(self._key):
            answer = self._client.upload_part_copy(
                **self._where,
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": self._where["Bucket"], "Key": source},
                CopySourceRange=f"bytes={first}-{end - 1}",
            )
        return str(answer["CopyPartResult"]["ETag"])

    def complete(self, upload: str, etags: Sequence[str]) -> None:
        """The object is there, if the store says the truth. The client takes 200 with an error in it for the error."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        with translated(self._key):
            self._client.complete_multipart_upload(**self._where, UploadId=upload, MultipartUpload={"Parts": parts})


class Stream(io.RawIOBase):
    """The bytes of the object `name` from `start` on, at most `length`. A broken connection is taken up where it ended.

    NotThere when there is no object; no bytes when it ends before `start`.
    """

    def __init__(
        self, client: Any, bucket: str, name: str, *, key: str, start: int = 0, length: int | None = None
    ) -> None:
        super().__init__()
        self._client = client
        self._where = {"Bucket": bucket, "Key": name}
        self._key = key
        self._next = start
        self._end = None if length is None else start + length
        self._resumed = 0
        self._body: Any = None
        self._connect()

    def _connect(self) -> None:
        """The body of an answer that starts at the next byte; the object must be the one it was."""
        wanted = {"Range": f"bytes={self._next}-"} if self._next or self._end is not None else {}
        if self._end is not None:
            wanted["Range"] += str(max(self._end - 1, self._next))  # no range is empty: of none, the first is asked for
        with translated(self._key):
            try:
                answer = self._client.get_object(**self._where, **wanted)
            except ClientError as error:
                if code_of(error) not in ("InvalidRange", "416"):
                    raise
                self._end = self._next
                return
        is_range = answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        if wanted and not is_range:
            answer["Body"].close()
            raise Unavailable("the object store does not answer with ranges")
        if self._end != self._next:
            self._end = self._next + answer["ContentLength"]
        self._where["IfMatch"] = answer["ETag"]
        self._body = answer["Body"]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; Unavailable when the store stops answering, also after attempts to go on."""
        if size < 0:
            return self.readall()
        while self._end is not None and (wanted := min(size, self._end - self._next)) > 0:
            try:
                data = bytes(self._body.read(wanted))
            except (BotoCoreError, HTTPError, OSError) as error:
                data, cause = b"", error
            else:
                cause = None
            if data:
                self._next += len(data)
                return data
            self._resume(cause)
        return b""

    def _resume(self, cause: Exception | None) -> None:
        self._resumed += 1
        self._body.close()
        if self._resumed > RESUMED:
            raise Unavailable("the object store breaks off its answers") from cause
        self._connect()

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(BLOCK), b""))

    def close(self) -> None:
        if not self.closed and self._body is not None:
            self._body.close()
        super().close()
