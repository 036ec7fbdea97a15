"""The one way out: every HTTP request that this server makes on somebody's word goes through here.

Outbound --- requests.Session --- _Adapter --- _Plain | _Secure: connections that resolve a name once, check every
                                               address it has, and connect to the checked ones only
ask()        a small answer, whole; tried again when that may help
open()       an answer whose body is read as it comes

redirects    of GET and HEAD, by hand: at most five, never from https to http; another origin gets no credentials
time         to connect, between two bytes, for a whole small answer, and a least rate for a long one
size         of headers, and of a small answer
nothing      from the environment, no cookies, no .netrc, no encodings of content
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import NoReturn, Self
from urllib.parse import urljoin

import requests
import urllib3

from remotes.errors import RemoteInvalid, RemoteUnavailable
from remotes.http.answers import SMALL, Reply, Stream
from remotes.http.connections import CONNECT, IDLE, Adapter, check_reachable, context_of
from remotes.origins import origin_of

__all__ = [
    "IDLE",
    "LONGEST_WAIT",
    "PASSING",
    "TRIES",
    "Body",
    "Outbound",
    "Reply",
    "Stream",
    "check_reachable",
    "context_of",
]

REDIRECTS = 5
TRIES = 4
LONGEST_WAIT = 20.0  # seconds between two tries; who is told to wait longer gives up
PASSING = frozenset({429, 500, 502, 503, 504})
"""Statuses that another try may change."""

Body = bytes | Iterator[bytes]
logger = logging.getLogger(__name__)


class Outbound:
    """Requests to one registry and to what belongs to it. Threads may share it. To be closed."""

    def __init__(
        self, *, insecure: bool = False, ca_certificate: str = "", pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._sleep = pause
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = Adapter(context_of(insecure=insecure, ca_certificate=ca_certificate))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str = "",
        body: bytes = b"",
        most: int = SMALL,
        tries: int = TRIES,
    ) -> Reply:
        """The answer, whatever its status; it is asked for up to `tries` times, for as long as another may help.

        A caller whose request may not be done twice says `tries=1`. RemoteBlocked, RemoteUnavailable, RemoteInvalid.
        """
        for number in range(1, tries + 1):
            told = 0.0
            try:
                with self.open(method, url, headers=headers, authorization=authorization, body=body) as stream:
                    reply = stream.reply(most)
            except RemoteUnavailable:
                if number == tries:
                    raise
            else:
                told = reply.retry_after or 0.0
                if reply.status not in PASSING or number == tries or told > LONGEST_WAIT:
                    return reply
            self.pause(number, told)
        raise AssertionError("unreachable: the last try returns or raises")

    def pause(self, number: int, least: float = 0.0) -> None:
        """Waits before the try that comes after try `number`: longer each time, and never all callers alike."""
        self._sleep(least + random.uniform(0, 0.25 * 2 ** min(number, 6)))  # noqa: S311 - as said

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str = "",
        body: Body = b"",
        length: int | None = None,
        patience: float = IDLE,
    ) -> Stream:
        """The answer up to its headers, redirects followed. A body that is an iterator has `length` bytes.

        Between two bytes, and before the first, `patience` seconds may pass.
        RemoteBlocked, RemoteUnavailable, RemoteInvalid.
        """
        home = origin_of(url)
        for _ in range(REDIRECTS + 1):
            stream = self._once(method, url, headers or {}, authorization, body, length, patience)
            location = stream.headers.get("Location")
            if stream.status not in (301, 302, 303, 307, 308) or not location or method not in ("GET", "HEAD"):
                return stream
            stream.close()
            url = urljoin(url, location)
            target = origin_of(url)
            if home[0] == "https" and target[0] != "https":
                raise RemoteInvalid("the other registry redirects from https to http")
            if target != home:
                authorization = ""  # for good: the way may lead back
        raise RemoteInvalid(f"the other registry redirects more than {REDIRECTS} times")

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str,
        body: Body,
        length: int | None,
        patience: float,
    ) -> Stream:
        origin = origin_of(url)
        sent = {"User-Agent": "harborlite", "Accept-Encoding": "identity", "Accept": "*/*", **headers}
        if authorization:
            sent["Authorization"] = authorization
        try:
            request = requests.Request(method, url, headers=sent).prepare()
            if origin_of(str(request.url)) != origin:
                raise RemoteInvalid("the other registry names an address that can be read in two ways")
            if isinstance(body, bytes):
                request.body = body or None
                length = len(body)
            else:
                request.body = body
            if body or method in ("POST", "PUT", "PATCH"):
                request.headers["Content-Length"] = str(length)
            response = self._session.send(request, stream=True, allow_redirects=False, timeout=(CONNECT, patience))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            _failed(url, error)
        return Stream(response)


def _failed(url: str, error: Exception) -> NoReturn:
    """One text for all, so that nobody learns from it which ports of a host are open; the log has the reason."""
    inner = error.args[0] if error.args else error
    _, host, port = origin_of(url)
    logger.info("no answer from %s:%d: %s", host, port, getattr(inner, "reason", None) or type(error).__name__)
    raise RemoteUnavailable("the other registry does not answer") from error
