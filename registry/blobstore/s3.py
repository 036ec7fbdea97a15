"""Blobs in an S3-compatible object store, over django-storages' client.

What a list of parts looks like, `<` being less than one part's size:

    []                              nothing yet
    [tail<]                         a small object; the next write reads it and goes on from it
    [run]                           parts 1, 2, ... of a multipart upload of the blob itself
    [run, object, ..., tail<]       what later writes added, each as an object of its own

Only the write that opened a multipart upload sends parts to it: two writers that went on with one upload would
overwrite each other's part of the same number. So a large blob that arrives in one request is never copied, and what
came in later requests is copied inside the store, when it is committed.
"""

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from harborlite.errors import Unavailable
from harborlite.faults import fault
from registry.blobstore import Entry, NotThere, Part, checked, checked_range
from registry.blobstore.s3calls import Multipart, Stream, code_of, translated

PART = 8 << 20  # bytes; a store refuses less than 5 MiB, except for the last part
PARTS = 1300  # an upload's offset divided by this is the least size of the part there: then 10,000 make over 5 TiB
COPY = 256 << 20  # bytes that the store is asked to copy at a time, at least
MOST = 5 << 30  # bytes; the most it copies at a time
PAGE = 1000  # entries of a listing at a time
CONTENT_TYPE = "application/octet-stream"
APPEARING = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between looks for what another call is about to have finished
logger = logging.getLogger(__name__)


class Leftover(NamedTuple):
    """An object, or a multipart upload of one, that is not committed."""

    name: str
    upload: str | None = None


class S3Blobstore:
    """Keeps blobs in the bucket of `storage`, made when it is first written to and not there.

    With `redirect`, clients get presigned addresses, under the endpoint of `public` when it is given.
    """

    def __init__(
        self, storage: S3Storage, *, public: S3Storage | None = None, redirect: bool = False, part_size: int = PART
    ) -> None:
        # A client may be shared by threads, what django-storages makes for each thread is dear.
        self._client: Any = storage.connection.meta.client
        self._signer: Any = public.connection.meta.client if public else self._client
        self._bucket: str = storage.bucket_name
        self._prefix: str = f"{storage.location.strip('/')}/" if storage.location.strip("/") else ""
        self._expire: int = storage.querystring_expire
        self._redirect = redirect
        self._least = part_size
        self._is_ready = False

    def write(self, key: str, parts: Sequence[Part], chunks: Iterable[bytes]) -> list[Part]:
        checked(key)
        kept, rest = list(parts), iter(chunks)
        first = next(filter(len, rest), None)
        if first is None:
            return kept
        self._ready()
        offset, carried = sum(part.size for part in kept), b""
        if kept and self._is_tail(kept[-1], offset):
            tail = kept.pop()
            offset -= tail.size
            carried = self._read(key, tail)
        return [*kept, *self._send(key, offset, chain((carried, first), rest), is_run=not kept)]

    def commit(self, key: str, parts: Sequence[Part]) -> None:
        checked(key)
        self._ready()
        total = sum(part.size for part in parts)
        with ThreadPoolExecutor(1) as pool:
            listing = pool.submit(self._leftovers, key)
            try:
                self._assemble(key, parts)
            except NotThere:  # an earlier or a faster call may have been here
                if not self._appears(key, total):
                    raise
            stored = self.size(key)
            if stored != total:
                # An object that is wrong must not stay where nobody would look for it.
                self.delete(key)
                raise Unavailable(f"the object store holds {stored} of {total} bytes; try again")
            fault("commit.after_rename")
            try:
                own = {part.name for part in parts if part.etags}
                objects = {Leftover(self._part(key, part.name)) for part in parts if not part.etags}
                self._remove(key, objects | {each for each in listing.result() if each.upload not in own})
            except Unavailable:
                logger.warning("leftovers of the committed upload %s could not be removed", key, exc_info=True)

    def _appears(self, key: str, total: int) -> bool:
        """Whether the object is there, or is in a moment: a faster call's parts are gone before its object is seen."""
        for pause in APPEARING:
            if self.size(key) == total:
                return True
            time.sleep(pause)
        return self.size(key) == total

    def abort(self, key: str) -> None:
        self._remove(key, set(self._leftovers(key)))

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        checked_range(start, length)
        stream = Stream(self._client, self._bucket, self._blob(key), key=key, start=start, length=length)
        return cast("BinaryIO", stream)

    def size(self, key: str) -> int | None:
        try:
            with translated(key):
                found = self._client.head_object(Bucket=self._bucket, Key=self._blob(key))
        except NotThere:
            return None
        return int(found["ContentLength"])

    def url(self, key: str, *, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        name = self._blob(key)
        if not self._redirect:
            return None
        operation = "head_object" if method == "HEAD" else "get_object"
        with translated(key):
            return str(
                self._signer.generate_presigned_url(
                    operation, Params={"Bucket": self._bucket, "Key": name}, ExpiresIn=self._expire
                )
            )

    def delete(self, key: str) -> None:
        self._remove(key, {Leftover(self._blob(key))})

    def keys(self) -> Iterator[Entry]:
        for found in self._pages("list_objects_v2", "Contents", f"{self._prefix}blobs/"):
            key = found["Key"].rpartition("/")[2]
            if _is_key(key) and found["Key"] == self._blob(key):
                yield Entry(key, found["Size"], found["LastModified"])

    def uploads(self) -> Iterator[str]:
        seen: set[str] = set()
        objects = self._pages("list_objects_v2", "Contents", f"{self._prefix}uploads/")
        for found in chain(objects, self._pages("list_multipart_uploads", "Uploads", self._prefix)):
            # uploads/<key>/<random> or blobs/<key[:2]>/<key>
            steps = found["Key"].removeprefix(self._prefix).split("/")
            key = steps[1] if steps[0] == "uploads" else steps[-1]
            if _is_key(key) and key not in seen:
                seen.add(key)
                yield key

    def check(self) -> None:
        self._ready()
        self._put("", f"{self._prefix}probe", b"probe")

    def _blob(self, key: str) -> str:
        return f"{self._prefix}blobs/{checked(key)[:2]}/{key}"

    def _part(self, key: str, name: str) -> str:
        return f"{self._prefix}uploads/{checked(key)}/{name}"

    def _part_size(self, offset: int) -> int:
        """How long a part that starts at `offset` is, if it is not the last."""
        return max(self._least, offset // PARTS)

    def _is_tail(self, part: Part, end: int) -> bool:
        return not part.etags and part.size < self._part_size(end - part.size)

    def _ready(self) -> None:
        """The bucket exists. No lock: while the store does not answer, nobody waits for another's attempt."""
        if self._is_ready:
            return
        with translated(""):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if code_of(error) == "404":
                    self._create_bucket()
                elif code_of(error) != "403":  # it may be hidden from who may write to it
                    raise
        self._is_ready = True

    def _create_bucket(self) -> None:
        region = self._client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._client.create_bucket(Bucket=self._bucket, **where)
        except ClientError as error:
            if code_of(error) != "BucketAlreadyOwnedByYou":  # another process was faster
                raise

    def _multipart(self, key: str, name: str) -> Multipart:
        return Multipart(self._client, self._bucket, name, key=key, content_type=CONTENT_TYPE)

    def _put(self, key: str, name: str, body: bytes | bytearray) -> None:
        with translated(key):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=body, ContentType=CONTENT_TYPE)

    def _read(self, key: str, tail: Part) -> bytes:
        stream = Stream(self._client, self._bucket, self._part(key, tail.name), key=key)
        with stream:
            data = stream.readall()
        if len(data) != tail.size:
            raise NotThere(key)
        return data

    def _send(self, key: str, offset: int, chunks: Iterable[bytes], *, is_run: bool) -> list[Part]:
        """The parts that `chunks` became: one object, or with `is_run` a run, once there is enough, and a tail."""
        name = secrets.token_hex(8)
        own = self._part(key, name)
        sent, buffer = 0, bytearray()
        with self._multipart(key, self._blob(key) if is_run else own) as multipart:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    room = self._part_size(offset + sent) - len(buffer)
                    buffer += view[:room]
                    if len(view) >= room:
                        multipart.send(buffer)
                        sent, buffer = sent + len(buffer), bytearray()
                    view = view[room:]
                fault("upload.mid_body")
            if multipart.is_started and not is_run:
                if buffer:
                    multipart.send(buffer)
                multipart.complete(multipart.upload, multipart.finish())
                return [Part(name, sent + len(buffer))]
            run = [Part(multipart.upload, sent, multipart.finish())] if sent else []
            if buffer:  # last: when anything fails, there is no such object
                self._put(key, own, buffer)
            return [*run, Part(name, len(buffer))] if buffer else run

    def _assemble(self, key: str, parts: Sequence[Part]) -> None:
        """The blob's object is made of `parts`; NotThere when some are gone, or the upload is complete already."""
        target = self._blob(key)
        if not parts:
            fault("commit.after_fsync")
            self._put(key, target, b"")
            return
        if len(parts) == 1 and not parts[0].etags and parts[0].size <= MOST:
            fault("commit.after_fsync")
            source = {"Bucket": self._bucket, "Key": self._part(key, parts[0].name)}
            with translated(key):
                self._client.copy_object(Bucket=self._bucket, Key=target, CopySource=source)
            return
        multipart = self._multipart(key, target)
        run = parts[0] if parts[0].etags else None
        upload = run.name if run else multipart.start()
        etags = list(run.etags) if run else []
        pieces = list(self._pieces(key, parts))
        with ThreadPoolExecutor(2) as pool:
            numbers = range(len(etags) + 1, len(etags) + len(pieces) + 1)
            etags += pool.map(lambda number, piece: multipart.copy(upload, number, *piece), numbers, pieces)
        fault("commit.after_fsync")
        multipart.complete(upload, etags)

    def _pieces(self, key: str, parts: Sequence[Part]) -> Iterator[tuple[str, int, int]]:
        """What is to be copied behind the run: name of the object, first byte, byte after the last."""
        offset = 0
        for part in parts:
            if not part.etags:
                limit = max(COPY, self._part_size(offset))
                count = max(1, part.size // limit, -(-part.size // MOST))
                for i in range(count):
                    yield self._part(key, part.name), i * part.size // count, (i + 1) * part.size // count
            offset += part.size

    def _leftovers(self, key: str) -> list[Leftover]:
        target, folder = self._blob(key), self._part(key, "")
        found = [Leftover(each["Key"]) for each in self._pages("list_objects_v2", "Contents", folder)]
        for prefix in (target, folder):
            uploads = self._pages("list_multipart_uploads", "Uploads", prefix)
            found += [Leftover(each["Key"], each["UploadId"]) for each in uploads if each["Key"].startswith(prefix)]
        return found

    def _remove(self, key: str, leftovers: set[Leftover]) -> None:
        for name, upload in leftovers:
            where = {"Bucket": self._bucket, "Key": name}
            try:
                with translated(key):
                    if upload is None:
                        self._client.delete_object(**where)
                    else:
                        self._client.abort_multipart_upload(**where, UploadId=upload)
            except NotThere:
                continue

    def _pages(self, operation: str, field: str, prefix: str) -> Iterator[Any]:
        self._ready()
        listing = self._client.get_paginator(operation)
        pages = iter(listing.paginate(Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE}))
        while True:
            try:
                with translated(""):
                    page = next(pages, None)
            except NotThere:
                return
            if page is None:
                return
            yield from page.get(field, ())


def _is_key(text: str) -> bool:
    try:
        return bool(checked(text))
    except ValueError:
        return False
