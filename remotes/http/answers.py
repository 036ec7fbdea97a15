"""Answers: small ones, whole, and long ones, read as they come."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from remotes.errors import RemoteInvalid, RemoteUnavailable
from remotes.http.connections import WHOLE, Guarded

SMALL = 4 * 1024 * 1024  # bytes
CHUNK = 256 * 1024
RATE = 1024  # bytes a second that a long answer brings at least, averaged over WHOLE


@dataclass(frozen=True, slots=True)
class Reply:
    """A small answer, whole. `url` is where it came from in the end."""

    status: int
    headers: CaseInsensitiveDict[str]
    content: bytes
    url: str

    @property
    def retry_after(self) -> float | None:
        """How many seconds it asks to wait, if it does."""
        text = self.headers.get("Retry-After", "")
        if re.fullmatch("[0-9]{1,9}", text):
            return float(text)
        with suppress(ValueError, TypeError, OverflowError):
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        return None


class Stream:
    """An answer whose body is still to come. To be closed; iterating to its end closes it too."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers
        self.url = str(response.url)
        connection = getattr(response.raw, "connection", None)
        self._connection = connection if isinstance(connection, Guarded) else None

    @property
    def length(self) -> int | None:
        """Of the body, as announced."""
        text = self.headers.get("Content-Length", "")
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.unwatched()
        self._response.close()

    def reply(self, most: int = SMALL) -> Reply:
        """The answer with its body, which is read now. RemoteInvalid when it has more than `most` bytes."""
        content = bytearray()
        for chunk in self._chunks(is_small=True):
            content += chunk
            if len(content) > most:
                self.close()
                raise RemoteInvalid(f"the other registry answers with more than {most} bytes")
        return Reply(self.status, self.headers, bytes(content), self.url)

    def __iter__(self) -> Iterator[bytes]:
        """The body's bytes. RemoteUnavailable when they end early or come too slowly."""
        return self._chunks(is_small=False)

    def _chunks(self, *, is_small: bool) -> Iterator[bytes]:
        if self.headers.get("Content-Encoding", "identity") not in ("identity", ""):
            self.close()
            raise RemoteInvalid("the other registry encodes what nobody asked it to encode")
        hold = None
        if self._connection is not None:
            self._connection.watched(WHOLE)
            hold = self._connection.hold
        got, wanted = 0, self.length if self._response.request.method != "HEAD" else 0
        mark, since = 0, time.monotonic()
        try:
            while chunk := self._response.raw.read1(CHUNK, decode_content=False):
                got += len(chunk)
                if hold is not None and not is_small and got - mark >= RATE * max(1.0, time.monotonic() - since):
                    hold.extend(WHOLE)
                    mark, since = got, time.monotonic()
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise RemoteUnavailable("the other registry broke its answer off") from error
        finally:
            self.close()
        if (hold is not None and hold.is_over) or (wanted is not None and got != wanted):
            raise RemoteUnavailable("the other registry broke its answer off")
