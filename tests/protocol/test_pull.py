"""Names, references and reads (C-01..C-16)."""

import re
from urllib.parse import quote

import pytest

from tests.factories import World
from tests.images import OCI_CONFIG, OCI_IMAGE, Image, descriptor, dump, image_manifest, sha256, sha512, unique
from tests.ociclient import Client
from tests.protocol.calls import Call, Scene, check, check_envelope, play
from tests.wire import Answer, bearer, raw

BLOB = unique(2048)
NOWHERE = sha256(b"nobody has pushed this")


@pytest.fixture(scope="module")
def image(world: World) -> Image:
    """One image for all reads of this module: `BLOB` is a layer of it."""
    client = world.player()
    repository = world.repository()
    client.push_blob(repository, BLOB)
    config = dump({"os": "linux"})
    client.push_blob(repository, config)
    document = image_manifest(descriptor(config, OCI_CONFIG), [descriptor(BLOB, "application/x-test")])
    content = dump(document)
    for reference in ("v1", "0.1.2", sha512(content)):
        assert client.push_manifest(repository, reference, document).status == 201
    return Image(repository, sha256(content), OCI_IMAGE, content, config, (BLOB,))


# Names and references.

BAD_NAMES = [
    "UPPER/case", "project/Upper", "-project/a", "project-/a", "project/-a", "project/a-", "project//a", "project/a/",
    "project/a..b", "project/a___b", "project/.a", "project/_a", "project/a._b", "project/../a", "../project/a",
    "project/a%2fb", "%2e%2e/a", "project/..%2fa", "project/..%2f..%2fa", "project/%2e%2e/%2e%2e/a", "project/a%0a",
    "project/a%0d%0a", "project/a%00", "project/a%20b", "project/a;b=c", "project/a%5cb", "project/%252e%252e/a",
    "project/ä", "project/%c3%a4", "project/%ff", "project/" + "a" * 256, "a" * 300 + "/b", "noproject", "project/a:b",
    "project/a@b", "project/*", "project/%22", "project/<b>", "project/a%3fb", "project/a%23b",
]  # fmt: skip
NAMED = {
    "GET tags": "GET /v2/{}/tags/list",
    "GET manifest": "GET /v2/{}/manifests/latest",
    "HEAD manifest": "HEAD /v2/{}/manifests/latest",
    "PUT manifest": "PUT /v2/{}/manifests/latest",
    "DELETE manifest": "DELETE /v2/{}/manifests/latest",
    "GET blob": f"GET /v2/{{}}/blobs/{NOWHERE}",
    "DELETE blob": f"DELETE /v2/{{}}/blobs/{NOWHERE}",
    "POST upload": "POST /v2/{}/blobs/uploads/",
    "PATCH upload": "PATCH /v2/{}/blobs/uploads/3d1a2f60-8a4f-4f3c-9d6b-1a2b3c4d5e6f",
    "GET referrers": f"GET /v2/{{}}/referrers/{NOWHERE}",
}


@pytest.fixture(scope="module")
def token(world: World) -> dict[str, str]:
    """Credentials that would be good for the names if these were names."""
    return bearer(world.player().token_text("repository:project/a:pull,push,delete"))


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda text: text[:32])
def test_bad_name_is_refused(world: World, token: dict[str, str], name: str) -> None:
    """C-01, S-120: never another status, whatever is asked of it and by whom."""
    verbatim = quote(name, safe='/%:@;=*<>"')
    for row, request in NAMED.items():
        method, _, path = request.format(verbatim).partition(" ")
        for headers in ({}, token):
            answer = raw(world.url, method, path, headers)
            assert answer.status in (400, 404), f"{row} {answer}"
            if answer.headers.get("Docker-Distribution-API-Version"):
                check(method, answer)
            if method != "HEAD" and answer.status == 400:
                assert answer.codes == ["NAME_INVALID"], f"{row} {answer}"


GOOD_NAMES = [
    "a/b",
    "a-b.c_d__e/0",
    "a/b/c/d/e",
    "a1--2/b---c",
    "a/tags",
    "a/manifests/blobs",
    "a/blobs/uploads",
    "a/" + "b" * 253,
]


@pytest.mark.parametrize("name", GOOD_NAMES, ids=lambda text: text[:32])
def test_good_name_is_only_unknown(world: World, name: str) -> None:
    """C-01: not refused as a name. An administrator sees that there is no such repository."""
    admin = world.admin()
    for request in ("GET /v2/{}/tags/list", "GET /v2/{}/manifests/latest", f"GET /v2/{{}}/blobs/{NOWHERE}"):
        method, _, path = request.format(name).partition(" ")
        answer = admin.request(method, path)
        assert answer.status in (403, 404), answer


def test_names_with_keywords_of_the_routes_can_be_used(player: Client, world: World) -> None:
    for path in ("tags", "manifests/latest", "blobs/uploads", "referrers/tags/list", "tags/list/manifests/v1"):
        repository = f"{world.repository()}/{path}"
        image = player.push_image(repository, "v1")
        assert player.pull(repository, "v1")[image.digest] == image.content
        assert player.tags(repository) == ["v1"]


BAD_REFERENCES = [
    "a" * 129, ".a", "-a", "a%20b", "a%0a", "a%00", "%c3%a4", "a;b", "a+b", "a%5cb", "%2e%2e", "a@b", "a%25",
    "sha256:bad", "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256:", ":",
    "sha256:" + "a" * 64 + "%0a", "sha256%3abad", "sha512:" + "a" * 64, "sha256+b64:" + "a" * 64,
]  # fmt: skip


@pytest.mark.parametrize("reference", BAD_REFERENCES, ids=lambda text: text[:24])
@pytest.mark.parametrize("kind", ["manifests", "blobs", "referrers"])
def test_malformed_reference_is_refused(player: Client, image: Image, kind: str, reference: str) -> None:
    """C-02, C-03, S-120"""
    headers = bearer(player.token_text(f"repository:{image.repository}:pull"))
    answer = raw(player.url, "GET", f"/v2/{image.repository}/{kind}/{reference}", headers)
    check("GET", answer)
    assert answer.status in (400, 404)
    if kind == "referrers":
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])  # C-64


# Manifests.


@pytest.mark.parametrize("reference", ["tag", "digest"])
def test_manifest_headers_and_bytes(player: Client, image: Image, reference: str) -> None:
    """C-10, C-12"""
    name = {"tag": "v1", "digest": image.digest}[reference]
    got = player.get_manifest(image.repository, name)
    head = player.head_manifest(image.repository, name)
    for answer in (got, head):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == OCI_IMAGE
        assert answer.headers["Content-Length"] == str(len(image.content))
        assert answer.headers["Docker-Content-Digest"] == image.digest
        assert answer.headers["ETag"] == f'"{image.digest}"'
    assert got.body == image.content
    check("HEAD", head)


def test_manifest_by_sha512(player: Client, image: Image) -> None:
    """C-16"""
    answer = player.get_manifest(image.repository, sha512(image.content))
    assert answer.headers["Docker-Content-Digest"] == sha512(image.content)
    assert answer.body == image.content


ROWS = {
    "C-10 no such tag": Call("GET /v2/$repository/manifests/none", 404, code="MANIFEST_UNKNOWN"),
    "C-10 no such digest": Call("GET /v2/$repository/manifests/$nowhere", 404, code="MANIFEST_UNKNOWN"),
    "C-10 HEAD of no such tag": Call("HEAD /v2/$repository/manifests/none", 404),
    "C-10 tags are told by case": Call("GET /v2/$repository/manifests/V1", 404, code="MANIFEST_UNKNOWN"),
    "C-10 no such repository": Call("GET /v2/$repository-none/manifests/v1", 404, code="NAME_UNKNOWN"),
    "C-13 no such blob": Call("GET /v2/$repository/blobs/$nowhere", 404, code="BLOB_UNKNOWN"),
    "C-13 HEAD of no such blob": Call("HEAD /v2/$repository/blobs/$nowhere", 404),
    "C-13 a manifest is no blob": Call("GET /v2/$repository/blobs/$manifest", 404, code="BLOB_UNKNOWN"),
    "C-13 a blob is no manifest": Call("GET /v2/$repository/manifests/$blob", 404, code="MANIFEST_UNKNOWN"),
    "C-14 a part": Call(
        "GET /v2/$repository/blobs/$blob", 206, {"Range": "bytes=500-1499"}, b"",
        {"Content-Range": "bytes 500-1499/2048", "Content-Length": "1000"}, content="500-1499",
    ),
    "C-14 from an offset": Call(
        "GET /v2/$repository/blobs/$blob", 206, {"Range": "bytes=500-"}, b"",
        {"Content-Range": "bytes 500-2047/2048", "Content-Length": "1548"}, content="500-",
    ),
    "C-14 the end": Call(
        "GET /v2/$repository/blobs/$blob", 206, {"Range": "bytes=-500"}, b"",
        {"Content-Range": "bytes 1548-2047/2048", "Content-Length": "500"}, content="-500",
    ),
    "C-14 more than there is": Call(
        "GET /v2/$repository/blobs/$blob", 206, {"Range": "bytes=2000-5000"}, b"",
        {"Content-Range": "bytes 2000-2047/2048", "Content-Length": "48"}, content="2000-5000",
    ),
    "C-14 the end, more than there is": Call(
        "GET /v2/$repository/blobs/$blob", (200, 206), {"Range": "bytes=-5000"}, b"", {"Content-Length": "2048"},
        content="data",
    ),
    "C-14 the first byte": Call(
        "GET /v2/$repository/blobs/$blob", 206, {"Range": "bytes=0-0"}, b"", {"Content-Length": "1"}
    ),
    "C-14 inverted": Call(
        "GET /v2/$repository/blobs/$blob", 416, {"Range": "bytes=500-0"}, b"", {"Content-Range": "bytes */2048"}
    ),
    "C-14 outside": Call(
        "GET /v2/$repository/blobs/$blob", 416, {"Range": "bytes=5000-10000"}, b"", {"Content-Range": "bytes */2048"}
    ),
    "C-14 just outside": Call("GET /v2/$repository/blobs/$blob", 416, {"Range": "bytes=2048-"}),
    "C-14 several ranges are answered whole": Call(
        "GET /v2/$repository/blobs/$blob", 200, {"Range": "bytes=0-1,5-6"}, b"", {"Content-Range": None}, content="data"
    ),
    "C-14 another unit is ignored": Call(
        "GET /v2/$repository/blobs/$blob", 200, {"Range": "lines=0-1"}, content="data"
    ),
    "C-14 no range is ignored": Call("GET /v2/$repository/blobs/$blob", 200, {"Range": "bytes=x-y"}, content="data"),
    "C-14 parts are announced": Call("HEAD /v2/$repository/blobs/$blob", 200, expect={"Accept-Ranges": "bytes"}),
    "C-15 the same manifest is not sent again": Call(
        "GET /v2/$repository/manifests/v1", 304, {"If-None-Match": '"$manifest"'}, b"",
        {"ETag": '"$manifest"', "Docker-Content-Digest": "$manifest"}, content="nothing",
    ),
    "C-15 one of several": Call("GET /v2/$repository/manifests/v1", 304, {"If-None-Match": '"x", "$manifest"'}),
    "C-15 weakly the same": Call("GET /v2/$repository/manifests/v1", 304, {"If-None-Match": 'W/"$manifest"'}),
    "C-15 any": Call("GET /v2/$repository/manifests/v1", 304, {"If-None-Match": "*"}),
    "C-15 another manifest is sent": Call(
        "GET /v2/$repository/manifests/v1", 200, {"If-None-Match": '"$nowhere"'}, content="content"
    ),
    "C-15 the same manifest, HEAD": Call("HEAD /v2/$repository/manifests/v1", 304, {"If-None-Match": '"$manifest"'}),
    "the same blob is not sent again": Call(
        "GET /v2/$repository/blobs/$blob", 304, {"If-None-Match": '"$blob"'}, content="nothing"
    ),
    "S-88 a blob is no page": Call(
        "GET /v2/$repository/blobs/$blob", 200, expect={
            "Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
            "Docker-Content-Digest": "$blob", "Content-Length": "2048",
        }, content="data",
    ),
}  # fmt: skip


def scene_of(image: Image) -> Scene:
    return {
        "repository": image.repository,
        "manifest": image.digest,
        "content": image.content,
        "blob": sha256(BLOB),
        "nowhere": NOWHERE,
        "nothing": b"",
        "data": BLOB,
        "500-1499": BLOB[500:1500],
        "500-": BLOB[500:],
        "-500": BLOB[-500:],
        "2000-5000": BLOB[2000:],
    }


@pytest.mark.parametrize("row", ROWS)
def test_reads(player: Client, image: Image, row: str) -> None:
    play(player, scene_of(image), [ROWS[row]])


ACCEPTS = {
    "nothing": [],
    "anything": ["*/*"],
    "its type": [OCI_IMAGE],
    "several headers": ["application/x-other", OCI_IMAGE],
    "a list": [f"application/x-other, {OCI_IMAGE}"],
    "q-values": [f"application/x-other;q=1.0, {OCI_IMAGE};q=0.5, */*;q=0.1"],
    "parameters": [f"{OCI_IMAGE}; charset=utf-8"],
    "odd spaces": [f" ,, {OCI_IMAGE} ,"],
    "another type": ["application/vnd.docker.distribution.manifest.v1+prettyjws"],
    "nonsense": [";;;q=x"],
}


@pytest.mark.parametrize("row", ACCEPTS)
def test_what_clients_accept_never_hides_a_manifest(player: Client, image: Image, row: str) -> None:
    """C-15"""
    headers = [("Accept", value) for value in ACCEPTS[row]]
    token = player.token_text(f"repository:{image.repository}:pull")
    for method in ("GET", "HEAD"):
        answer = raw(player.url, method, f"/v2/{image.repository}/manifests/v1", [*headers, *bearer(token).items()])
        assert answer.status == 200
        assert answer.headers["Content-Type"] == OCI_IMAGE
        assert answer.body == (image.content if method == "GET" else b"")


def test_nothing_is_compressed(player: Client, image: Image) -> None:
    """C-11: Go's client would lose Content-Length."""
    headers = {
        **bearer(player.token_text(f"repository:{image.repository}:pull")),
        "Accept-Encoding": "gzip, deflate, br, zstd",
    }
    for path in ("manifests/v1", f"blobs/{sha256(BLOB)}", "tags/list", f"referrers/{image.digest}"):
        answer = raw(player.url, "GET", f"/v2/{image.repository}/{path}", headers)
        assert answer.status == 200
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize(
    "path",
    ["manifests/v1", f"blobs/{sha256(BLOB)}", "tags/list", f"referrers/{NOWHERE}"],
    ids=["manifest", "blob", "tags", "referrers"],
)
def test_head_says_what_get_says(player: Client, image: Image, path: str) -> None:
    """C-12"""
    got = player.request("GET", f"/v2/{image.repository}/{path}")
    head = player.request("HEAD", f"/v2/{image.repository}/{path}")
    assert _comparable(head) == _comparable(got)
    assert head.body == b""


def _comparable(answer: Answer) -> tuple[int, dict[str, str]]:
    changing = {"date", "x-request-id"}
    return answer.status, {k.lower(): v for k, v in answer.headers.items() if k.lower() not in changing}


def test_not_modified_says_nothing_of_another_type(player: Client, image: Image) -> None:
    """RFC 9110 15.4.5: a cache would take the header over the one it has."""
    for path, digest in (("manifests/v1", image.digest), (f"blobs/{sha256(BLOB)}", sha256(BLOB))):
        full = player.request("GET", f"/v2/{image.repository}/{path}")
        answer = player.request("GET", f"/v2/{image.repository}/{path}", headers={"If-None-Match": f'"{digest}"'})
        assert answer.status == 304
        assert answer.headers.get("Content-Type") in (None, full.headers["Content-Type"])
        assert answer.headers.get("Content-Length") in (None, full.headers["Content-Length"])


# Blobs.


def test_blob_of_another_repository_is_unknown(player: Client, world: World) -> None:
    """C-13"""
    here, elsewhere = world.repository(), world.repository()
    digest = player.push_blob(elsewhere, unique())
    player.push_blob(here, unique())
    assert player.get_blob(here, digest).codes == ["BLOB_UNKNOWN"]
    assert player.head_blob(here, digest).status == 404


def test_range_of_an_empty_blob(player: Client, repository: str) -> None:
    digest = player.push_blob(repository, b"")
    answer = player.get_blob(repository, digest, range="bytes=0-")
    assert answer.status in (200, 416)
    assert answer.headers["Content-Length"] == str(len(answer.body))


# Errors.


@pytest.mark.parametrize(
    "path",
    ["/v2/_nothing", "/v2/a", "/v2/a/b", "/v2/a/b/c/", "/v2/a/b/manifests/", "/v2/a/b/manifests/x/y", "/v2/v1/search"],
)
def test_what_is_no_endpoint_is_not_found(world: World, path: str) -> None:
    """C-04: in the envelope."""
    for headers in ({}, bearer(world.player().token_text())):
        answer = raw(world.url, "GET", path, headers)
        check("GET", answer)
        assert answer.status == 404


@pytest.mark.parametrize("path", ["/nothing", "/v2x", "/v1/_ping", "/api/v2.0/nothing"])
def test_what_is_no_page_is_not_found(world: World, path: str) -> None:
    answer = raw(world.url, "GET", path)
    assert answer.status == 404
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    assert answer.codes == ["NOT_FOUND"]


METHODS = {
    "POST tags": ("POST", "tags/list", "GET, HEAD, OPTIONS"),
    "PUT tags": ("PUT", "tags/list", "GET, HEAD, OPTIONS"),
    "POST manifest": ("POST", "manifests/v1", "GET, PUT, DELETE, HEAD, OPTIONS"),
    "PATCH manifest": ("PATCH", "manifests/v1", "GET, PUT, DELETE, HEAD, OPTIONS"),
    "PUT blob": ("PUT", f"blobs/{NOWHERE}", "GET, DELETE, HEAD, OPTIONS"),
    "POST referrers": ("POST", f"referrers/{NOWHERE}", "GET, HEAD, OPTIONS"),
    "GET uploads": ("GET", "blobs/uploads/", "POST, OPTIONS"),
    "PROPFIND": ("PROPFIND", "tags/list", "GET, HEAD, OPTIONS"),
    "TRACE": ("TRACE", "tags/list", "GET, HEAD, OPTIONS"),
}


@pytest.mark.parametrize("row", METHODS)
def test_methods_that_are_not_there(player: Client, image: Image, row: str) -> None:
    """S-168"""
    method, path, allow = METHODS[row]
    headers = bearer(player.token_text(f"repository:{image.repository}:pull,push"))
    answer = raw(player.url, method, f"/v2/{image.repository}/{path}", headers)
    check_envelope(answer)
    assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
    assert set(re.split(", *", answer.headers["Allow"])) == set(allow.split(", "))
