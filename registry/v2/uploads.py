"""Upload sessions on the wire (spec "Pushing blobs", end-4a..end-6, end-11, end-13, end-14)."""

import uuid
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from harborlite.errors import BlobUploadUnknown, DigestInvalid, SizeInvalid
from harborlite.http import Body
from projects import rbac
from registry import access, queries, routing
from registry.models import Upload
from registry.oci import ranges
from registry.oci.digest import ALGORITHMS, Digest
from registry.quota import Room, room_of
from registry.services import blobs, repositories, uploads
from registry.services.uploads import Content
from registry.v2.base import V2View


def blob_created(name: str, digest: Digest) -> HttpResponse:
    """201: the blob can be pulled from Location at once."""
    return HttpResponse(
        status=HTTPStatus.CREATED,
        headers={
            "Location": f"/v2/{name}/blobs/{digest}",
            "Docker-Content-Digest": str(digest),
            "Content-Length": "0",
        },
    )


def session(name: str, upload: Upload, status: HTTPStatus) -> HttpResponse:
    """Where the session continues; Range ends with the last byte held, and is 0-0 when there is none (C-24)."""
    response = HttpResponse(
        status=status,
        headers={
            "Location": f"/v2/{name}/blobs/uploads/{upload.pk}",
            "Docker-Upload-UUID": str(upload.pk),
            "Range": f"0-{max(upload.size - 1, 0)}",
        },
    )
    if status != HTTPStatus.NO_CONTENT:
        response["Content-Length"] = "0"
    return response


class UploadView(V2View):
    """What both views of upload sessions do."""

    def room(self, digest: Digest | None = None) -> Room | None:
        return room_of(self.project(), self.target.limit, digest)

    def finish(self, upload: Upload, digest: Digest) -> None:
        """The upload, with this request's body behind it, is the blob `digest`."""
        body = Body(self.request)
        content = None if body.declared == 0 else _content(self.request, body)
        uploads.upload_finish(upload=upload, digest=digest, content=content, room=self.room(digest))
        self.warn_of_quota()


class UploadList(UploadView):
    needs = {"POST": "push"}

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        digest = Digest.parse(request.GET["digest"]) if "digest" in request.GET else None
        mount = Digest.parse(request.GET["mount"]) if "mount" in request.GET else None
        algorithm = request.GET.get("digest-algorithm", digest.algorithm if digest else "sha256")
        if algorithm not in ALGORITHMS:
            raise DigestInvalid(f"digest-algorithm must be one of {', '.join(ALGORITHMS)}")
        repository_id = self.target.repository_id or repositories.repository_ensure(
            project=self.project(), path=self.target.path
        )
        if mount is not None and self._mount(repository_id, mount):
            return blob_created(name, mount)
        upload = uploads.upload_start(
            repository_id=repository_id, actor=self.caller.actor.username, algorithm=algorithm
        )
        if digest is None:
            return session(name, upload, HTTPStatus.ACCEPTED)
        self.finish(upload, digest)
        return blob_created(name, digest)

    def _mount(self, repository_id: int, digest: Digest) -> bool:
        """Whether the blob was found where the caller may read it, and is in this repository now (C-40..C-42)."""
        actor = self.caller.actor
        if "from" in self.request.GET:
            source = routing.try_resolve(self.request.GET["from"])
            if source is None or not access.may_pull(actor, source):
                return False
            found = queries.blob_find(source.repository_id, digest)
        else:
            found = queries.blob_find_anywhere(rbac.projects_allowing(actor, access.ACTIONS["pull"]), digest)
        if found is None or not blobs.blob_mount(repository_id=repository_id, blob_id=found.blob_id):
            return False
        self.warn_of_quota()
        return True

    def scopes(self, request: HttpRequest, name: str | None) -> list[str]:
        wanted = super().scopes(request, name)
        source = request.GET.get("from")
        return [*wanted, f"repository:{source}:pull"] if source and routing.is_name(source) else wanted


class UploadDetail(UploadView):
    needs = {"GET": "push", "HEAD": "push", "PATCH": "push", "PUT": "push", "DELETE": "push"}

    def get(self, request: HttpRequest, name: str, upload_id: object) -> HttpResponse:
        return session(name, self._upload(upload_id), HTTPStatus.NO_CONTENT)

    def patch(self, request: HttpRequest, name: str, upload_id: object) -> HttpResponse:
        upload = self._upload(upload_id)
        content = _content(request, Body(request))
        upload = uploads.upload_append(upload=upload, content=content, room=self.room())
        return session(name, upload, HTTPStatus.ACCEPTED)

    def put(self, request: HttpRequest, name: str, upload_id: object) -> HttpResponse:
        upload = self._upload(upload_id)
        digest = Digest.parse(request.GET.get("digest", ""))
        self.finish(upload, digest)
        return blob_created(name, digest)

    def delete(self, request: HttpRequest, name: str, upload_id: object) -> HttpResponse:
        uploads.upload_cancel(upload=self._upload(upload_id))
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    def _upload(self, upload_id: object) -> Upload:
        if not isinstance(upload_id, uuid.UUID):
            raise BlobUploadUnknown()
        return uploads.upload_get(repository_id=self.target.repository_id, upload_id=upload_id)


def _content(request: HttpRequest, body: Body) -> Content:
    """The body with what its headers promise: where it starts and how long it is (spec end-5, C-23)."""
    header = request.META.get("HTTP_CONTENT_RANGE")
    if header is None:
        return Content(body, length=body.declared)
    start, end = ranges.parse_content_range(header)
    length = end - start + 1
    if body.declared is not None and body.declared != length:
        raise SizeInvalid(f"Content-Range names {length} bytes, Content-Length {body.declared}")
    return Content(body, start=start, length=length)
