"""Uploads and mounts (C-20..C-42)."""

from collections.abc import Sequence

import pytest

from tests.factories import World
from tests.images import EMPTY, sha256, sha512, unique
from tests.ociclient import HOW, Client
from tests.protocol.calls import Call, Scene, check, play
from tests.wire import basic, connect, raw, read_answer

SIZE = 2048
HALF = SIZE // 2
SESSION = r"~/v2/$repository/blobs/uploads/[0-9a-f-]{36}"

START = Call(
    "POST /v2/$repository/blobs/uploads/",
    202,
    expect={"Location": SESSION, "Docker-Upload-UUID": "~[0-9a-f-]{36}", "Range": "0-0", "Content-Length": "0"},
)


def patch(body: str, content_range: str | None = None, status: int | tuple[int, ...] = 202, code: str = "") -> Call:
    headers = {} if content_range is None else {"Content-Range": content_range}
    return Call("PATCH $location", status, headers, body, code=code)


def held(last: int) -> Call:
    """The session lives and holds the bytes up to `last`."""
    return Call("GET $location", 204, expect={"Location": "$location", "Range": f"0-{last}"})


def put(
    body: str = "nothing",
    content_range: str | None = None,
    status: int | tuple[int, ...] = 201,
    code: str = "",
    query: str = "?digest=$digest",
) -> Call:
    headers = {} if content_range is None else {"Content-Range": content_range}
    expect = {"Location": "/v2/$repository/blobs/$digest", "Docker-Content-Digest": "$digest"} if status == 201 else {}
    return Call(f"PUT $location{query}", status, headers, body, expect=expect, code=code)


PULLS = Call("GET /v2/$repository/blobs/$digest", 200, expect={"Content-Length": str(SIZE)}, content="data")
ABSENT = Call("HEAD /v2/$repository/blobs/$digest", 404, code="BLOB_UNKNOWN")
GONE = [
    Call("GET $location", 404, code="BLOB_UPLOAD_UNKNOWN"),
    Call("PATCH $location", 404, body="data", code="BLOB_UPLOAD_UNKNOWN"),
    Call("PUT $location?digest=$digest", 404, body="data", code="BLOB_UPLOAD_UNKNOWN"),
    Call("DELETE $location", 404, code="BLOB_UPLOAD_UNKNOWN"),
]
POST_ONLY = "POST /v2/$repository/blobs/uploads/?digest="

ROWS: dict[str, Sequence[Call]] = {
    "C-20 a session starts": [START, held(0)],
    "C-21 one POST": [
        Call(
            f"{POST_ONLY}$digest",
            201,
            body="data",
            expect={"Location": "/v2/$repository/blobs/$digest", "Docker-Content-Digest": "$digest"},
        ),
        PULLS,
    ],
    "C-21 one chunked POST": [Call(f"{POST_ONLY}$digest", 201, body="data", chunked=True), PULLS],
    "C-21 one POST with the digest of other bytes": [
        Call(f"{POST_ONLY}$digest", 400, body="other", code="DIGEST_INVALID"),
        ABSENT,
    ],
    "C-21 one POST with no digest at all": [
        Call(f"{POST_ONLY}sha256:baddigeststring", 400, body="data", code="DIGEST_INVALID"),
    ],
    "C-22 a stream": [
        START,
        Call(
            "PATCH $location",
            202,
            body="data",
            chunked=True,
            expect={"Location": SESSION, "Range": f"0-{SIZE - 1}", "Content-Length": "0"},
        ),
        put(),
        PULLS,
    ],
    "C-22 a second stream continues the first": [
        START,
        Call("PATCH $location", 202, body="first", chunked=True),
        Call("PATCH $location", 202, body="second", chunked=True, expect={"Range": f"0-{SIZE - 1}"}),
        put(),
        PULLS,
    ],
    "C-23 two chunks": [
        START,
        Call("PATCH $location", 202, {"Content-Range": f"0-{HALF - 1}"}, "first", {"Range": f"0-{HALF - 1}"}),
        Call("PATCH $location", 202, {"Content-Range": f"{HALF}-{SIZE - 1}"}, "second", {"Range": f"0-{SIZE - 1}"}),
        put(),
        PULLS,
    ],
    "C-23 the first chunk does not start at 0": [
        START,
        patch("first", f"1-{HALF}", 416, "BLOB_UPLOAD_INVALID"),
        held(0),
    ],
    "C-24 a chunk behind a gap, then the right one": [
        START,
        patch("first", f"0-{HALF - 1}"),
        patch("second", f"{HALF + 1}-{SIZE}", 416, "BLOB_UPLOAD_INVALID"),
        held(HALF - 1),
        patch("second", f"{HALF}-{SIZE - 1}"),
        put(),
        PULLS,
    ],
    "C-25 a chunk again": [
        START,
        patch("first", f"0-{HALF - 1}"),
        patch("first", f"0-{HALF - 1}", 416, "BLOB_UPLOAD_INVALID"),
        held(HALF - 1),
    ],
    "C-23 less than the range says": [START, patch("first", f"0-{HALF}", 400, "SIZE_INVALID"), held(0)],
    "C-23 more than the range says": [START, patch("first", f"0-{HALF - 2}", 400, "SIZE_INVALID"), held(0)],
    "C-23 less than the range says, chunked": [
        START,
        Call("PATCH $location", 400, {"Content-Range": f"0-{HALF}"}, "first", code="SIZE_INVALID", chunked=True),
        held(0),
    ],
    "C-23 more than the range says, chunked": [
        START,
        Call("PATCH $location", 400, {"Content-Range": f"0-{HALF - 2}"}, "first", code="SIZE_INVALID", chunked=True),
        held(0),
    ],
    "C-26 the digest closes an empty session": [START, put("data"), PULLS],
    "C-26 a chunked PUT": [START, Call("PUT $location?digest=$digest", 201, body="data", chunked=True), PULLS],
    "C-26 the last chunk with the digest": [
        START,
        patch("first", f"0-{HALF - 1}"),
        put("second", f"{HALF}-{SIZE - 1}"),
        PULLS,
    ],
    "C-26 the last chunk out of order leaves the session open": [
        START,
        patch("first", f"0-{HALF - 1}"),
        put("second", f"{HALF + 1}-{SIZE}", 416, "BLOB_UPLOAD_INVALID"),
        held(HALF - 1),
        put("second", f"{HALF}-{SIZE - 1}"),
        PULLS,
    ],
    "C-26 no digest": [START, put("data", status=400, code="DIGEST_INVALID", query=""), ABSENT],
    "C-26 an empty digest": [START, put("data", status=400, code="DIGEST_INVALID", query="?digest="), ABSENT],
    "C-26 a malformed digest": [
        START,
        patch("data"),
        put(status=400, code="DIGEST_INVALID", query="?digest=sha256:baddigeststring"),
        held(SIZE - 1),
        put(),
    ],
    "C-26 an unknown algorithm": [
        START,
        put("data", status=400, code="DIGEST_INVALID", query="?digest=md5:d41d8cd98f00b204e9800998ecf8427e"),
    ],
    "C-26 the digest of other bytes": [
        START,
        patch("first"),
        put("nothing", status=400, code="DIGEST_INVALID"),
        ABSENT,
        Call("HEAD /v2/$repository/blobs/$first_digest", 404),
    ],
    "C-27 the Location pulls and the session is gone": [
        START,
        put("data"),
        Call("GET $pulls", 200, content="data"),
        *GONE,
    ],
    "C-30 cancel": [START, patch("first"), Call("DELETE $location", 204), *GONE, ABSENT],
    "C-30 a session nobody started": [
        Call(f"{method} /v2/$repository/blobs/uploads/{session}$query", 404, body="data", code="BLOB_UPLOAD_UNKNOWN")
        for session in ("3d1a2f60-8a4f-4f3c-9d6b-1a2b3c4d5e6f", "nonsense", "3D1A2F60-8A4F-4F3C-9D6B-1A2B3C4D5E6F")
        for method in ("GET", "PATCH", "PUT", "DELETE")
    ],
    "C-33 chunks of one byte": [
        Call("POST /v2/$repository/blobs/uploads/", 202, expect={"OCI-Chunk-Min-Length": None}),
        *(patch(f"byte{place}", f"{place}-{place}") for place in range(3)),
        put(query="?digest=$three_bytes_digest", status=(201,)),
    ],
}  # fmt: skip


def scene_of(repository: str) -> Scene:
    data = unique(SIZE)
    return {
        "repository": repository,
        "data": data,
        "first": data[:HALF],
        "second": data[HALF:],
        "other": unique(SIZE),
        "nothing": b"",
        "digest": sha256(data),
        "first_digest": sha256(data[:HALF]),
        "query": f"?digest={sha256(data)}",
        **{f"byte{place}": data[place : place + 1] for place in range(3)},
        "three_bytes_digest": sha256(data[:3]),
    }


@pytest.mark.parametrize("row", ROWS)
def test_uploads(player: Client, repository: str, row: str) -> None:
    play(player, scene_of(repository), ROWS[row])


MALFORMED_RANGES = [
    "abc", "1", "-", "0-", "-5", "5-0", "0--1", "+0-9", "0-+9", "1_0-2_0", "0x0-0x9", "0 - 9", "0-9,10-19", "0-9-9",
    "18446744073709551616-18446744073709551625", "9" * 5000 + "-" + "9" * 5000, "", "bytes", "items 0-9/10",
]  # fmt: skip


@pytest.mark.parametrize("content_range", MALFORMED_RANGES, ids=lambda text: text[:24] or "empty")
def test_malformed_content_range_is_refused(player: Client, repository: str, content_range: str) -> None:
    """C-23: strict ASCII digits; Python's int() would take some of these."""
    location = player.session_of(repository)
    answer = player.append(location, b"0123456789", content_range=content_range)
    check("PATCH", answer)
    assert answer.status in (400, 416)
    assert player.request("GET", location).headers["Range"] == "0-0"


def test_digits_of_other_scripts_are_no_range(player: Client, repository: str) -> None:
    """C-23: full-width digits, as the bytes of UTF-8."""
    location = player.session_of(repository)
    headers = {
        "Authorization": "Bearer " + player.token_text(f"repository:{repository}:pull,push"),
        "Content-Range": "\uff10-\uff19".encode().decode("latin-1"),
    }
    assert raw(player.url, "PATCH", location, headers, b"0123456789").status in (400, 416)


@pytest.mark.parametrize("content", [b"", EMPTY], ids=["empty", "braces"])
@pytest.mark.parametrize("how", HOW)
def test_smallest_blobs_by_every_method(player: Client, repository: str, how: str, content: bytes) -> None:
    """C-29"""
    digest = player.push_blob(repository, content, how)
    assert player.get_blob(repository, digest).body == content
    assert player.head_blob(repository, digest).headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize("how", HOW)
def test_every_method_takes_sha512_without_being_told_before(player: Client, repository: str, how: str) -> None:
    """C-28: the algorithm is known at the closing PUT only."""
    content = unique(SIZE)
    digest = player.push_blob(repository, content, how, digest=sha512(content))
    answer = player.get_blob(repository, digest)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.body == content


def test_wrong_sha512_is_refused(player: Client, repository: str) -> None:
    """C-28"""
    answer = player.finish(player.session_of(repository), sha512(b"something else"), unique())
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_announced_algorithm_is_taken(player: Client, repository: str, algorithm: str) -> None:
    """Spec main: POST ?digest-algorithm="""
    content = unique(SIZE)
    digest = {"sha256": sha256, "sha512": sha512}[algorithm](content)
    location = player.session_of(repository, **{"digest-algorithm": algorithm})
    answer = player.append(location, content[:HALF])
    assert player.finish(answer.headers["Location"], digest, content[HALF:]).status == 201
    assert player.get_blob(repository, digest).body == content


def test_unknown_algorithm_is_refused_at_the_start(player: Client, repository: str) -> None:
    answer = player.start(repository, **{"digest-algorithm": "md5"})
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("how", HOW)
def test_blob_of_many_megabytes_by_every_method(player: Client, repository: str, how: str) -> None:
    content = unique(1 << 16) * 113  # about 7 MiB, no multiple of any buffer
    digest = player.push_blob(repository, content, how)
    assert player.get_blob(repository, digest).body == content


def test_session_belongs_to_its_repository(player: Client, world: World) -> None:
    """C-31"""
    here, elsewhere = world.repository(), world.repository()
    player.push_blob(elsewhere, unique())
    content = unique(SIZE)
    location = player.session_of(here)
    foreign = location.replace(here, elsewhere)
    for method in ("GET", "PATCH", "DELETE", "PUT"):
        answer = player.request(method, foreign, body=content, params=[("digest", sha256(content))])
        assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"]), method
    assert player.finish(location, sha256(content), content).status == 201


def test_expect_100_continue_is_answered_before_the_body(player: Client, repository: str) -> None:
    content = unique()
    location = player.session_of(repository)
    token = player.token_text(f"repository:{repository}:pull,push")
    head = (
        f"PUT {location}?digest={sha256(content)} HTTP/1.1\r\nHost: {player.host}\r\nAuthorization: Bearer {token}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with connect(player.url, timeout=10) as wire:
        wire.sendall(head.encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 100 ")
        wire.sendall(content)
        assert read_answer(wire, "PUT").status == 201


def test_basic_credentials_work_without_a_token(player: Client, repository: str) -> None:
    content = unique()
    path = f"/v2/{repository}/blobs/uploads/?digest={sha256(content)}"
    headers = basic(player.username, player.secret)
    assert raw(player.url, "POST", path, headers, content).status == 201
