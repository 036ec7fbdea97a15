"""From the status of another registry's answer to the error that it is. Pure."""

import json
from collections.abc import Iterable

from remotes.errors import (
    RemoteError,
    RemoteInvalid,
    RemoteNotFound,
    RemoteRateLimited,
    RemoteRefused,
    RemoteUnauthorized,
    RemoteUnavailable,
)
from remotes.http.answers import Reply

_KINDS: dict[int, type[RemoteError]] = {
    401: RemoteUnauthorized,
    403: RemoteUnauthorized,
    404: RemoteNotFound,
    408: RemoteUnavailable,
    429: RemoteRateLimited,
}


def expect(reply: Reply, *statuses: int) -> Reply:
    """`reply` itself when its status is one of these; else the error that it is."""
    if reply.status in statuses:
        return reply
    kind = _KINDS.get(reply.status)
    if kind is None:
        if 400 <= reply.status < 500:
            kind = RemoteRefused
        elif reply.status >= 500:
            kind = RemoteUnavailable
        else:
            kind = RemoteInvalid
    codes = codes_of(reply.content)
    said = f" ({', '.join(codes)})" if codes else ""
    raise kind(
        f"{kind.message}: status {reply.status}{said}", answer=reply.status, codes=codes, retry_after=reply.retry_after
    )


def codes_of(content: bytes) -> tuple[str, ...]:
    """The words in {"errors": [{"code": ...}]}, as far as it is that."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    errors = document.get("errors") if isinstance(document, dict) else None
    return tuple(_codes(errors)) if isinstance(errors, list) else ()


def _codes(errors: list[object]) -> Iterable[str]:
    for entry in errors[:8]:
        code = entry.get("code") if isinstance(entry, dict) else None
        if isinstance(code, str) and len(code) <= 64 and code.replace("_", "").isalnum() and code.isascii():
            yield code
