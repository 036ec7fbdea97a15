"""Lists of the REST API: which keys q and sort may name, what they mean to the database, and one page of the rows."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, OrderBy, Q, QuerySet
from django.http import HttpRequest

from harborlite.errors import BadRequest
from harborlite.rest.q import Condition, Match, Order, parse_q, parse_sort
from harborlite.text import is_line

PAGE_SIZE = 10
MAX_PAGE_SIZE = 100
MAX_PAGE = 10**9
_BIGINT = 2**63

Rows = QuerySet[Any]
Apply = Callable[[Rows, Condition], Rows]
Count = Callable[[Rows, int, bool], int]


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a key are written; `read` raises ValueError for what is none."""

    what: str
    read: Callable[[str], Any]
    matches: frozenset[Match]


def _number(text: str) -> int:
    value = int(text) if re.fullmatch("[+-]?[0-9]{1,19}", text) else _BIGINT
    if not -_BIGINT <= value < _BIGINT:
        raise ValueError
    return value


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(text: str) -> str:
    if not is_line(text):
        raise ValueError
    return text


Text = Kind("a text on one line", _text, frozenset({"exact", "fuzzy", "any"}))
Number = Kind("a whole number", _number, frozenset({"exact", "range", "any"}))
Moment = Kind("a time such as 2024-12-31 23:59:59", _moment, frozenset({"exact", "range"}))
Flag = Kind("true or false", _flag, frozenset({"exact"}))


@dataclass(frozen=True, slots=True)
class Field:
    """A key of q and sort. `lookup` is the column that it means; `apply`, when given, filters in its stead."""

    lookup: str
    kind: Kind = Text
    is_sortable: bool = True
    is_filterable: bool = True
    apply: Apply | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, how many there are in all, and the Link header that leads to its neighbours, if any."""

    rows: Sequence[Any]
    total: int
    link: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can be asked. `default` is its order; `id` is added to every order, so that pages don't overlap."""

    fields: Mapping[str, Field]
    default: str = "-creation_time"

    def select(self, rows: Rows, q: str, sort: str) -> Rows:
        """`rows` that q keeps, in the order of sort. BadRequest names the key that is not known or has a bad value."""
        for condition in parse_q(q):
            rows = self.filtered(rows, condition)
        orders = self.orders(sort)
        ordered = [_ordered(rows, self._column(order), is_descending=order.is_descending) for order in orders]
        if not any(self._column(order) in ("pk", "id") for order in orders):
            ordered.append(_ordered(rows, "pk", is_descending=orders[0].is_descending))
        return rows.order_by(*ordered)

    def orders(self, sort: str) -> list[Order]:
        """What `sort` asks for, or the default when it asks for nothing; the first decides."""
        return parse_sort(sort) or parse_sort(self.default)

    @property
    def sortable(self) -> list[str]:
        return [key for key, field in self.fields.items() if field.is_sortable]

    @property
    def filterable(self) -> list[str]:
        return [key for key, field in self.fields.items() if field.is_filterable]

    def _column(self, order: Order) -> str:
        field = self.fields.get(order.key)
        if field is None or not field.is_sortable:
            raise BadRequest(f"sort: {order.key!a} is not one of {', '.join(self.sortable)}")
        return field.lookup

    def filtered(self, rows: Rows, condition: Condition) -> Rows:
        """Those of `rows` for which `condition` holds. BadRequest as for `select`."""
        field = self.fields.get(condition.key)
        if field is None or not field.is_filterable:
            raise BadRequest(f"q: {condition.key!a} is not one of {', '.join(self.filterable)}")
        if field.apply is not None:
            return field.apply(rows, condition)
        return rows.filter(where(field, condition))


def _ordered(rows: Rows, lookup: str, *, is_descending: bool) -> OrderBy:
    """By the column; NULL, a time that has not come, is the least. Where there is none, so that an index can serve."""
    try:
        has_nulls = rows.model._meta.get_field(lookup).null
    except FieldDoesNotExist:  # an annotation, or another table's column
        has_nulls = lookup != "pk"
    least = True if has_nulls else None
    return F(lookup).desc(nulls_last=least) if is_descending else F(lookup).asc(nulls_first=least)


def where(field: Field, condition: Condition) -> Q:
    """`condition` on the column of `field`. BadRequest when the kind does not know such a match or value."""
    kind, match = field.kind, condition.match
    if match not in kind.matches:
        raise BadRequest(f"q: {condition.key} can't be asked for by {match}")
    values = [read(kind, condition.key, value) for value in condition.values]
    match match:
        case "exact":
            return Q(**{field.lookup: values[0]})
        case "fuzzy":
            return Q(**{f"{field.lookup}__icontains": values[0]})
        case "any":
            return Q(**{f"{field.lookup}__in": values})
        case _:
            low, high = values
            found = Q() if low is None else Q(**{f"{field.lookup}__gte": low})
            return found if high is None else found & Q(**{f"{field.lookup}__lte": high})


def read(kind: Kind, key: str, text: str) -> Any:
    """The value that `text` stands for, None for the missing end of a range. BadRequest when it stands for none."""
    if not text:
        return None
    try:
        return kind.read(text)
    except (ValueError, KeyError, OverflowError):
        raise BadRequest(f"q: {key}: {text[:80]!a} is not {kind.what}") from None


def number_of(request: HttpRequest, name: str, default: int, most: int) -> int:
    """The query parameter `name`, a number from 1 to `most`. BadRequest when it is none."""
    text = request.GET.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= most):
        raise BadRequest(f"{name} is a number from 1 to {most}")
    return int(text)


def page_of(
    request: HttpRequest,
    rows: Rows | Sequence[Any],
    *,
    count: Count | None = None,
    rest: Rows | None = None,
    mark: str = "",
    size: int = PAGE_SIZE,
) -> Page:
    """The page of `rows` that the request asks for by page (from 1) and page_size; past the end it is empty.

    `size` is that of a page when the request does not say.

    The rows are counted, by `count` when given, only when the page itself does not tell how many there are: `count`
    gets the rows, how many end with this page, and whether there are more.

    For lists too long to be counted off from the start: the Link to the next page names this page's last row in the
    query parameter `mark`, and `rest` are the rows behind the one that the request names so.
    """
    size = number_of(request, "page_size", size, MAX_PAGE_SIZE)
    number = number_of(request, "page", 1, MAX_PAGE)
    start = (number - 1) * size
    found = list(rows[start : start + size + 1] if rest is None else rest[: size + 1])
    is_more, found = len(found) > size, found[:size]
    if found and not is_more:
        total = start + len(found)
    elif isinstance(rows, QuerySet):
        total = count(rows, start + len(found), is_more) if count else rows.order_by().count()
    else:
        total = len(rows)
    return Page(found, total, _link(request, number, size, total, {mark: found[-1] if found else 0} if mark else {}))


def _link(request: HttpRequest, number: int, size: int, total: int, following: Mapping[str, Any]) -> str:
    """Relative addresses, encoded as the client has to send them; in Harbor's spelling.

    `following` are query parameters of the next page's address alone.
    """
    last = -(-total // size)

    def to(page: int, name: str, further: Mapping[str, Any]) -> str:
        asked = {key: value for key, value in request.GET.items() if key not in ("page", "page_size", *following)}
        path = quote(request.path, safe="/@:$!*'(),;~")
        return f'<{path}?{urlencode({**asked, "page": page, "page_size": size, **further})}>; rel="{name}"'

    links = [to(number - 1, "prev", {})] if 1 < number <= last + 1 else []
    return " , ".join([*links, to(number + 1, "next", following)] if number < last else links)
