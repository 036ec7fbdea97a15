"""Every text of the console is there in every language."""

import re
from html import unescape

import pytest

from harborlite.console import messages

_DJANGO = re.compile(r"{% blocktranslate.*?{% endblocktranslate %}|{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
HOLES = re.compile(r"%\(\w+\)[sd]|</?code>")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_files_are_up_to_date(language: str) -> None:
    """`python -m harborlite.console.messages` brings them there."""
    source, compiled = messages.written(messages.updated(language))
    path = messages.path_of(language)
    assert path.read_bytes() == source
    assert path.with_suffix(".mo").read_bytes() == compiled


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_text_is_translated_with_all_its_holes(language: str) -> None:
    missing, uneven = [], []
    for message in messages.updated(language):
        if message.id and not message.string:
            missing.append(message.id)
        elif message.id and sorted(HOLES.findall(str(message.id))) != sorted(HOLES.findall(str(message.string))):
            uneven.append(message.id)
    assert (missing, uneven) == ([], [])


def test_texts_are_found_in_code_and_in_templates() -> None:
    found = messages.texts()
    assert found["Projects"] >= {"templates/base.html", "templates/projects/list.html"}
    assert "registry/views.py" in found["The tag %(tag)s was restored."]
    assert _untranslated() == []


def _untranslated() -> list[str]:
    """Words between tags of templates that nobody marked."""
    found = []
    for path in sorted((messages.ROOT / "templates").glob("**/*.html")):
        if path.name == "api_docs.html":
            continue
        text = _DJANGO.sub(" ", path.read_text("utf-8"))
        words = unescape(re.sub(r"<[^>]*>", " ", text)).split()
        found += [f"{path.name}: {word}" for word in words if re.search("[A-Za-z]{2}", word) and word != "harborlite"]
    return found
