"""The grammar of Harbor's `q` and `sort` parameters, read into values. Pure: it does not know which keys a list has.

    q = term *( "," term )
    term = key "=" value          exactly
           key "=~" value         contains, letter case aside
           key "=[" low "~" high "]"    a range, both ends included, either may be left out
           key "={" value *( " " value ) "}"    any of
           key "=(" value *( " " value ) ")"    all of

    sort = [ "-" ] key *( "," [ "-" ] key )

A comma inside brackets or quotes, and one that no `key=` follows, belongs to the value. A value that begins like one
of the others is written with a backslash before it. Clients send q encoded once or twice, or only its values twice
(Harbor decodes whatever comes once more, src/lib/q); `%41` therefore can't be asked for but as `%2541`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, unquote_plus

from harborlite.errors import BadRequest

MAX_CHARACTERS = 4096
MAX_TERMS = 32
MAX_VALUES = 100
MAX_SORTS = 8

Match = Literal["exact", "fuzzy", "range", "any", "all"]
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}\Z")
_NEXT = re.compile(r",(?=\s*[A-Za-z][A-Za-z0-9_.]{0,63}=)")
_BRACKETS: dict[str, tuple[str, Match]] = {"[": ("]", "range"), "{": ("}", "any"), "(": (")", "all")}
_CLOSING = {'"': '"', **{opening: closing for opening, (closing, _) in _BRACKETS.items()}}
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_WORDS = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Condition:
    """One term of q. `values` has one value when `match` is exact or fuzzy, and two, perhaps empty, for a range."""

    key: str
    match: Match
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One key of sort."""

    key: str
    is_descending: bool


def parse_q(text: str) -> list[Condition]:
    """The conditions of q, all of which must hold. BadRequest says what can't be read."""
    if len(text) > MAX_CHARACTERS:
        raise BadRequest(f"q has at most {MAX_CHARACTERS} characters")
    terms = [_condition(term) for term in _terms(_decoded(text))]
    if len(terms) > MAX_TERMS:
        raise BadRequest(f"q has at most {MAX_TERMS} terms")
    return terms


def _decoded(text: str) -> str:
    if not _ENCODED.search(text):
        return text
    # Where all of it was encoded, a + was a space. Where only values were, it may be one, but is more likely a +.
    return unquote(text) if "=" in text else unquote_plus(text)


def parse_sort(text: str) -> list[Order]:
    """The orders of sort, the first deciding. BadRequest says what can't be read."""
    orders = [_order(word.strip()) for word in text.split(",") if word.strip()] if len(text) <= MAX_CHARACTERS else []
    if len(orders) > MAX_SORTS or len(text) > MAX_CHARACTERS:
        raise BadRequest(f"sort has at most {MAX_SORTS} keys")
    return orders


def _order(word: str) -> Order:
    key = word.removeprefix("-").removeprefix("+")
    if not _KEY.match(key):
        raise BadRequest(f"sort: {word!a} is no key")
    return Order(key, word.startswith("-"))


def _terms(text: str) -> Iterator[str]:
    """The terms between the commas outside brackets; empty ones don't count (Harbor)."""
    start, position, closing = 0, 0, ""
    while position < len(text):
        character = text[position]
        if closing:
            closing = "" if character == closing else closing
        elif character in _CLOSING and text[:position].endswith(("=", "=~")):
            closing = _CLOSING[character]
        elif character == "," and (text[position + 1 :].strip() == "" or _NEXT.match(text, position)):
            yield from _said(text[start:position])
            start = position + 1
        position += 1
    if closing:
        raise BadRequest(f"q: a {closing} is missing")
    yield from _said(text[start:])


def _said(term: str) -> Iterator[str]:
    if term.strip():
        yield term.strip()


def _condition(term: str) -> Condition:
    key, equals, value = term.partition("=")
    key = key.strip()
    if not equals or not _KEY.match(key):
        raise BadRequest(f"q: {term[:80]!a} is not of the form key=value")
    if value.startswith("~"):
        return Condition(key, "fuzzy", (_filled(key, _unquoted(value[1:])),))
    opening = value[:1]
    if opening not in _BRACKETS:
        return Condition(key, "exact", (_filled(key, _unquoted(value.removeprefix("\\"))),))
    closing, match = _BRACKETS[opening]
    if not value.endswith(closing):
        raise BadRequest(f"q: {key}: nothing may follow the {closing}")
    inner = value[1:-1]
    values = _range(key, inner) if match == "range" else _words(inner)
    if not values or len(values) > MAX_VALUES:
        raise BadRequest(f"q: {key}: between {opening} and {closing} stand 1 to {MAX_VALUES} values")
    return Condition(key, match, values)


def _words(inner: str) -> tuple[str, ...]:
    words = (quoted or word.strip("'") for quoted, word in _WORDS.findall(inner))
    return tuple(word for word in words if word)


def _range(key: str, inner: str) -> tuple[str, ...]:
    low, tilde, high = inner.partition("~")
    low, high = _unquoted(low.strip()), _unquoted(high.strip())
    if not tilde or "~" in high or not (low or high):
        raise BadRequest(f"q: {key}: a range is [low~high], one of which may be left out")
    return low, high


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _filled(key: str, value: str) -> str:
    if not value:
        raise BadRequest(f"q: {key}: a value is missing")
    return value
