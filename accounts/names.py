"""The grammar of usernames and of people's texts: what may be one, and which two names are the same. Pure."""

import unicodedata

MAX_LENGTH = 255
ROBOT_MARK = "robot$"
"""How robots' usernames start in the database, whatever prefix people see. People's names can't: `$` is refused."""

_REFUSED = frozenset(',"~#$%:')  # Harbor's, and the colon, which HTTP Basic can't carry in a username (RFC 7617)
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_LOOK_ALIKE_SCRIPTS = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LATIN", "LISU"})
_DOT_ABOVE = "\u0307"  # can't be seen above an i, whose own dot it is


def fold(username: str) -> str:
    """The key by which usernames are compared: case, width and compatibility forms, dotted and dotless i do not count.

    Upper case first: it is what brings the dotless i (U+0131) and the long s (U+017F) to their plain letters.
    """
    key = unicodedata.normalize("NFKC", username).upper().casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFD", key).replace("i" + _DOT_ABOVE, "i"))


def why_refused(username: str, *, robot_prefix: str) -> str | None:
    """Why nobody may be called `username`; None when somebody may."""
    key = fold(username)
    if not 1 <= len(username) <= MAX_LENGTH or len(key) > MAX_LENGTH:
        return f"a username has 1 to {MAX_LENGTH} characters"
    # Both spellings count: compatibility forms of a refused character (U+FF04, a wide `$`) fold to it.
    if any(c in _REFUSED or unicodedata.category(c) in _REFUSED_CATEGORIES for c in username + key):
        return 'a username has no spaces, no invisible characters and none of , " ~ # $ % :'
    if key.startswith((fold(robot_prefix), ROBOT_MARK)):
        return f"usernames starting with {robot_prefix} are kept for robots"
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in key if unicodedata.category(c).startswith("L")}
    if len(scripts & _LOOK_ALIKE_SCRIPTS) > 1:
        return "a username does not mix letters of scripts that look alike, such as Latin and Cyrillic"
    return None
