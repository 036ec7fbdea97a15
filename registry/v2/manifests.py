"""Manifests on the wire (spec end-3, end-7, end-9)."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from harborlite import origin
from harborlite.errors import BadRequest, DigestInvalid, ManifestTooLarge, ManifestUnknown
from harborlite.http import Body
from registry import queries
from registry.oci import manifest as oci_manifest
from registry.oci import names
from registry.oci.digest import Digest
from registry.services import manifests, repositories, tags
from registry.v2 import hot
from registry.v2.base import V2View, has_it
from system.events import Artifact, pulled

MAX_BYTES = 4 * 1024 * 1024
MAX_TAGS = 32


class ManifestDetail(V2View):
    needs = {"GET": "pull", "HEAD": "pull", "PUT": "push", "DELETE": "delete"}

    def get(self, request: HttpRequest, name: str, reference: str) -> HttpResponse:
        found = queries.manifest_resolve(self.repository_id(), names.parse_reference(reference))
        if found is None:
            raise ManifestUnknown(detail={"reference": reference})
        manifests.manifest_lease_renew(found=found)
        headers = {"Docker-Content-Digest": found.digest, "ETag": f'"{found.digest}"'}
        if has_it(request, found.digest):
            return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        artifact = Artifact(
            self.project().pk, self.repository_id(), found.manifest_id, self.full_name(), reference, found.digest
        )
        request.META[hot.NOTE] = hot.Note(self.caller, self.target, found, artifact)
        if request.method == "GET":
            come = origin.current()
            pulled(artifact, come.actor, come.address, come.request_id)
        headers |= {"Content-Type": found.media_type, "Content-Length": str(len(found.content))}
        return HttpResponse(b"" if request.method == "HEAD" else found.content, headers=headers)

    head = get

    def put(self, request: HttpRequest, name: str, reference: str) -> HttpResponse:
        target = names.parse_reference(reference)
        wanted = _tags_of(request, target)
        content = Body(request).read_all(MAX_BYTES, ManifestTooLarge)
        digest = Digest.of(content, target.algorithm if isinstance(target, Digest) else "sha256")
        if isinstance(target, Digest) and digest != target:
            raise DigestInvalid(detail={"provided": str(target), "computed": str(digest)})
        parsed = oci_manifest.parse(content, request.META.get("CONTENT_TYPE", ""))
        manifests.manifest_put(
            project_id=self.project().pk,
            repository_id=self.target.repository_id
            or repositories.repository_ensure(project=self.project(), path=self.target.path),
            name=self.full_name(),
            content=content,
            digest=digest,
            parsed=parsed,
            names=wanted,
            actor=self.caller.actor.username,
            actor_id=self.caller.actor.user_id,
        )
        self.warn_of_quota()
        headers = {
            "Location": f"/v2/{name}/manifests/{digest}",
            "Docker-Content-Digest": str(digest),
            "Content-Length": "0",
        }
        if parsed.subject:
            headers["OCI-Subject"] = str(parsed.subject.digest)
        if isinstance(target, Digest) and wanted:
            headers["OCI-Tag"] = ", ".join(wanted)
        return HttpResponse(status=HTTPStatus.CREATED, headers=headers)

    def delete(self, request: HttpRequest, name: str, reference: str) -> HttpResponse:
        target, actor = names.parse_reference(reference), self.caller.actor.username
        if isinstance(target, Digest):
            manifests.manifest_delete(
                project_id=self.project().pk,
                repository_id=self.repository_id(),
                name=self.full_name(),
                digest=target,
                actor=actor,
            )
        else:
            tags.tag_delete(repository_id=self.repository_id(), name=target, actor=actor)
        return HttpResponse(status=HTTPStatus.ACCEPTED, headers={"Content-Length": "0"})

    def full_name(self) -> str:
        """The repository's present name, with its project's before it."""
        return f"{self.project().name}/{self.target.path}"


def _tags_of(request: HttpRequest, target: str | Digest) -> list[str]:
    """The tags a push asks for: the one in the path, or the `tag` parameters of a push by digest (spec end-7)."""
    if not isinstance(target, Digest):
        return [target]
    asked = list(dict.fromkeys(request.GET.getlist("tag")))
    if len(asked) > MAX_TAGS:
        raise BadRequest(f"at most {MAX_TAGS} tags at a time")
    return [names.check_tag(tag) for tag in asked]
