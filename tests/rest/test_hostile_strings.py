"""S-85: strings that harm whoever stores, shows or compares them are refused wherever a body can hold a string.

The bodies are those of our own OpenAPI: each of their strings is, one after the other, replaced in a request that
works otherwise.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.rest.contract import key
from tests.rest.scene import Scene

Path = tuple[str | int, ...]

HOSTILE = {
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "override": "a\u202eb",
    "10 MiB": "x" * (10 << 20),
}

_DOCUMENT: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _resolved(_DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for together in ("allOf", "oneOf", "anyOf"):
        if together in schema:
            return _resolved(schema[together][0])
    return schema


def _strings(schema: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """Where in a document of that schema a string stands; a key that is free counts, as `?`."""
    schema = _resolved(schema)
    kind = schema.get("type")
    if kind == "string" or "enum" in schema:
        yield path
    elif kind == "array":
        yield from _strings(schema["items"], (*path, 0))
    else:
        for name, inside in schema.get("properties", {}).items():
            if not inside.get("readOnly"):
                yield from _strings(inside, (*path, name))
        free = schema.get("additionalProperties")
        if isinstance(free, dict) and free:
            yield from _strings(free, (*path, "?"))


def _cases() -> Iterator[tuple[str, Path]]:
    for route, methods in _DOCUMENT["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            for media_type in content.values():
                for path in _strings(media_type["schema"]):
                    yield key(method, route), path


CASES = list(_cases())


def _with(document: Any, path: Path, value: str) -> Any:
    """A copy of `document` with `value` at `path`; what is missing on the way is made."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        inside = list(document) if isinstance(document, list) and document else [None]
        return [_with(inside[0], tuple(rest), value), *inside[1:]]
    held = copy.copy(document) if isinstance(document, dict) else {}
    held[step] = _with(held.get(step), tuple(rest), value)
    return held


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize(("operation", "path"), CASES, ids=[f"{name} {path}" for name, path in CASES])
def test_hostile_string_is_refused(scene: Scene, operation: str, path: Path, what: str) -> None:
    ask = scene.ask(operation, is_spare=False)
    answer = scene.admin(ask.method, ask.path, _with(ask.body, path, HOSTILE[what]), query=ask.query)
    assert answer.status == (413 if what == "10 MiB" else 400), answer
    assert len(answer.json()["errors"][0]["message"]) > 5
    names = [step for step in path if isinstance(step, str) and step != "?"]
    if what != "10 MiB" and names:
        assert any(name in answer.json()["errors"][0]["message"] for name in names), answer


@pytest.mark.parametrize("what", ["NUL", "lone surrogate", "override"])
def test_hostile_key_is_refused(scene: Scene, what: str) -> None:
    """Metadata is the body whose keys are free."""
    answer = scene.admin("POST", f"/projects/{scene.project}/metadatas/", {HOSTILE[what]: "true"})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("text", ["%00", "%ed%a0%80", "%E2%80%AE", "a%0Ab", "%ff"])
@pytest.mark.parametrize(
    "path",
    ["/projects/{}", "/projects/{}/members", "/users/{}", "/labels/{}", "/robots/{}", "/quotas/{}",
     "/projects/{project}/repositories/{}", "/projects/{project}/repositories/{repository}/artifacts/{}",
     "/projects/{project}/metadatas/{}", "/search?q={}", "/users/search?username={}", "/projects?name={}",
     "/projects/{project}/members?entityname={}", "/usergroups?group_name={}", "/labels?scope=g&name={}"],
)  # fmt: skip
def test_hostile_text_in_a_path_or_query(scene: Scene, path: str, text: str) -> None:
    filled = path.replace("{project}", scene.project).replace("{repository}", scene.repository.replace("/", "%252F"))
    answer = scene.admin("GET", filled.replace("{}", text))
    assert answer.status in ((400,) if "?" in path else (400, 404)), answer
    assert answer.json()["errors"][0]["message"]
