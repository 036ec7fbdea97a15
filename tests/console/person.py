"""Somebody with a browser that has no JavaScript: follows links, fills in forms, keeps cookies."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import requests

_HIDDEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass
class Page:
    """What a request was answered with; `text` without what HTML writes otherwise."""

    status: int
    headers: Any
    html: str

    @property
    def text(self) -> str:
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.html)))

    @property
    def location(self) -> str:
        return str(self.headers.get("Location", ""))


@dataclass
class Person:
    """A browser at `url`; nobody's until `sign_in`."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **headers: str) -> Page:
        return self._page(self.session.get(self.url + path, headers=headers, allow_redirects=False, timeout=30))

    def post(self, path: str, form: dict[str, str] | None = None, *, from_page: str | None = None) -> Page:
        """Sends the form, with the hidden field that the page `from_page` (default: `path`) gives it."""
        found = _HIDDEN.search(self.get(from_page or path).html)
        assert found is not None, f"{from_page or path} has no form"
        return self.post_bare(path, {"csrfmiddlewaretoken": found[1], **(form or {})})

    def post_bare(self, path: str, form: dict[str, str], **headers: str) -> Page:
        """Without the hidden field, as another site would make it."""
        sent = self.session.post(self.url + path, data=form, headers=headers, allow_redirects=False, timeout=30)
        return self._page(sent)

    def sign_in(self, username: str, password: str) -> "Person":
        answer = self.post("/login", {"principal": username, "password": password})
        assert answer.status == 303, answer.text
        return self

    @staticmethod
    def _page(response: requests.Response) -> Page:
        return Page(response.status_code, response.headers, response.text)
