"""Ranges of bytes: what part of an upload arrives, and what part of a blob is asked for. Pure.

Numbers are ASCII digits and nothing else: int() alone would take signs, underscores, spaces and other scripts' digits.
"""

import re

from harborlite.errors import RangeInvalid

MAX_OFFSET = 2**63 - 1  # what a database column and a file offset hold
MAX_HEADER = 128

_UPLOAD = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:\*|([0-9]{1,19})))?")
_DOWNLOAD = re.compile(r"([0-9]*+)-([0-9]*+)")


def parse_content_range(header: str) -> tuple[int, int]:
    """First and last offset of the chunk in the request's body; RangeInvalid (416) for anything else.

    The form is the spec's START-END ("Pushing a blob in chunks"); that of RFC 9110, `bytes START-END/SIZE`, which
    some clients send, is taken too.
    """
    match = _UPLOAD.fullmatch(header) if len(header) <= MAX_HEADER else None
    if match is None:
        raise RangeInvalid("malformed Content-Range: it must be START-END, counted in bytes from 0, both included")
    start, end = int(match[1]), int(match[2])
    size = int(match[3]) if match[3] else MAX_OFFSET + 1
    if not start <= end < size <= MAX_OFFSET + 1:
        raise RangeInvalid("impossible Content-Range: it must be START-END, START being at most END")
    return start, end


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and length of what a Range header asks of `size` bytes; None when the answer is all of them.

    RangeInvalid (416, with `Content-Range: bytes */SIZE`) when the range lies outside or ends before it starts. All of
    them is the answer to another unit, to several ranges and to what is no range (RFC 9110 14.2 has a server ignore
    those), and to any range of no bytes, since no Content-Range can describe an empty part.
    """
    unit, _, ranges = header.partition("=")
    match = _DOWNLOAD.fullmatch(ranges.strip()) if len(header) <= MAX_HEADER else None
    if unit.strip().lower() != "bytes" or match is None or match[0] == "-":
        return None
    first, last = match[1], match[2]
    if first and last and int(last) < int(first):
        raise _outside(size)
    if size == 0:
        return None
    start = int(first) if first else max(size - int(last), 0)
    if start >= size:
        raise _outside(size)
    end = min(int(last), size - 1) if first and last else size - 1
    return start, end - start + 1


def _outside(size: int) -> RangeInvalid:
    return RangeInvalid("the range asked for is not inside the blob", headers={"Content-Range": f"bytes */{size}"})
