"""`python -m harborlite.console.messages`: brings locale/ up to date with the texts in code and templates.

Texts that are new are added without a translation, which a test then asks for; texts that are gone go. Needs Babel,
which is installed with the tests' requirements; the server reads the compiled files alone.
"""

import ast
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent.parent
SINGLE, PLURAL = ("_", "gettext", "gettext_lazy", "gettext_noop"), ("ngettext", "ngettext_lazy")
KEYWORDS = dict.fromkeys(SINGLE) | dict.fromkeys(PLURAL, (1, 2))
LANGUAGES = ("zh_Hans",)
_ALWAYS = datetime(2026, 1, 1, tzinfo=UTC)
"""The date in the files, which change only when a text does."""


def path_of(language: str) -> Path:
    """The translations into `language`, as people write them."""
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def texts() -> dict[str | tuple[str, ...], frozenset[str]]:
    """What pages say, and in which files it stands; a text with a plural is the tuple of both."""
    found: dict[str | tuple[str, ...], frozenset[str]] = {}
    for path, messages in _found():
        for message in messages:
            key = message[0] if len(message) == 1 else message
            found[key] = found.get(key, frozenset()) | {path}
    return found


def _found() -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    for path in sorted(ROOT.glob("[!.]*/**/*.py")):
        name = path.relative_to(ROOT).as_posix()
        if path.name == "views.py" or path.parent.name == "views" or name.startswith("harborlite/console/"):
            with path.open("rb") as file:
                said = [message for _, _, message, _ in extract_python(file, KEYWORDS, [], {})]
            yield name, [tuple(filter(None, (some,) if isinstance(some, str) else some)) for some in said]
    for path in sorted((ROOT / "templates").glob("**/*.html")):
        yield path.relative_to(ROOT).as_posix(), list(_of_template(path.read_text("utf-8")))


def _of_template(source: str) -> Iterator[tuple[str, ...]]:
    """The texts in the calls into which Django turns what a template wants translated."""
    text = templatize(source)
    for call in re.finditer(r"\bn?gettext\(", text):
        end, said = call.end(), None
        while said is None:  # a text may have brackets of its own
            end = text.index(")", end) + 1
            with suppress(SyntaxError):
                said = ast.parse(text[call.start() : end], mode="eval").body
        constants = [node.value for node in ast.walk(said) if isinstance(node, ast.Constant)]
        yield tuple(value for value in constants if isinstance(value, str))


def updated(language: str) -> Catalog:
    """The catalog of `language` with just the texts that there are."""
    old = Catalog(locale=language)
    if path_of(language).exists():
        with path_of(language).open("rb") as file:
            old = read_po(file, locale=language)
    new = Catalog(locale=language, project="harborlite", fuzzy=False, creation_date=_ALWAYS, revision_date=_ALWAYS)
    for message, paths in sorted(texts().items(), key=lambda item: str(item[0])):
        held = old.get(message)
        new.add(message, held.string if held else None, locations=[(path, 0) for path in sorted(paths)])
    return new


def written(catalog: Catalog) -> tuple[bytes, bytes]:
    """The catalog as people write it, and as the server reads it."""
    source, compiled = io.BytesIO(), io.BytesIO()
    write_po(source, catalog, include_lineno=False, omit_header=True, width=120)
    write_mo(compiled, catalog)
    return source.getvalue(), compiled.getvalue()


if __name__ == "__main__":
    for language in LANGUAGES:
        path = path_of(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        source, compiled = written(updated(language))
        path.write_bytes(source)
        path.with_suffix(".mo").write_bytes(compiled)
