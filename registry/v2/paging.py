"""`n` and `last`: lists in pages, the next one named by a Link header (spec "Listing Tags")."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest

from harborlite.errors import BadRequest

MAX = 10_000
"""The longest page; a client that names no `n` gets this many and a Link to the rest."""


@dataclass(frozen=True, slots=True)
class Page:
    after: str
    limit: int

    def next_link(self, path: str, last: str, **further: str) -> str:
        """The Link header to the page behind `last`."""
        return f'<{path}?{urlencode({"n": self.limit, "last": last, **further})}>; rel="next"'


def page_of(request: HttpRequest) -> Page:
    """The page a request asks for; BadRequest when `n` is no whole number. A larger `n` than MAX means MAX."""
    text = request.GET.get("n")
    if text is None:
        limit = MAX
    elif text.isascii() and text.isdigit() and len(text) < 20:  # digits of 2^63
        limit = min(int(text), MAX)
    else:
        raise BadRequest("n must be a whole number, 0 or more", detail={"n": text[:100]})
    last = request.GET.get("last", "")
    if "\x00" in last:
        raise BadRequest("last holds a NUL character")
    return Page(last, limit)
