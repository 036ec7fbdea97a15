"""Harbor's contract as far as it is built: what operations.txt and schemas.txt say, and whether an answer keeps it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.wire import Answer

HERE = Path(__file__).resolve().parent
PREFIX = "/api/v2.0"

_PARAMETER = re.compile(r"\{[^}]*\}|<[^>]*>")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_LINK = re.compile(r'<(?P<target>[^>]*)>; rel="(?P<rel>next|prev)"')
_SIMPLE: Mapping[str, type] = {"str": str, "int": int, "bool": bool}


def lines(name: str) -> Iterator[str]:
    """What stands in the file, comments and empty lines left out."""
    for line in (HERE / name).read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def key(method: str, path: str) -> str:
    """An operation's name, however a document calls its parameters: `GET /projects/{}/members`."""
    bare = path.removeprefix(PREFIX).removeprefix(PREFIX[1:])
    return f"{method.upper()} {_PARAMETER.sub('{}', '/' + bare.strip('/'))}"


@dataclass(frozen=True)
class Operation:
    """A line of operations.txt."""

    method: str
    path: str
    status: int
    body: str
    query: tuple[str, ...]

    @property
    def key(self) -> str:
        return key(self.method, self.path)

    @property
    def is_paged(self) -> bool:
        return self.method == "GET" and "page" in self.query and self.body.startswith("[")


def _operations(name: str) -> Iterator[Operation]:
    for line in lines(name):
        method, path, status, body, *query = line.split()
        yield Operation(method, path, int(status), body, tuple(query))


HARBORS = list(_operations("operations.txt"))
OURS = list(_operations("ours.txt"))
OPERATIONS = HARBORS + OURS
SCHEMAS = dict(line.split(maxsplit=1) for line in lines("schemas.txt"))


def complaints(operation: Operation, answer: Answer) -> list[str]:
    """What is wrong with an answer that should be a success."""
    if answer.status != operation.status:
        return [f"status {answer.status}, not {operation.status}: {answer.body[:500]!r}"]
    return [*_head_complaints(operation, answer), *_body_complaints(operation, answer)]


def _head_complaints(operation: Operation, answer: Answer) -> Iterator[str]:
    if not answer.headers.get("X-Request-Id"):
        yield "no X-Request-Id"
    location = answer.headers.get("Location", "")
    if answer.status == 201 and not location.startswith(PREFIX + "/"):
        yield f"Location is {location!r}, no path of the API"
    if "ETag" in answer.headers:
        yield "an ETag, which Harbor's API does not have"
    if operation.is_paged:
        if not re.fullmatch(r"\d+", answer.headers.get("X-Total-Count", "")):
            yield f"X-Total-Count is {answer.headers.get('X-Total-Count')!r}"
        yield from _link_complaints(answer.headers.get("Link"))


def _link_complaints(header: str | None) -> Iterator[str]:
    for part in header.split(" , ") if header is not None else ():
        link = _LINK.fullmatch(part)
        if link is None or not link["target"].startswith(PREFIX + "/"):
            yield f"Link is {header!r}"


def _body_complaints(operation: Operation, answer: Answer) -> Iterator[str]:
    content_type = answer.headers.get("Content-Type", "")
    if operation.body == "-":
        if answer.body:
            yield f"a body: {answer.body[:200]!r}"
        return
    if operation.body in ("text", "file", "addition"):
        if not answer.body:
            yield "no body"
        return
    if content_type.partition(";")[0] != "application/json":
        yield f"Content-Type is {content_type!r}"
    yield from mismatches(operation.body, answer.json(), "body")


def mismatches(kind: str, value: Any, where: str) -> Iterator[str]:
    """Where `value`, decoded JSON, is not of the type `kind` of schemas.txt."""
    if kind.endswith("?"):
        if value is not None:
            yield from mismatches(kind[:-1], value, where)
    elif kind.startswith("["):
        yield from _inside(kind[1:-1], value, list, where)
    elif kind.startswith("{"):
        yield from _inside(kind[1:-1], value, dict, where)
    elif kind in SCHEMAS:
        yield from _schema_mismatches(SCHEMAS[kind], value, where)
    elif not _is_simple(kind, value):
        yield f"{where} is no {kind}: {value!r}"


def _inside(kind: str, value: Any, container: type, where: str) -> Iterator[str]:
    if not isinstance(value, container):
        yield f"{where} is no {container.__name__}: {value!r}"
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from mismatches(kind, item, f"{where}[{name!r}]")


def _schema_mismatches(schema: str, value: Any, where: str) -> Iterator[str]:
    if schema.startswith("{"):
        yield from mismatches(schema, value, where)
        return
    if not isinstance(value, dict):
        yield f"{where} is no dict: {value!r}"
        return
    kinds = dict(entry.split() for entry in schema.split(","))
    needed = {name.strip("+!") for name in kinds if name.endswith("!")}
    declared = {name.strip("+!"): kind for name, kind in kinds.items()}
    for name in sorted(needed - value.keys()):
        yield f"{where}.{name} is missing"
    for name, item in value.items():
        if name not in declared:
            yield f"{where}.{name} is not declared: {item!r}"
        else:
            yield from mismatches(declared[name], item, f"{where}.{name}")


def _is_simple(kind: str, value: Any) -> bool:
    if kind == "any":
        return True
    if kind == "time":
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    return isinstance(value, _SIMPLE[kind]) and (kind == "bool" or not isinstance(value, bool))
