"""Referrers: the manifests whose subject is a given digest (spec "Listing Referrers", end-12a, end-12b)."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from harborlite.errors import BadRequest
from registry import queries
from registry.models import Manifest
from registry.oci.digest import Digest
from registry.oci.media_types import OCI_INDEX
from registry.v2.base import V2View

PAGE = 1000  # descriptors
PAGE_BYTES = 3 * 1024 * 1024  # of manifests: what is said of one here is shorter, and clients read at most 4 MiB


class ReferrerList(V2View):
    needs = {"GET": "pull", "HEAD": "pull"}

    def get(self, request: HttpRequest, name: str, digest: str) -> HttpResponse:
        subject = Digest.parse(digest)
        artifact_type = request.GET.get("artifactType")
        after = request.GET.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):  # digits of 2^63
            raise BadRequest("after must be a number from this server's own Link header")
        if "\x00" in (artifact_type or ""):
            raise BadRequest("artifactType holds a NUL character")
        rows, has_more = self._page(subject, artifact_type, int(after))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(row) for row in rows]}
        content = json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode()
        response = HttpResponse(content, content_type=OCI_INDEX)
        if artifact_type is not None:
            response["OCI-Filters-Applied"] = "artifactType"
        if has_more:
            query = {"after": rows[-1].pk, **({"artifactType": artifact_type} if artifact_type is not None else {})}
            response["Link"] = f'</v2/{name}/referrers/{subject}?{urlencode(query)}>; rel="next"'
        return response

    def _page(self, subject: Digest, artifact_type: str | None, after: int) -> tuple[Sequence[Manifest], bool]:
        """An unknown repository has no referrers, as the spec wants it."""
        if self.target.repository_id is None:
            return [], False
        return queries.referrers_page(
            self.target.repository_id,
            subject,
            artifact_type=artifact_type,
            after=after,
            limit=PAGE,
            max_bytes=PAGE_BYTES,
        )


def _descriptor(row: Manifest) -> dict[str, object]:
    """The spec's descriptor; artifactType is left out when the manifest has none (C-65)."""
    descriptor: dict[str, object] = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type:
        descriptor["artifactType"] = row.artifact_type
    if row.annotations:
        descriptor["annotations"] = row.annotations
    return descriptor
