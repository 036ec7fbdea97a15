"""Rows are written by services, garbage collection and management commands of the app that owns them (rule 7).

Read from the source with `ast`: every call that writes, wherever it stands, belongs to such a module or to the list
of exceptions below, each with its reason.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("system", "accounts", "projects", "registry", "remotes", "retention", "harborlite")

WRITES = frozenset(
    {
        "save", "create", "get_or_create", "update_or_create", "delete", "update",
        "bulk_create", "bulk_update", "select_for_update",
        "add", "remove", "set", "clear",  # of a related manager
        "assign_perm", "remove_perm",
        "execute", "executemany", "copy_expert",  # of a cursor
    }
)  # fmt: skip

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("projects/rbac.py", "assign_perm"): "the one door to guardian; called inside the services' transactions",
    ("projects/rbac.py", "ProjectUserObjectPermission.objects.filter().delete"): "as above",
    ("projects/rbac.py", "ProjectGroupObjectPermission.objects.filter().delete"): "as above",
    ("system/events.py", "event.save"): "emit() is what services write events by, in their own transactions",
    (
        "system/events.py",
        "cursor.copy_expert",
    ): "pulls are no service's: the thread that empties their buffer writes them",
    ("harborlite/cli/dumps.py", "cursor.execute"): "a restore empties the database that it was told to replace",
}
"""File and call -> why it may write though it stands outside services."""


@dataclass(frozen=True)
class Call:
    """One call of a method that writes."""

    file: str
    line: int
    text: str
    """The called expression, arguments of calls inside it left out."""
    root: str
    """The first name of it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def sources() -> Iterator[Path]:
    for app in APPS:
        yield from sorted(path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


def may_write(file: str) -> bool:
    app, _, inside = file.partition("/")
    return inside.startswith(("services/", "services.py", "jobs/", "gc/", "management/")) and app != "harborlite"


def written(node: ast.expr) -> str:
    """The dotted text of a called expression; `f(x).g` is `f().g`."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, name):
            return f"{written(value)}.{name}"
        case ast.Call(called):
            return f"{written(called)}()"
        case ast.Subscript(value):
            return f"{written(value)}[]"
    return "?"


def is_of_rows(call: ast.Call, text: str) -> bool:
    """Whether the call writes rows, as far as its text tells; sets, dicts, hashes and stores have methods so named."""
    name = text.rpartition(".")[2]
    of_manager = ".objects." in text or ".filter()" in text or ".exclude()" in text or ".all()" in text
    match name:
        case "update":
            # A QuerySet takes keywords alone; dicts, sets and hashes take what they are given.
            return of_manager or (bool(call.keywords) and not call.args)
        case "delete":
            return of_manager or not (call.args or call.keywords)  # a store's delete is told what
        case "create":
            return True
        case "add" | "remove" | "set" | "clear":
            # user.groups.add(...): an attribute's attribute; a local set or list is a plain name.
            return text.count(".") > 1 and not text.startswith("self.")
        case "select_for_update" | "get_or_create" | "update_or_create" | "bulk_create" | "bulk_update":
            return True
        case "save":
            return not text.endswith("run.save")  # a job's own row, in its step
        case "assign_perm" | "remove_perm" | "execute" | "executemany" | "copy_expert":
            return True  # of a cursor: unless its text only reads, see `calls`
    return False


def calls(path: Path) -> Iterator[Call]:
    file, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            text = written(node.func)
            if text.rpartition(".")[2] in WRITES and is_of_rows(node, text) and not only_reads(node, texts):
                yield Call(file, node.lineno, text, text.partition(".")[0].partition("(")[0])


def only_reads(call: ast.Call, texts: Mapping[str, object]) -> bool:
    """Whether the call executes SQL that is written out in this file and has no word that writes."""
    match call:
        case ast.Call(ast.Attribute(_, "execute"), [ast.Constant(str() as sql), *_]):
            pass
        case ast.Call(ast.Attribute(_, "execute"), [ast.Name(name), *_]):
            sql = str(texts.get(name, "DELETE"))
        case _:
            return False
    return not re.search(r"\b(INSERT|UPDATE|DELETE|TRUNCATE|MERGE|CREATE|ALTER|DROP|COPY)\b", sql, re.IGNORECASE)


ALL = [call for path in sources() for call in calls(path)]


def test_rows_are_written_in_services_alone() -> None:
    strangers = [str(c) for c in ALL if not may_write(c.file) and (c.file, c.text) not in EXCEPTIONS]
    assert strangers == []


def test_every_exception_is_needed() -> None:
    found = {(call.file, call.text) for call in ALL}
    assert set(EXCEPTIONS) - found == set()


def test_rows_are_written_by_their_own_app() -> None:
    """`Model.objects...` of a model that another app defines: such a write belongs to that app's services."""
    foreign = []
    for path in sources():
        origins = _imported_models(path)
        for call in calls(path):
            owner = origins.get(call.root)
            app = call.file.partition("/")[0]
            if owner is not None and owner != app and call.text.rpartition(".")[2] != "select_for_update":
                foreign.append(f"{call} is {owner}'s")
    assert foreign == []


def _imported_models(path: Path) -> dict[str, str]:
    """Names imported from some app's models, with the app."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith(".models"):
            for alias in node.names:
                found[alias.asname or alias.name] = node.module.partition(".")[0]
    return found


def test_services_exist_and_write() -> None:
    """The rule is about something: the reading above finds writes where they belong."""
    apps = {call.file.partition("/")[0] for call in ALL if may_write(call.file)}
    assert {"accounts", "projects", "registry"} <= apps


SAMPLES = {
    "row.save()": True,
    "Thing.objects.create(a=1)": True,
    "Thing.objects.filter(a=1).update(b=2)": True,
    "rows.update(b=2)": True,
    "rows.delete()": True,
    "Thing.objects.bulk_create(rows)": True,
    "user.groups.add(group)": True,
    "cursor.execute(sql)": True,
    "cursor.execute('DELETE FROM thing')": True,
    "cursor.execute('SELECT 1')": False,
    "hasher.update(chunk)": False,
    "headers.update({'a': 'b'})": False,
    "found.add(name)": False,
    "blobstore().delete(key)": False,
    "names.update(more)": False,
}


@pytest.mark.parametrize("source", SAMPLES)
def test_what_counts_as_a_write(source: str) -> None:
    (node,) = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and _is_outermost(source, n)]
    text = written(node.func)
    found = text.rpartition(".")[2] in WRITES and is_of_rows(node, text) and not only_reads(node, {})
    assert found == SAMPLES[source]


def _is_outermost(source: str, node: ast.Call) -> bool:
    return ast.unparse(node) == ast.unparse(ast.parse(source, mode="eval").body)
