"""REST: digests that run somewhere, and so stay. A cluster reports them again and again; what it does not, ends."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from harborlite.errors import BadRequest, Denied, Unauthorized
from harborlite.rest.fields import Line, Moment
from harborlite.rest.listing import Field, Listing
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.text import is_line
from projects.api.base import ProjectView
from projects.rbac import Rule, grants
from registry.oci.digest import Digest
from retention import queries
from retention.models import InUse
from retention.services.in_use import MAX_DIGESTS, in_use_report

MAX_NAME = 64
PULL = "repository:pull"
DAY = 24 * 60 * 60
LISTING = Listing(
    {
        "source": Field("source"),
        "digest": Field("digest"),
        "report_time": Field("reported_at", MomentKind),
        "expiration_time": Field("expires_at", MomentKind),
    },
    default="source,digest",
)


class InUseOut(serializers.Serializer[InUse]):
    source = serializers.CharField()  # type: ignore[assignment]  # DRF has an attribute of that name
    digest = serializers.CharField()
    report_time = Moment(source="reported_at")
    expiration_time = Moment(source="expires_at")


class ReportIn(serializers.Serializer[Any]):
    digests = serializers.ListField(
        child=Line(max_length=135),
        max_length=MAX_DIGESTS,
        help_text="All that the source has running, of images, indexes or what these list. They replace the former.",
    )
    seconds = serializers.IntegerField(
        min_value=60, max_value=30 * DAY, default=DAY, help_text="For how long the report holds."
    )

    def validate_digests(self, digests: list[str]) -> list[str]:
        for digest in digests:
            if Digest.parse_or_none(digest) is None:
                raise serializers.ValidationError(f"{digest[:80]!a} is no digest")
        return digests

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(self.initial_data.get("seconds"), bool | str):
            raise serializers.ValidationError({"seconds": "A valid integer is required."})
        return dict(attrs)


class ReportedOut(serializers.Serializer[Any]):
    digests = serializers.IntegerField(help_text="How many are held for this source.")
    expiration_time = Moment()


class InUseList(ProjectView):
    needs = {"GET": "artifact:list"}

    @operation(gives=InUseOut, many=True, listing=LISTING)
    def get(self, request: Request, project: str) -> HttpResponse:
        """What is reported as running, by whom and until when"""
        return self.listed(queries.in_use_of(self.project), LISTING, InUseOut)


class InUseOfSource(ProjectView):
    """Who may pull may report, but in a public project not everybody: what is reported stays."""

    needs = {"PUT": PULL}

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        if not any(PULL in grant.actions for grant in grants(self.actor, self.project) if grant.rule != Rule.PUBLIC):
            raise Unauthorized() if self.actor.kind == "anonymous" else Denied()

    @operation(takes=ReportIn, gives=ReportedOut)
    def put(self, request: Request, project: str, source: str) -> HttpResponse:
        """Report what a cluster has running; an empty list takes its report back

        Neither retention nor the expiry of a tag deletes these artifacts, nor what belongs to them, until the report
        expires.
        """
        if not is_line(source) or len(source) > MAX_NAME:
            raise BadRequest(f"source: a name on one line, of up to {MAX_NAME} characters")
        given = self.body(ReportIn)
        until = in_use_report(project=self.project, source=source, **given)
        return Response(ReportedOut({"digests": len(set(given["digests"])), "expiration_time": until}).data)
