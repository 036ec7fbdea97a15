"""What is attached to an artifact: signatures, SBOMs and whatever else names it as its subject."""

from django.http import HttpRequest, HttpResponse

from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from registry import artifacts
from registry.api.artifact_out import AccessoryOut
from registry.api.base import ArtifactView

LISTING = Listing(
    {
        "id": Field("pk", Number),
        "artifact_id": Field("pk", Number),
        "type": Field("accessory_type"),
        "digest": Field("digest"),
        "size": Field("artifact_size", Number),
        "creation_time": Field("pushed_at", MomentKind),
    },
    default="-creation_time",
)


class AccessoryList(ArtifactView):
    needs = {"GET": "accessory:list"}

    @operation(gives=AccessoryOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """The accessories of an artifact"""
        subject = self.artifact()
        asked = request.GET
        rows = LISTING.select(artifacts.accessories_of(subject), asked.get("q", ""), asked.get("sort", ""))
        return self.listed(artifacts.Accessories(rows, subject), None, AccessoryOut)
