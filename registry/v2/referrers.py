"""Referrers: the manifests whose subject is a given digest (spec "Listing Referrers", end-12a, end-12b)."""

import json
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from harborlite.errors import BadRequest
from registry import queries
from registry.models import Manifest
from registry.oci.digest import Digest
from registry.oci.media_types import OCI_INDEX
from registry.v2.base import V2View

PAGE = 1000  # descriptors
PAGE_BYTES = 3 * 1024 * 1024  # of annotations mostly: clients read at most 4 MiB


class ReferrerList(V2View):
    needs = {"GET": "pull", "HEAD": "pull"}

    def get(self, request: HttpRequest, name: str, digest: str) -> HttpResponse:
        subject = Digest.parse(digest)
        artifact_type = request.GET.get("artifactType")
        after = request.GET.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):  # digits of 2^63
            raise BadRequest("after must be a number from this server's own Link header")
        descriptors, last = self._descriptors(subject, artifact_type, int(after))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        response = HttpResponse(json.dumps(index), content_type=OCI_INDEX)
        if artifact_type is not None:
            response["OCI-Filters-Applied"] = "artifactType"
        if last is not None:
            query = {"after": last, **({"artifactType": artifact_type} if artifact_type is not None else {})}
            response["Link"] = f'</v2/{name}/referrers/{subject}?{urlencode(query)}>; rel="next"'
        return response

    def _descriptors(self, subject: Digest, artifact_type: str | None, after: int) -> tuple[list[object], int | None]:
        """A page, and the last id on it when there are more. An unknown repository has none, as the spec wants it."""
        if self.target.repository_id is None:
            return [], None
        rows = queries.referrers_page(
            self.target.repository_id, subject, artifact_type=artifact_type, after=after, limit=PAGE + 1
        )
        page: list[object] = []
        size = 0
        for number, row in enumerate(rows):
            descriptor = _descriptor(row)
            size += len(json.dumps(descriptor))
            if number == PAGE or (page and size > PAGE_BYTES):
                return page, rows[number - 1].pk
            page.append(descriptor)
        return page, None


def _descriptor(row: Manifest) -> dict[str, object]:
    """The spec's descriptor; artifactType is left out when the manifest has none (C-65)."""
    descriptor: dict[str, object] = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type:
        descriptor["artifactType"] = row.artifact_type
    if row.annotations:
        descriptor["annotations"] = row.annotations
    return descriptor
