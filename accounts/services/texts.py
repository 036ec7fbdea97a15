"""What people may write into names and descriptions. BadRequest names the field."""

from harborlite.errors import BadRequest
from harborlite.text import is_line, is_text

LENGTH = 255


def line(what: str, value: str, length: int = LENGTH) -> str:
    if len(value) > length or not is_line(value):
        raise BadRequest(f"{what} has at most {length} characters, on one line and without control characters")
    return value


def text(what: str, value: str) -> str:
    if len(value) > LENGTH or not is_text(value):
        raise BadRequest(f"{what} has at most {LENGTH} characters and no control characters")
    return value
