r"""Doublestar patterns, by which rules and filters choose repositories and tags. Pure.

    *    any characters but /                         [a-z]   one of these characters
    **   as a whole part: any number of parts         [^a-z]  any but these
    ?    one character but /                          {a,b}   one of these patterns; they may hold / and braces
    \*   the character itself

A pattern says what it says in Harbor, whose library (bmatcuk/doublestar 1.3.4) is followed to its corners: `a/**` does
not match `a`; `**` in braces or beside other characters is `*`, so `{**}` does not match `a/b`; a star before braces
wants a character for them, so `a*{,b}` does not match `a`. There are two exceptions. What the library refuses only when
it meets a certain name is refused here when the pattern is read. And braces with a / in them match whatever one of
their patterns matches: in the library `{a,a/b}` does not match `a`, and `a{,/b}` is an error for it.

A match takes about as many steps as the pattern has characters times the name has.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 1024
MAX_BRANCHES: Final = 100
"""Stars and braces."""


class BadPattern(ValueError):
    """The text is no pattern; the message says why."""


def matches(text: str, name: str) -> bool:
    """Whether the pattern `text` matches all of `name`; the empty one matches everything, as in Harbor's rules."""
    return not text or read(text).matches(name)


def of_list(text: str) -> str:
    """The pattern for what somebody typed as `v1, v2`: Harbor's console puts braces around a list."""
    text = "".join(text.split())
    return f"{{{text}}}" if "," in text and not set("{}") & set(text) else text


@lru_cache(maxsize=1024)
def read(text: str) -> "Pattern":
    """The pattern. BadPattern when `text` is none."""
    if len(text) > MAX_LENGTH:
        raise BadPattern(f"a pattern has at most {MAX_LENGTH} characters")
    if text.count("*") + text.count("{") > MAX_BRANCHES:
        raise BadPattern(f"a pattern has at most {MAX_BRANCHES} stars and braces")
    return Pattern(_linked(_Reader(text).sequence(is_in_braces=False), _Step("end")))


# Text becomes steps: each knows what comes behind it, and braces where each of their patterns begins.


@dataclass(eq=False, slots=True)
class _Step:
    kind: str
    """* ? / [ { for what these mean, `char` for a character itself, and `end` behind everything."""
    char: str = ""
    ranges: list[tuple[str, str]] = field(default_factory=list)
    is_negated: bool = False
    options: list[list["_Step"]] = field(default_factory=list)
    then: "_Step" = None  # type: ignore[assignment]  # set by _linked
    starts: list["_Step"] = field(default_factory=list)
    is_joint: bool = False
    """Several ways lead here."""


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def sequence(self, *, is_in_braces: bool) -> list[_Step]:
        """What stands up to the end, or in braces up to their next comma or their end."""
        found = []
        while self._at < len(self._text) and not (is_in_braces and self._text[self._at] in ",}"):
            found.append(self._step(is_in_braces=is_in_braces))
        return found

    def _step(self, *, is_in_braces: bool) -> _Step:
        char = self._text[self._at]
        self._at += 1
        match char:
            case "[":
                return self._class(is_in_braces=is_in_braces)
            case "{":
                return self._braces()
            case "*" | "?" | "/":
                return _Step(char)
            case "\\" if self._at == len(self._text):
                raise BadPattern("a backslash needs a character behind it")
            case "\\":
                self._at += 1
        return _Step("char", char=self._text[self._at - 1])

    def _braces(self) -> _Step:
        options = [self.sequence(is_in_braces=True)]
        while self._text.startswith(",", self._at):
            self._at += 1
            options.append(self.sequence(is_in_braces=True))
        if self._at == len(self._text):
            raise BadPattern("a { has no }")
        self._at += 1
        return _Step("{", options=options)

    def _class(self, *, is_in_braces: bool) -> _Step:
        if (found := _CLASS.match(self._text, self._at)) is None:
            raise BadPattern("a [ has no ]")
        body = found[1]
        if not body:
            raise BadPattern("[] holds no character")
        if is_in_braces and set(_ESCAPED.sub("", body)) & set("{,}"):
            raise BadPattern(f"[{body}] stands in braces and so needs a backslash before its {{ , and }}")
        ranges, at, is_negated = [], int(body[0] == "^"), body[0] == "^"
        while at < len(body):
            if (item := _RANGE.match(body, at)) is None:
                raise BadPattern(f"[{body}] has a - that stands for no range; put a backslash before it")
            ranges.append((item[1][-1], (item[2] or item[1])[-1]))
            at = item.end()
        self._at = found.end()
        return _Step("[", ranges=ranges, is_negated=is_negated)


_CLASS = re.compile(r"(.*?)(?<!\\)\]", re.DOTALL)
_RANGE = re.compile(r"(\\.|[^\\-])(?:-(\\.|[^\\-]))?", re.DOTALL)
_ESCAPED = re.compile(r"\\.", re.DOTALL)


def _linked(sequence: list[_Step], then: _Step) -> _Step:
    """The first step of `sequence`, behind which comes `then`; or `then` itself when the sequence is empty."""
    for step in reversed(sequence):
        step.then = then
        if step.kind == "{":
            then.is_joint = True
            step.starts = [_linked(option, then) for option in step.options]
        then = step
    return then


def _is_nothing(sequence: list[_Step]) -> bool:
    """Whether the library takes the sequence, alone, for one that matches nothing at all."""
    match [step.kind for step in sequence]:
        case [] | ["*"] | ["*", "*"]:
            return True
        case ["{", *_]:
            return _is_nothing(sequence[1:]) and any(_is_nothing(option) for option in sequence[0].options)
    return False


# Matching: part by part of the name, and in each part character by character.

_DONE = _Step("done")
"""One of the places where a pattern goes on behind a part of a name: nowhere, the part was the last."""


class Pattern:
    """A pattern that was read."""

    def __init__(self, start: _Step) -> None:
        self._start = start

    def matches(self, name: str) -> bool:
        """Whether the pattern matches all of `name`."""
        here = {self._start}
        for part in name.split("/"):
            walk, there = _Walk(part), set[_Step]()
            queue = list(here - {_DONE})
            while queue:
                step = queue.pop()
                if (behind := _behind_doublestar(step)) is None:
                    there |= walk.ways(step, 0)
                elif behind.kind == "end":
                    return True
                else:  # it takes this part and perhaps more, or else what comes behind it begins here
                    there.add(step)
                    if behind.then not in here:
                        here.add(behind.then)
                        queue.append(behind.then)
            here = there
        return _DONE in here


def _behind_doublestar(step: _Step) -> _Step | None:
    """The / or the end behind a `**` that is a whole part of the pattern."""
    if step.kind == "*" and step.then.kind == "*" and step.then.then.kind in ("/", "end"):
        return step.then.then
    return None


class _Walk:
    """How a pattern goes with one part of a name; what was found once is kept."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._kept: dict[tuple[_Step, int], frozenset[_Step]] = {}

    def ways(self, step: _Step, at: int) -> frozenset[_Step]:
        """Where the pattern goes on when what begins at `step` takes the part from `at` to its end; maybe nowhere."""
        if (step, at) not in self._kept:
            self._kept[step, at] = self._find(step, at)
        return self._kept[step, at]

    def _find(self, step: _Step, at: int) -> frozenset[_Step]:
        while step.kind in ("char", "?", "["):
            if at == len(self._part) or not _takes(step, self._part[at]):
                return frozenset()
            step, at = step.then, at + 1
            if step.is_joint:
                return self.ways(step, at)
        match step.kind:
            case "*":
                return self._star(step, at)
            case "{":
                return self._braces(step, at)
        return _goes_on(step) if at == len(self._part) else frozenset()

    def _star(self, star: _Step, at: int) -> frozenset[_Step]:
        step = star.then
        if step.kind == "*" and at == len(self._part):
            step = step.then
        if step.kind in ("/", "end"):
            return _goes_on(step)
        # A star that begins here can do what one that begins a character later can, and take nothing besides.
        later = at
        while later < len(self._part) and (star, later) not in self._kept:
            later += 1
        found = self._kept[star, later] if later < len(self._part) else frozenset[_Step]()
        for start in range(later - 1, at - 1, -1):
            found |= self.ways(step, start)
            self._kept[star, start] = found
        return found

    def _braces(self, braces: _Step, at: int) -> frozenset[_Step]:
        found = frozenset[_Step]().union(*(self.ways(start, at) for start in braces.starts))
        if at == len(self._part) and any(_is_nothing(option) for option in braces.options):
            found |= self.ways(braces.then, at)
        return found


def _takes(step: _Step, char: str) -> bool:
    if step.kind == "[":
        return any(low <= char <= high for low, high in step.ranges) != step.is_negated
    return step.kind == "?" or step.char == char


def _goes_on(step: _Step) -> frozenset[_Step]:
    """Where the pattern goes on when a part of the name is over and `step` is a / or the end."""
    return frozenset([step.then if step.kind == "/" else _DONE])
