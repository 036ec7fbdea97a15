"""Tables of the console: what is in the address says which rows are shown, in which order, and which page of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from harborlite.console.pages import Text
from harborlite.errors import BadRequest
from harborlite.rest.listing import MAX_PAGE, MAX_PAGE_SIZE, Listing, Page, Rows, number_of, page_of
from harborlite.rest.q import Condition, Order
from harborlite.text import is_line

SIZES = (20, 50, 100)


@dataclass(frozen=True, slots=True)
class Column:
    """`key` is what the listing sorts by; empty when it does not."""

    title: Text
    key: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A column as the table shows it: where a click leads, and the order it is in now."""

    column: Column
    link: str
    order: str


class Table:
    """A page of `rows` as the request's `search`, `sort`, `page` and `page_size` ask.

    `search` is a part of the listing's field `searched`. Bad values of the address are BadRequest, as in the REST API.
    """

    def __init__(
        self, request: HttpRequest, rows: Rows, listing: Listing, columns: Sequence[Column], *, searched: str = "name"
    ) -> None:
        self._asked = {key: str(value) for key, value in request.GET.items() if value}
        self._path = request.path
        self._listing = listing
        self._columns = columns
        self.search = self._asked.get("search", "")
        if self.search:
            if not is_line(self.search):
                raise BadRequest("search: it is no text on one line")
            rows = listing.filtered(rows, Condition(searched, "fuzzy", (self.search,)))
        self.size = number_of(request, "page_size", SIZES[0], MAX_PAGE_SIZE)
        self.number = number_of(request, "page", 1, MAX_PAGE)
        self.page: Page = page_of(request, listing.select(rows, "", self._asked.get("sort", "")), size=self.size)

    @property
    def rows(self) -> Sequence[Any]:
        return self.page.rows

    @property
    def total(self) -> int:
        return self.page.total

    @property
    def first(self) -> int:
        """Which of all the first row of this page is, from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def end(self) -> int:
        return self.first + len(self.page.rows) - 1

    @property
    def last_page(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def heads(self) -> list[Head]:
        """The columns; a click on one sorts by it, another one the other way round."""
        now = self._listing.orders(self._asked.get("sort", ""))[0]
        return [self._head(column, now) for column in self._columns]

    @property
    def previous_link(self) -> str:
        return self._link(page=self.number - 1) if self.number > 1 else ""

    @property
    def next_link(self) -> str:
        return self._link(page=self.number + 1) if self.number < self.last_page else ""

    @property
    def sizes(self) -> list[tuple[int, str]]:
        """How many rows a page may have, and where that is to be had."""
        return [(size, self._link(page_size=size, page=1)) for size in SIZES]

    def _head(self, column: Column, now: Order) -> Head:
        if not column.key:
            return Head(column, "", "")
        is_now = now.key == column.key
        turned = f"-{column.key}" if is_now and not now.is_descending else column.key
        order = ("descending" if now.is_descending else "ascending") if is_now else "none"
        return Head(column, self._link(sort=turned, page=1), order)

    def _link(self, **changed: object) -> str:
        """The address of this table with `changed` in it."""
        return f"{self._path}?{urlencode({**self._asked, **changed})}"
