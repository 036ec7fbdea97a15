"""What came in to tests.remote_fake, what goes out, and what a rule can make of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.images import dump


@dataclass
class Asked:
    """A request that came in."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: bytes = b""
    port: int = 0
    """Of the client, which tells connections apart."""
    at: float = field(default_factory=time.monotonic)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


@dataclass
class Given:
    """An answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    """What Content-Length says, when it is not the body's."""
    cut: int | None = None
    """After so many bytes of the body the connection ends."""
    drip: float = 0.0
    """Seconds between one byte and the next."""


Action = Callable[[Asked, Callable[[], Given]], Given | None]
"""From the request, and what would be answered, to what is; None ends the connection without a word."""


# What a rule does.


def status(code: int, body: bytes = b"", **headers: str) -> Action:
    """An answer of that status; Retry_After="5" is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked, answer: Given(code, named, body)


def refuse(code: int, word: str) -> Action:
    """The registry protocol's way of saying no."""
    return lambda asked, answer: error(code, word)


def delay(seconds: float, of: Action | None = None) -> Action:
    """The answer, the right one or that of another action, after a while."""

    def act(asked: Asked, answer: Callable[[], Given]) -> Given | None:
        time.sleep(seconds)
        return _made(of, asked, answer)

    return act


def cut(after: int, of: Action | None = None) -> Action:
    """The body ends after so many bytes, whatever was announced."""
    return _changed(of, lambda given: setattr(given, "cut", after))


def drip(seconds: float, of: Action | None = None) -> Action:
    """One byte at a time."""
    return _changed(of, lambda given: setattr(given, "drip", seconds))


def lie(body: bytes | None = None, of: Action | None = None, **headers: str) -> Action:
    """The right answer with another body or other headers; a header that is empty is left out."""

    def change(given: Given) -> None:
        if body is not None:
            given.body = body
        given.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        given.headers = {name: value for name, value in given.headers.items() if value}

    return _changed(of, change)


def _changed(of: Action | None, change: Callable[[Given], None]) -> Action:
    def act(asked: Asked, answer: Callable[[], Given]) -> Given | None:
        given = _made(of, asked, answer)
        if given is not None:
            change(given)
        return given

    return act


def _made(of: Action | None, asked: Asked, answer: Callable[[], Given]) -> Given | None:
    return answer() if of is None else of(asked, answer)


def hang_up(asked: Asked, answer: Callable[[], Given]) -> None:
    """Nothing is done and nothing said."""


def lose_answer(asked: Asked, answer: Callable[[], Given]) -> None:
    """It is done, and nobody is told."""
    answer()


def error(code: int, word: str) -> Given:
    """An error in the registry protocol's form."""
    body = dump({"errors": [{"code": word, "message": word.lower()}]})
    return Given(code, {"Content-Type": "application/json"}, body)
