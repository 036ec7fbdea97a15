"""Somebody who talks to the REST API over HTTP."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.factories import Account
from tests.rest.contract import PREFIX
from tests.wire import Answer, basic, raw

JSON = {"Content-Type": "application/json"}


def twice(name: str) -> str:
    """A repository's name as clients put it into a path: slashes encoded twice."""
    return quote(quote(name, safe=""), safe="")


@dataclass(frozen=True)
class Api:
    """One account's, or nobody's; every request is a connection of its own and goes out verbatim."""

    url: str
    account: Account | None = None

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is one under /api/v2.0, or a Location; `body` becomes JSON unless it is bytes."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        credentials = basic(self.account.login, self.account.secret) if self.account else {}
        target = path if path.startswith(PREFIX) else PREFIX + path
        if query:
            target += ("&" if "?" in target else "?") + urlencode(query)
        kind = JSON if body is not None else {}
        return raw(self.url, method, target, {**kind, **credentials, **(headers or {})}, sent)

    def get(self, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **query: object) -> Any:
        """The decoded answer of a GET that must succeed."""
        answer = self("GET", path, query=query, headers=headers)
        assert answer.status == status, answer
        return answer.json()

    def create(self, path: str, body: object, *, query: Mapping[str, object] | None = None) -> str:
        """The Location of what a POST made."""
        answer = self("POST", path, body, query=query)
        assert answer.status == 201, answer
        return answer.headers["Location"]

    def create_id(self, path: str, body: object) -> int:
        """The number at the end of the Location of what a POST made."""
        return int(self.create(path, body).rpartition("/")[2])

    def done(self, method: str, path: str, body: object = None) -> None:
        """A change that must succeed, with 200 and nothing to say."""
        answer = self(method, path, body)
        assert answer.status == 200, answer

    def pages(self, path: str, **query: object) -> Iterator[Answer]:
        """The pages of a list, by following `rel="next"` until there is none."""
        answer = self("GET", path, query=query)
        while True:
            assert answer.status == 200, answer
            yield answer
            links = answer.headers.get("Link", "").split(" , ")
            following = [link[1 : link.index(">")] for link in links if link.endswith('rel="next"')]
            if not following:
                return
            answer = self("GET", following[0])

    def all(self, path: str, **query: object) -> list[Any]:
        return [item for page in self.pages(path, **query) for item in page.json()]
