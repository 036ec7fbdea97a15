"""Settings: one table, its page, and no other reader of the environment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from harborlite import env

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("accounts", "harborlite", "projects", "registry", "remotes", "retention", "system")

EXCEPTIONS = {
    "harborlite/cli/__init__.py": "hands --data and --bind on to the processes it starts",
    "harborlite/celery.py": "names the settings module, an entry point",
    "harborlite/wsgi.py": "names the settings module, an entry point",
}
"""Files besides harborlite/env.py that may touch the environment, and why."""


def touches_the_environment(path: Path) -> bool:
    """Whether the file names os.environ, os.getenv or os.putenv, however it imported them."""
    names = {"environ", "environb", "getenv", "putenv"}
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
        for node in tree
    )


def sources() -> Iterator[Path]:
    for package in PRODUCT:
        yield from (ROOT / package).rglob("*.py")


def test_page_of_settings_is_the_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == env.document(), "run `make docs`"


def test_environment_is_read_in_one_place() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in sources() if touches_the_environment(path)}
    assert found == {"harborlite/env.py", *EXCEPTIONS}


def test_every_variable_is_read_somewhere() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources() if path.name != "env.py")
    assert [variable.name for variable in env.TABLE if f'"{variable.name}"' not in text] == []


def test_every_variable_has_a_kind_a_default_of_it_and_a_help() -> None:
    for variable in env.TABLE:
        assert variable.kind in {"text", "secret", "int", "bool", "path", "list"}
        assert variable.help.endswith(".")
    env.require_valid()


def test_names_are_unique() -> None:
    names = [variable.name for variable in env.TABLE]
    assert len(set(names)) == len(names)


def test_secret_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("from the file\n")
    monkeypatch.setenv("HARBORLITE_SECRET_KEY_FILE", str(file))
    assert env.text("HARBORLITE_SECRET_KEY") == "from the file"
    monkeypatch.setenv("HARBORLITE_SECRET_KEY", "from the variable")
    assert env.text("HARBORLITE_SECRET_KEY") == "from the variable"


def test_what_is_no_secret_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bind"
    file.write_text("0.0.0.0:1\n")
    monkeypatch.setenv("HARBORLITE_BIND_FILE", str(file))
    assert env.text("HARBORLITE_BIND") == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HARBORLITE_MIN_RATE", "soon", "HARBORLITE_MIN_RATE must be a whole number, not 'soon'"),
        ("HARBORLITE_S3_REDIRECT", "maybe", "HARBORLITE_S3_REDIRECT must be true or false, not 'maybe'"),
        ("DATABASE_URL_FILE", "/nonexistent", "DATABASE_URL_FILE: cannot read /nonexistent: No such file or directory"),
    ],
)
def test_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(env.InvalidSetting) as refused:
        env.require_valid()
    assert str(refused.value) == told
