"""accounts.names: which names are the same, and which nobody may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.names import fold, why_refused
from harborlite.text import is_line, is_text


@pytest.mark.parametrize(
    "twin",
    [
        "ADMIN",
        "Admin",
        "\uff41\uff44\uff4d\uff49\uff4e",
        "adm\u0131n",
        "adm\u0130n",
        "ADM\u0130N",
        "admi\u0307n",
        "\u1d43dmin",
    ],
)
def test_spellings_of_admin_are_one_name(twin: str) -> None:
    assert fold(twin) == fold("admin")


@pytest.mark.parametrize(("one", "other"), [("\u017fam", "sam"), ("stra\u00dfe", "STRASSE"), ("\ufb01sh", "fish")])
def test_compatibility_forms_are_one_name(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize("other", ["admins", "\u00e1dmin", "a.dmin", "adm1n"])
def test_other_names_stay_apart(other: str) -> None:
    assert fold(other) != fold("admin")


@given(st.text(max_size=40))
def test_folding_again_changes_nothing(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "alice",
        "Alice",
        "alice@example.com",
        "a+b",
        "\u738b\u5c0f\u660e",
        "jos\u00e9",
        "\u0438\u0432\u0430\u043d",
        "x" * 255,
    ],
)
def test_ordinary_names_are_allowed(name: str) -> None:
    assert why_refused(name, robot_prefix="robot$") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 256,
        "\ufdfa" * 20,  # one character that folds to 18
        "two words",
        "non\u00a0breaking",
        "tab\t",
        "nul\x00",
        "bell\x07",
        "zero\u200bwidth",
        "bidi\u202e",
        "lone\ud800",
        "private\ue000",
        "un\u0378assigned",
        "a:b",
        "a,b",
        'a"b',
        "a~b",
        "a#b",
        "a$b",
        "a%b",
        "robot$ci",
        "ROBOT$ci",
        "\uff52obot\uff04ci",
        "\u0430dmin",  # a Cyrillic a
        "adm\u03b9n",  # a Greek iota
    ],
)
def test_names_are_refused(name: str) -> None:
    assert why_refused(name, robot_prefix="robot$")


@pytest.mark.parametrize("name", ["bot_ci", "BOT_ci", "bot_"])
def test_the_configured_robot_prefix_is_reserved(name: str) -> None:
    assert why_refused(name, robot_prefix="bot_")


def test_texts() -> None:
    assert is_text("two\nlines\tof text")
    assert not is_line("two\nlines")
    assert is_line("fa\u200crsi")
    for bad in ("\x00", "\x1b[31m", "\u202e", "\ud800"):
        assert not is_text(bad)
        assert not is_line(bad)
