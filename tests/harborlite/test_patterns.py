"""Doublestar patterns: a table of our own, answers of the library that Harbor uses, properties, and bounds."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harborlite import patterns
from harborlite.patterns import BadPattern, matches, of_list, read

# Each pattern with names that it matches, and names that it does not.
TABLE = [
    ("latest", "latest", "Latest latest1 lates"),
    ("*", "a v1.2 .x", "a/b /a a/"),
    ("v*", "v v1 v1.2.3", "1v xv1 v/1"),
    ("*-rc", "-rc 1-rc 1-rc-rc", "1-rc1 a/1-rc"),
    ("*c", "c abc acc", "ca ab"),
    ("a*b*c", "abc axbxc abbcc", "ab acb abcd"),
    ("v?", "v1 vä", "v v12 v/"),
    ("???", "abc a☺b", "ab abcd"),
    ("[abc]", "a b c", "d ab"),
    ("v[0-9]*", "v1 v10 v9x", "v va"),
    ("[a-ce-g]", "a c e g", "d h"),
    ("[^a-c]", "d ☺", "a c"),
    ("[^]", "a z", "ab"),
    ("[a-ä]", "z ä", "Z ö"),
    ("[z-a]", "", "a z m"),
    (r"[\]\-]", "] -", r"\ a"),
    (r"[\^a]", "^ a", "b"),
    (r"a\*b", "a*b", "ab axb"),
    (r"\{a,b\}", "{a,b}", "a b"),
    ("a,b", "a,b", "a b"),
    ("a}]", "a}]", "a"),
    ("**", "a a/b a/b/c", ""),
    ("a/**", "a/b a/b/c", "a b/a"),
    ("**/c", "c b/c a/b/c", "a/b abc c/d"),
    ("a/**/c", "a/c a/b/c a/b/b/c", "ac a/b b/a/c"),
    ("**/b/**", "b/a a/b/c b/b", "b a/b a/c"),
    ("a/**/", "a/ a/b/", "a a/b"),
    ("abc**", "abc abcd", "abc/d"),
    ("**abc", "abc xabc", "x/abc"),
    ("a/b", "a/b", "a a//b b"),
    ("a/", "a/", "a a/b"),
    ("a*/b", "a/b ab/b", "a/c/b b/b"),
    ("{a,b}", "a b", "c ab a,b"),
    ("{a}", "a", "b {a}"),
    ("{redis,my*}", "redis mysql my", "redis1"),
    ("v{1,2}.{0,1}", "v1.0 v2.1", "v1 v3.0 v1.2"),
    ("v{,1}", "v v1", "v2 v11"),
    ("{a,{b,c}d}e", "ae bde cde", "be ade"),
    ("ab{c,d,*}", "ab abc abcde", "a"),
    (r"{a\,b,c}", "a,b c", "a b"),
    (r"{[\,a],b}", "a b ,", "c"),
    ("{a/b,c}", "a/b c", "a b a/c"),
    ("{a/{b,c},abc}", "a/b a/c abc", "a a/b/c"),
    ("{a/**,b}", "a/b a/b/c b", "a b/c"),
    ("a/{b/c,c/b}", "a/b/c a/c/b", "a/b a/b/b"),
    ("{a,a/b}", "a a/b", "b a/a"),
    ("app{,/debug}", "app app/debug", "apps app/"),
    ("{**}", "a ab", "a/b"),
    ("a/{**,b}", "a/x", "a/x/y a"),
    ("a*{,b}", "ab axb", "a"),
    ("a*{b,c}", "ab axc acb", "a abd"),
    ("v1{*,x}{,y}", "v1 v1x v1xy v1zy", "v1z v2"),
]
BAD = {
    "[": "no ]",
    "a[": "no ]",
    "[^": "no ]",
    r"[\]": "no ]",
    "[]": "no character",
    "[]a]": "no character",
    "[-]": "no range",
    "[x-]": "no range",
    "[-x]": "no range",
    "[a-b-c]": "no range",
    "[a--]": "no range",
    "{": "no }",
    "{a,{b}": "no }",
    "ab{c,d}[": "no ]",
    "{a[,b]}": "backslash before its",
    "\\": "needs a character",
    "a{\\": "needs a character",
    "a" * 1025: "1024 characters",
    "*" * 101: "100 stars",
    "{" * 101 + "}" * 101: "100 stars",
}


@pytest.mark.parametrize(("pattern", "these", "not_these"), TABLE, ids=[row[0] for row in TABLE])
def test_a_pattern_matches_these_and_not_these(pattern: str, these: str, not_these: str) -> None:
    assert [name for name in these.split() if not matches(pattern, name)] == []
    assert [name for name in not_these.split() if matches(pattern, name)] == []


@pytest.mark.parametrize("pattern", BAD, ids=[text[:12] for text in BAD])
def test_what_is_no_pattern_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(BAD[pattern])):
        read(pattern)


def test_the_empty_pattern_matches_everything() -> None:
    assert matches("", "a/b")


def test_patterns_say_what_the_library_of_harbor_says() -> None:
    """The answers of bmatcuk/doublestar 1.3.4 to generated patterns: pattern, name, yes or no."""
    lines = Path(__file__).with_name("doublestar.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    assert len(rows) == 500
    assert [row for row in rows if matches(row[0], row[1]) != (row[2] == "yes")] == []


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [
        ("v1, v2", "{v1,v2}"),
        ("v1", "v1"),
        (" v* ", "v*"),
        ("{a,b}", "{a,b}"),
        ("a,{b,c}", "a,{b,c}"),
        ("**", "**"),
        ("", ""),
    ],
)
def test_a_typed_list_becomes_braces(typed: str, pattern: str) -> None:
    assert of_list(typed) == pattern


NAMES = st.text("abc/", min_size=1, max_size=12)
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "c", "/", "*", "**", "?", "[ab]", "[^a]", r"\a", "{", ",", "}", "{a,b*}", "{,c}"]),
    max_size=10,
).map("".join)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern: str, name: str) -> None:
    try:
        read(pattern)
    except BadPattern:
        return
    assert matches(pattern, name) in (True, False)


@given(st.text(min_size=1, max_size=20))
def test_an_escaped_name_matches_itself_alone(name: str) -> None:
    pattern = "".join(rf"\{character}" if character != "/" else "/" for character in name)
    assert matches(pattern, name)
    assert not matches(pattern, f"{name}x")


@given(st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[^a]", "/"]), max_size=10), NAMES)
def test_without_doublestars_and_braces_a_pattern_is_a_simple_expression(pieces: list[str], name: str) -> None:
    pattern = "".join(pieces)
    if pattern and "**" not in pattern:
        expression = pattern.replace("?", "[^/]").replace("[^a]", "[^a/]").replace("*", "[^/]*")
        assert matches(pattern, name) == bool(re.fullmatch(expression, name))


@given(PATTERNS, PATTERNS, NAMES)
def test_braces_match_what_one_of_their_patterns_matches(one: str, other: str, name: str) -> None:
    both = f"{{{one},{other}}}"
    try:
        read(one), read(other), read(both)
    except BadPattern:
        return
    # Beside braces, `**` is no whole part, and a comma between braces of its own would end a pattern.
    if "**" not in both and not _has_bare_comma(one) and not _has_bare_comma(other):
        assert read(both).matches(name) == (read(one).matches(name) or read(other).matches(name))


def _has_bare_comma(pattern: str) -> bool:
    depth = 0
    for character in pattern:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character in ",}" and depth <= 0 and not (character == "}" and depth == 0):
            return True
    return depth != 0


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 99 + "b", "a" * 255),
        ("*{" + ",".join(["*a"] * 90) + "}b", "a" * 255),
        ("{" + ",".join(["a"] * 500) + "}" + "a" * 20 + "*b", "a" * 255),
        ("*{" + ",".join(["/aa"] * 240) + "}", "a" * 255),
        ("{,}" * 90 + "b", "a" * 255),
        ("{*,}" * 50 + "b", "a" * 255),
        ("{" * 100 + "a" + "}" * 100, "b" * 255),
        ("**/" * 50 + "b", "a/" * 127 + "a"),
        ("**/" * 10 + "{" + ",".join(["?a?/?a?/b"] * 60) + "}", "aaa/" * 63 + "a"),
        ("*[a-z]" * 99 + "0", "a" * 255),
    ],
    ids=lambda text: text[:12],
)
def test_no_pattern_takes_for_ever(pattern: str, name: str) -> None:
    """This test fails by not ending: with backtracking these take longer than the universe is old."""
    assert not read(pattern).matches(name)


def test_a_pattern_is_read_once() -> None:
    assert read("v*") is patterns.read("v*")
