"""Blobs on the wire (spec end-2, end-10)."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from harborlite.database.base import release
from harborlite.errors import BlobUnknown
from harborlite.http import file_response
from registry import queries
from registry.oci import ranges
from registry.oci.digest import Digest
from registry.queries import FoundBlob
from registry.services import blobs
from registry.v2.base import V2View, has_it


class BlobDetail(V2View):
    needs = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}

    def head(self, request: HttpRequest, name: str, digest: str) -> HttpResponse:
        found = self._found(digest)
        blobs.lease_renew(found=found)
        return HttpResponse(headers={**_headers(found), "Content-Length": str(found.size)})

    def get(self, request: HttpRequest, name: str, digest: str) -> HttpResponseBase:
        found = self._found(digest)
        blobs.lease_renew(found=found)
        release()
        if location := blobs.blob_location(storage_key=found.storage_key):
            return HttpResponse(
                status=HTTPStatus.TEMPORARY_REDIRECT,
                headers={"Location": location, "Docker-Content-Digest": found.digest},
            )
        if has_it(request, found.digest):
            return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=_headers(found))
        start, length = ranges.parse_range(request.META.get("HTTP_RANGE", ""), found.size) or (0, found.size)
        stored = blobs.blob_send(storage_key=found.storage_key, start=start, length=length)
        return file_response(request, stored, start=start, length=length, total=found.size, headers=_headers(found))

    def delete(self, request: HttpRequest, name: str, digest: str) -> HttpResponse:
        blobs.blob_unlink(repository_id=self.repository_id(), digest=Digest.parse(digest))
        return HttpResponse(status=HTTPStatus.ACCEPTED, headers={"Content-Length": "0"})

    def _found(self, text: str) -> FoundBlob:
        found = queries.blob_find(self.repository_id(), Digest.parse(text))
        if found is None:
            raise BlobUnknown(detail={"digest": text})
        return found


def _headers(found: FoundBlob) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": found.digest,
        "ETag": f'"{found.digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }
