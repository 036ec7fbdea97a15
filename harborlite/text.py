"""What may be stored and shown as a text. Pure."""

import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_text(text: str) -> bool:
    """Whether `text` can be stored and shown: no control characters but line ends and tabs, nothing that reorders."""
    return not any(c in _BIDI or (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t") for c in text)


def is_line(text: str) -> bool:
    """Whether `text` is `is_text` and one line."""
    return is_text(text) and not any(c in "\n\r\t\u2028\u2029" for c in text)
