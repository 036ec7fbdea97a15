"""The audit trail as it is shown: a page in one of Harbor's two forms, or all of it as CSV.

Who sees which part of it is decided where projects are known: projects.api.logs.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers

from harborlite.http import TransferSlot
from harborlite.rest.fields import Moment
from harborlite.rest.listing import Rows, page_of
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from system import queries
from system.events import TYPES
from system.models import Event

CSV = "text/csv"
_COLUMNS = (
    "id", "op_time", "username", "address", "operation", "resource_type", "resource", "project_id", "operation_result",
    "operation_description", "request_id",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LINES = 500  # that are sent at a time


class AuditLogOut(serializers.Serializer[Event]):
    """Harbor's old form."""

    id = serializers.IntegerField()
    username = serializers.CharField()
    resource = serializers.CharField()
    resource_type = serializers.CharField()
    operation = serializers.CharField()
    op_time = Moment(source="at")


class AuditLogExtOut(AuditLogOut):
    """Harbor's extended form."""

    operation_description = serializers.CharField(source="description")
    operation_result = serializers.BooleanField(source="is_successful")


class EventTypeOut(serializers.Serializer[Any]):
    event_type = serializers.CharField()


class EventsQuery(serializers.Serializer[Any]):
    format = serializers.ChoiceField(["json", "csv"], required=False, help_text="csv: all of the list, not a page.")
    after = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, help_text="Id of the last event of the page before; see Link."
    )


class EventsView(RestView):
    """A list of events."""

    def answer(self, request: HttpRequest, rows: QuerySet[Event], kind: type[AuditLogOut]) -> HttpResponseBase:
        """A page of `rows`, or all of them as CSV when the client asks for that by `format` or by Accept."""
        asked = self.parameters(EventsQuery)
        q, sort = request.GET.get("q", ""), request.GET.get("sort", "")
        selected = queries.EVENTS.select(rows, q, sort)
        wants_csv = CSV in request.headers.get("Accept", "")
        if asked.get("format", "csv" if wants_csv else "json") == "csv":
            return _file(queries.walk(selected, sort))
        return self._page(request, selected, sort, asked.get("after"), kind)

    def _page(
        self, request: HttpRequest, selected: Rows, sort: str, after: int | None, kind: type[AuditLogOut]
    ) -> HttpResponse:
        """The ids of the page come from an index alone, however far in the list it is; then its rows by their ids."""
        mark = "after" if queries.is_by_time(sort) else ""
        last = selected.filter(pk=after).first() if mark and after is not None else None
        ids = selected.values_list("pk", flat=True)
        rest = queries.behind(ids, sort, last) if last else None
        page = page_of(request, ids, count=queries.count, rest=rest, mark=mark)
        found = Event.objects.in_bulk(list(page.rows))
        shown: Any = kind(instance=[found[pk] for pk in page.rows if pk in found], many=True)  # type: ignore[arg-type]
        return self.paged(page, shown.data)


class EventTypes(RestView):
    needs = {"GET": "audit-log:list"}

    @operation(gives=EventTypeOut, many=True, is_paged=False)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The types of events that can be switched off"""
        return self.shown(EventTypeOut([{"event_type": event_type} for event_type in TYPES], many=True))


_SHOWN = AuditLogExtOut()


def _file(events: Iterable[Event]) -> StreamingHttpResponse:
    slot = TransferSlot()
    return StreamingHttpResponse(
        _lines(events, slot),
        content_type=f"{CSV}; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit-log.csv"', "X-Content-Type-Options": "nosniff"},
    )


def _lines(events: Iterable[Event], slot: TransferSlot) -> Iterator[bytes]:
    try:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for number, event in enumerate(events, 1):
            writer.writerow(map(_inert, _values(event)))
            if number % _LINES == 0:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
        yield text.getvalue().encode()
    finally:
        slot.release()


def _values(event: Event) -> Iterator[object]:
    shown = _SHOWN.to_representation(event)
    beside = {"address": event.address, "project_id": event.project_id, "request_id": event.request_id}
    return ({**shown, **beside}[column] for column in _COLUMNS)


def _inert(value: object) -> object:
    """`value`, which no spreadsheet takes for a formula: what begins as one gets a quote before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
