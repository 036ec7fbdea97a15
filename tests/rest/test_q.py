"""S-80..S-86: what q and sort are made to say by somebody who means no good, on every list that takes them.

The lists and their keys are those of our own OpenAPI.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from harborlite.errors import BadRequest
from harborlite.rest.listing import Flag, Kind, Moment, Number, Text, read
from harborlite.rest.q import Condition, parse_q
from tests.factories import World
from tests.rest.api import Api
from tests.rest.contract import PREFIX, key
from tests.rest.scene import Scene
from tests.wire import Answer, basic, raw


def _lists() -> Iterator[tuple[str, list[str], list[str]]]:
    """Each operation that takes q, the keys of q and those of sort."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    for route, methods in document["paths"].items():
        said = {one["name"]: one.get("description", "") for one in methods.get("get", {}).get("parameters", ())}
        if "Keys: " in said.get("q", ""):
            yield key("GET", route), _keys(said["q"]), _keys(said["sort"])


def _keys(description: str) -> list[str]:
    return description.rpartition(": ")[2].split(", ")


LISTS = {name: (filters, sorts) for name, filters, sorts in _lists()}


def ask(scene: Scene, name: str, **query: str) -> Answer:
    wanted = scene.ask(name)
    return scene.admin("GET", wanted.path, query={**(wanted.query or {}), **query})


def refused(answer: Answer, word: str) -> None:
    """400 with a message that begins with the parameter's name; nothing of the database is in it."""
    assert answer.status == 400, answer
    (error,) = answer.json()["errors"]
    assert error["code"] == "BAD_REQUEST"
    assert error["message"].startswith(word), answer
    assert not re.search(r"(?i)django|psycopg|select |column|traceback", error["message"]), answer


SORTS = [
    "password", "-user__password", "id;select", "name)--", "user__password", "?", "-?", "--id", "id desc", "1", "id,,x",
    "creation_time__year", "pk", "_state", "__class__", "name'", 'name"', "name\0", "name%00", "\u202eid",
    ",".join(["id"] * 9), "x" * 5000,
]  # fmt: skip
QUERIES = {
    "S-81": ["password=~pbkdf2", "secret=a", "project__owner__password=~a", "user__password=~a", "salt=a", "hash=~a"],
    "S-82": [
        ",".join(["id=1"] * 33), "id=[~]", "id=[1~2~3]", "id=[[1~2]~3]", "id=[1", "id={1",
        "id=(1", "id={}", "id=()", 'id={""}', "id={1}}x", "id={" + " ".join(["1"] * 101) + "}", "id", "=1", "id=",
        "id=~", "=", "[", "{", "~", '"', 'id="', "id=[1~2]3", "id=" + "1" * 5000,
    ],
    "S-83": [
        "_connector=OR", "_negated=true", "pk__in={1 2}", "__class__=a", "id__gt=1", "pk=1", "_state=a", "id__isnull=1",
        "self=1", "kwargs={1}", "project_id__in=1",
    ],
    "S-84": ["extra_attrs__a'b=1", "a'b=1", 'a"b=1', "a->>'b'=1", "labels'=1", "a;b=1", "a b=1", "a)=1", "a%=1"],
    "S-85": ["id=\0", "id=1\0", "id=~\u202e", "id=\u2028", "i\0d=1", "id%3D%00", "id=%00"],
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_sort_knows_its_keys_alone(scene: Scene, name: str) -> None:
    """S-80"""
    for sort in SORTS[list(LISTS).index(name) % 2 :: 2]:
        if sort not in LISTS[name][1]:
            refused(ask(scene, name, sort=sort), "sort")


@pytest.mark.parametrize("of", QUERIES)
@pytest.mark.parametrize("name", LISTS)
def test_q_knows_its_keys_and_its_grammar_alone(scene: Scene, name: str, of: str) -> None:
    """Keys are each list's own and tried on all; the grammar is one, and each list gets a quarter of it."""
    place, first = list(LISTS).index(name), LISTS[name][0][0]
    is_grammar = of in ("S-82", "S-84", "S-85")
    for query in QUERIES[of][place % 4 :: 4] if is_grammar else QUERIES[of]:
        if query.partition("=")[0] in LISTS[name][0]:
            continue  # what is a secret's name elsewhere is a key of this list
        refused(ask(scene, name, q=re.sub(r"\bid\b(?=[=%])", first, query) if is_grammar else query), "q")


@pytest.mark.parametrize("name", LISTS)
def test_ten_thousand_terms_are_too_many(scene: Scene, name: str) -> None:
    """S-82; a request line ends before as many."""
    term = f"{LISTS[name][0][0]}=1"
    assert ask(scene, name, q=",".join([term] * 10_000)).status == 414
    with pytest.raises(BadRequest, match="4096 characters"):
        parse_q(",".join([term] * 10_000))


VALUES = [
    "0", "-1", "1_0", "1e3", "0x10", "NaN", "9223372036854775808", "-9223372036854775809", "true", "null", "None",
    "2024-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-02-30", "' OR 1=1 --", "\\", "%",
    "_", "~", "a b", "ä☺", "x" * 3000, "\0", "\ud7ff", "\u202e", "${7*7}", "{{7*7}}", "../..", "a,b",
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_no_value_of_any_key_breaks_a_list(scene: Scene, name: str) -> None:
    """Each key with a third of the values, in every form: found or refused, and never an error of the server's."""
    forms = ["{}", "~{}", "[{}~]", "[~{}]", "{{{} x}}", "({} 1)"]
    for number, value in enumerate(VALUES):
        for place, filtered in enumerate(LISTS[name][0]):
            if (number + place) % 3:
                continue
            form = forms[(number + place) // 3 % len(forms)]
            answer = ask(scene, name, q=f"{filtered}={form.format(value)}")
            if answer.status != 200:
                refused(answer, "q")
                assert filtered in answer.json()["errors"][0]["message"], answer


@pytest.mark.parametrize("name", LISTS)
def test_every_key_of_sort_sorts_both_ways(scene: Scene, name: str) -> None:
    for sort in LISTS[name][1]:
        for sign in ("", "-"):
            assert ask(scene, name, sort=sign + sort).status == 200, sort


def test_there_are_lists_to_ask() -> None:
    assert {"GET /projects", "GET /users", "GET /quotas", "GET /projects/{}/repositories"} <= set(LISTS)


# S-86: and what was encoded once, twice or badly.


@pytest.fixture(scope="module")
def named(world: World) -> tuple[Api, str, list[str]]:
    """A project with labels whose names are hard to ask for."""
    project, api = world.project(), Api(world.url, world.owner)
    number = api.get(f"/projects/{project}")["project_id"]
    names = ["a%b", "a_b", "axb", "a\\b", "a+b", "a b", "a,b", "a'b", "a%41b", "äb", "~b", "{b}"]
    for name in names:
        api.create("/labels", {"name": name, "scope": "p", "project_id": number})
    return api, f"/labels?scope=p&project_id={number}&page_size=100", names


def found(named: tuple[Api, str, list[str]], encoded: str) -> list[str]:
    """The labels for a q that goes out exactly so."""
    api, path, _ = named
    assert api.account is not None
    credentials = basic(api.account.login, api.account.secret)
    answer = raw(api.url, "GET", f"{PREFIX}{path}&q={encoded}", credentials)
    assert answer.status == 200, answer
    return [label["name"] for label in answer.json()]


@pytest.mark.parametrize(
    ("part", "names"),
    [("%", ["a%41b", "a%b"]), ("_", ["a_b"]), ("\\", ["a\\b"]), ("'", ["a'b"]), ("%%", []), ("A_B", ["a_b"])],
)
def test_wildcards_and_quotes_mean_themselves(named: tuple[Api, str, list[str]], part: str, names: list[str]) -> None:
    assert found(named, quote(f"name=~{part}", safe="")) == names


@pytest.mark.parametrize("name", ["a_b", "axb", "a\\b", "a+b", "a b", "a,b", "a'b", "äb", "a%b"])
def test_a_name_is_found_however_often_it_was_encoded(named: tuple[Api, str, list[str]], name: str) -> None:
    q = f"name={name}"
    assert found(named, quote(q, safe="")) == [name]
    assert found(named, quote(quote(q, safe=""), safe="")) == [name]
    assert found(named, quote_plus(quote_plus(q))) == [name]
    assert found(named, quote(f"name={quote(name, safe='')}", safe="")) == [name]


def test_a_backslash_takes_the_meaning_of_what_begins_a_value(named: tuple[Api, str, list[str]]) -> None:
    assert found(named, quote("name=\\~b", safe="")) == ["~b"]
    assert found(named, quote("name=\\{b}", safe="")) == ["{b}"]


@pytest.mark.parametrize("encoded", ["name=~%FF", "name=%C0%80", "%FF=a", "name=%ED%A0%80", "q=%", "name=a&q=name=b"])
def test_bad_encodings_are_no_error_of_the_servers(named: tuple[Api, str, list[str]], encoded: str) -> None:
    api, path, _ = named
    assert api.account is not None
    answer = raw(api.url, "GET", f"{PREFIX}{path}&q={encoded}", basic(api.account.login, api.account.secret))
    assert answer.status in (200, 400), answer


def test_a_stranger_cannot_ask_by_q_for_what_is_hidden(world: World) -> None:
    """An oracle: by what a filter finds one could guess a value letter by letter."""
    secret = world.project()
    stranger = Api(world.url, world.user())
    for query in (f"name={secret}", f"name=~{secret[:8]}", "public=false", "owner_id=[0~]"):
        answer = stranger("GET", "/projects", query={"q": query, "page_size": 100})
        if answer.status == 200:
            assert secret not in [project["name"] for project in answer.json()]


# The grammar itself.


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        conditions = parse_q(text)
    except BadRequest as error:
        assert error.message.startswith("q")  # noqa: PT017 - both ways are right
        return
    for condition in conditions:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", condition.key)
        assert (len(condition.values), any(condition.values)) == (
            {"exact": 1, "fuzzy": 1, "range": 2}.get(condition.match, len(condition.values)),
            True,
        )


WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters=",[]{}()\"'~=%\\+", exclude_categories=["Z", "C"]), min_size=1
)
KEYS = st.from_regex(r"[a-z][a-z0-9_.]{0,20}", fullmatch=True)
CONDITIONS = st.one_of(
    st.builds(lambda k, v: (f"{k}={v}", Condition(k, "exact", (v,))), KEYS, WORDS),
    st.builds(lambda k, v: (f"{k}=~{v}", Condition(k, "fuzzy", (v,))), KEYS, WORDS),
    st.builds(lambda k, a, b: (f"{k}=[{a}~{b}]", Condition(k, "range", (a, b))), KEYS, WORDS, WORDS),
    st.builds(
        lambda k, v: (f"{k}={{{' '.join(v)}}}", Condition(k, "any", tuple(v))),
        KEYS,
        st.lists(WORDS, min_size=1, max_size=5),
    ),
    st.builds(
        lambda k, v: (f"{k}=({' '.join(v)})", Condition(k, "all", tuple(v))),
        KEYS,
        st.lists(WORDS, min_size=1, max_size=5),
    ),
)


@given(st.lists(CONDITIONS, max_size=6), st.integers(0, 2))
def test_what_is_written_is_what_is_read(terms: list[tuple[str, Condition]], times: int) -> None:
    text = ",".join(written for written, _ in terms)
    for _ in range(times if "=" in text else 0):
        text = quote(text, safe="")
    if times < 2:
        assert parse_q(text) == [condition for _, condition in terms]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Number, text) for text in ("1_0", " 1", "٣", "1e3", "0x1", "--1", "9223372036854775808", "1" * 20)),
        *(
            (Moment, text)
            for text in ("now", "infinity", "2024", "2024-13-01", "1704067200", "\uff12024-01-01", "24:00")
        ),
        *((Flag, text) for text in ("yes", "2", "tru", "true ")),
        *((Text, text) for text in ("\0", "\ud800", "\u202e", "a\nb", "\u2028")),
    ],
)
def test_what_is_no_value_of_its_kind_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(BadRequest, match=f"q: thing: .* is not {re.escape(kind.what)}"):
        read(kind, "thing", text)


def test_values_are_read_as_they_are_meant() -> None:
    assert read(Number, "n", "-12") == -12
    assert read(Moment, "n", "2024-12-31T23:59:59") == datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert read(Flag, "n", "TRUE") is True
    assert read(Text, "n", "ä b") == "ä b"
    assert read(Number, "n", "") is None
