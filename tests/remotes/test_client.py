"""The client against a registry that does as it is told."""

import json
from typing import Any

import pytest

from remotes.client import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX, Head, RegistryClient, RemoteManifest
from remotes.errors import (
    RemoteError,
    RemoteInvalid,
    RemoteNotFound,
    RemoteRateLimited,
    RemoteRefused,
    RemoteUnauthorized,
    RemoteUnavailable,
)
from tests.images import Image, dump, sha256, sha512, unique
from tests.remote_acts import cut, hang_up, lie, refuse, status
from tests.remote_fake import FakeRegistry

REPOSITORY = "team/app"
BIG = 2_000_000


# The registry itself.


def test_ping(client: RegistryClient) -> None:
    client.ping()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(200, b"<html>"), RemoteInvalid),
        (status(200, b"{}", Content_Type="text/html"), RemoteInvalid),
        (status(404), RemoteNotFound),
        (status(401), RemoteUnauthorized),
        (status(403), RemoteUnauthorized),
        (status(429, Retry_After="60"), RemoteRateLimited),
        (status(500), RemoteUnavailable),
        (status(204), RemoteInvalid),
        (status(302, Location="/elsewhere"), RemoteNotFound),
        (status(418), RemoteRefused),
        (hang_up, RemoteUnavailable),
    ],
)
def test_what_is_no_registry(fake: FakeRegistry, client: RegistryClient, answer: Any, kind: type[RemoteError]) -> None:
    fake.rule("GET", "/v2/$", answer)
    with pytest.raises(kind) as caught:
        client.ping()
    assert type(caught.value) is kind
    assert fake.count("GET", "/v2/$") == 1


def test_an_error_knows_status_words_and_time(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.rule("GET", "/tags/", lie(of=refuse(429, "TOOMANYREQUESTS"), Retry_After="60"))
    with pytest.raises(RemoteRateLimited) as caught:
        list(client.tags(REPOSITORY))
    assert (caught.value.answer, caught.value.codes, caught.value.retry_after) == (429, ("TOOMANYREQUESTS",), 60.0)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"errors": 1}', b'{"errors": [1, {}, {"code": 7}, {"code": "<b>"}]}', b"[" * 100_000]
)
def test_an_error_without_words(fake: FakeRegistry, client: RegistryClient, body: bytes) -> None:
    fake.rule("GET", "/tags/", status(400, body))
    with pytest.raises(RemoteRefused) as caught:
        list(client.tags(REPOSITORY))
    assert caught.value.codes == ()


# Lists.


def test_tags_and_repositories_in_pages(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.page = 3
    for number in range(8):
        fake.image(REPOSITORY, f"v{number}")
        fake.image(f"team/other-{number}")
    assert list(client.tags(REPOSITORY)) == [f"v{number}" for number in range(8)]
    assert list(client.repositories()) == [REPOSITORY, *(f"team/other-{number}" for number in range(8))]
    assert fake.count("GET", "/tags/list") == 3


def test_no_tags(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.image(REPOSITORY)
    fake.rule("GET", "/tags/", status(200, b'{"name": "team/app", "tags": null}'), times=1)
    assert list(client.tags(REPOSITORY)) == []
    with pytest.raises(RemoteNotFound):
        list(client.tags("team/nothing"))


def test_names_that_would_be_something_else_are_passed_over(fake: FakeRegistry, client: RegistryClient) -> None:
    names = ["good", "../evil", "UPPER", "a//b", "a?b", 5, None, "a" * 300, "team/app"]
    fake.rule("GET", "/_catalog", status(200, dump({"repositories": names})))
    assert list(client.repositories()) == ["good", "team/app"]
    fake.rule("GET", "/tags/", status(200, dump({"tags": ["v1", "-v", "a/b", "..", "", "x" * 129, 7]})))
    assert list(client.tags("good")) == ["v1"]


@pytest.mark.parametrize(
    "link", ['</v2/_catalog?n=1000>; rel="next"', '<http://127.0.0.1:1/v2/>; rel="next"', '<file:///etc>; rel="next"']
)
def test_lists_that_lead_astray(fake: FakeRegistry, client: RegistryClient, link: str) -> None:
    fake.rule("GET", "/_catalog", status(200, b'{"repositories": []}', Link=link))
    with pytest.raises(RemoteInvalid):
        list(client.repositories())
    assert fake.count() <= 2


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"tags": {"a": 1}}', b"<html>", b"\xff", b"[" * 100_000])
def test_lists_that_are_none(fake: FakeRegistry, client: RegistryClient, body: bytes) -> None:
    fake.rule("GET", "/tags/", status(200, body))
    with pytest.raises(RemoteInvalid):
        list(client.tags(REPOSITORY))


@pytest.mark.parametrize(
    "name", ["", "/", "../x", "a/../b", "A", "a b", "a?x=1", "a#", "a%2fb", "a\n", "a" * 256, "/a"]
)
def test_names_that_are_none_are_not_asked_for(fake: FakeRegistry, client: RegistryClient, name: str) -> None:
    digest = sha256(b"x")
    for ask in (
        lambda: list(client.tags(name)),
        lambda: client.manifest_get(name, "v1"),
        lambda: client.blob_head(name, digest),
        lambda: client.referrers(name, digest),
        lambda: client.manifest_delete(name, digest),
        lambda: client.manifest_get("a", name + "?"),
        lambda: client.blob_head("a", name),
    ):
        with pytest.raises(RemoteInvalid):
            ask()
    assert fake.count() == 0


# Manifests.


def test_a_manifest_by_tag_and_by_digest(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY, "v1")
    expected = RemoteManifest(image.digest, OCI_IMAGE, image.content)
    assert client.manifest_get(REPOSITORY, "v1") == expected
    assert client.manifest_get(REPOSITORY, image.digest) == expected
    assert client.manifest_head(REPOSITORY, "v1") == Head(image.digest, OCI_IMAGE, len(image.content))
    assert client.manifest_head(REPOSITORY, "v2") is None
    with pytest.raises(RemoteNotFound):
        client.manifest_get(REPOSITORY, "v2")
    assert OCI_INDEX in fake.seen("GET", "/manifests/")[0].headers["Accept"]


def test_a_digest_of_another_algorithm(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY)
    digest = sha512(image.content)
    fake.rule("GET", "/manifests/", status(200, image.content, Content_Type=OCI_IMAGE, Docker_Content_Digest=digest))
    assert client.manifest_get(REPOSITORY, "v1").digest == digest
    assert client.manifest_get(REPOSITORY, digest).digest == digest


def test_a_registry_that_does_not_say_the_digest(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY, "v1")
    fake.rule("*", "/manifests/", lie(Docker_Content_Digest=""))
    assert client.manifest_get(REPOSITORY, "v1").digest == image.digest
    head = client.manifest_head(REPOSITORY, "v1")
    assert head is not None
    assert head.digest == ""


@pytest.mark.parametrize(
    "answer",
    [
        lie(b'{"schemaVersion": 2}'),
        lie(b'{"schemaVersion": 2}', Docker_Content_Digest=""),
        lie(Docker_Content_Digest=sha256(b"other")),
        lie(Content_Type="text/html"),
        lie(Content_Type=""),
        lie(Content_Type=DOCKER_IMAGE),
        lie(b"<html></html>", Content_Type="text/html", Docker_Content_Digest=""),
    ],
)
def test_manifests_that_lie(fake: FakeRegistry, client: RegistryClient, answer: Any) -> None:
    """Neither other bytes are taken for them nor another media type."""
    image = fake.image(REPOSITORY, "v1")
    fake.rule("GET", "/manifests/", answer)
    for reference in ("v1", image.digest):
        if reference == image.digest or answer is not None:
            try:
                got = client.manifest_get(REPOSITORY, reference)
            except RemoteInvalid:
                continue
            # By tag, without a digest to hold it to, other bytes are just another manifest.
            assert reference == "v1" or (got.content, got.media_type) == (image.content, OCI_IMAGE)
            assert sha256(got.content) == got.digest


def test_a_manifest_that_is_too_long(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.rule("GET", "/manifests/", status(200, b"x" * (4 * 1024 * 1024 + 1), Content_Type=OCI_IMAGE))
    with pytest.raises(RemoteInvalid, match="more than 4194304 bytes"):
        client.manifest_get(REPOSITORY, "v1")


def test_a_manifest_is_put(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image("team/source", "v1")
    for content in (image.config, *image.layers):
        fake.blob(REPOSITORY, content)
    manifest = client.manifest_get("team/source", "v1")
    client.manifest_put(REPOSITORY, manifest.digest, manifest)
    assert fake.tags.get(REPOSITORY) is None
    client.manifest_put(REPOSITORY, "v1", manifest)
    assert fake.manifests[REPOSITORY][image.digest] == (OCI_IMAGE, image.content)
    assert fake.tags[REPOSITORY] == {"v1": image.digest}


def test_a_manifest_whose_blobs_are_missing(fake: FakeRegistry, client: RegistryClient) -> None:
    """The caller learns what kind of no it was."""
    image = fake.image("team/source", "v1")
    fake.rule("PUT", "/manifests/", refuse(400, "MANIFEST_BLOB_UNKNOWN"), times=1)
    for kind in (RemoteRefused, RemoteNotFound):
        with pytest.raises(kind) as caught:
            client.manifest_put(REPOSITORY, "v1", RemoteManifest(image.digest, OCI_IMAGE, image.content))
        assert caught.value.codes == ("MANIFEST_BLOB_UNKNOWN",)


def test_a_registry_that_stores_something_else(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY, "v1")
    fake.rule("PUT", "/manifests/", lie(Docker_Content_Digest=sha256(b"other")))
    with pytest.raises(RemoteInvalid):
        client.manifest_put(REPOSITORY, "v2", RemoteManifest(image.digest, OCI_IMAGE, image.content))


def test_deletions(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY, "v1")
    fake.tags[REPOSITORY]["v2"] = image.digest
    client.manifest_delete(REPOSITORY, "v1")
    assert fake.tags[REPOSITORY] == {"v2": image.digest}
    client.manifest_delete(REPOSITORY, image.digest)
    assert fake.manifests[REPOSITORY] == {}
    client.manifest_delete(REPOSITORY, image.digest)  # it is not there: that was the wish
    client.blob_delete(REPOSITORY, sha256(image.config))
    assert sha256(image.config) not in fake.blobs[REPOSITORY]
    fake.rule("DELETE", "/", refuse(405, "UNSUPPORTED"))
    with pytest.raises(RemoteRefused):
        client.manifest_delete(REPOSITORY, image.digest)


# Referrers.


def attached(fake: FakeRegistry, image: Image, kind: str) -> str:
    return fake.image(REPOSITORY, artifactType=kind, subject=image.descriptor).digest


@pytest.mark.parametrize("has_api", [True, False])
def test_referrers(fake: FakeRegistry, client: RegistryClient, *, has_api: bool) -> None:
    """By the API, or by the tag that stands in for it where there is none."""
    image = fake.image(REPOSITORY, "v1")
    made = {kind: attached(fake, image, kind) for kind in ("application/a", "application/b")}
    entries = [{"mediaType": OCI_IMAGE, "digest": d, "size": 1, "artifactType": k} for k, d in made.items()]
    if not has_api:
        fake.referrers = False
        assert client.referrers(REPOSITORY, image.digest) == []
        index = dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        fake.manifest(REPOSITORY, index, OCI_INDEX, image.digest.replace(":", "-"))
    found = client.referrers(REPOSITORY, image.digest)
    assert {entry["artifactType"]: entry["digest"] for entry in found} == made
    only = client.referrers(REPOSITORY, image.digest, "application/a")
    assert [entry["digest"] for entry in only] == [made["application/a"]]


def test_referrers_that_are_none(fake: FakeRegistry, client: RegistryClient) -> None:
    image = fake.image(REPOSITORY, "v1")
    bad = [1, None, {}, {"digest": "x"}, {"digest": 5}, {"digest": sha256(b"a"), "artifactType": "t"}]
    fake.rule("GET", "/referrers/", status(200, dump({"manifests": bad}), Content_Type=OCI_INDEX))
    assert [entry["digest"] for entry in client.referrers(REPOSITORY, image.digest)] == [sha256(b"a")]


def test_referrers_of_a_registry_that_is_down(fake: FakeRegistry, client: RegistryClient) -> None:
    """Nobody takes that for none."""
    image = fake.image(REPOSITORY, "v1")
    fake.rule("GET", "/referrers/", status(503))
    with pytest.raises(RemoteUnavailable):
        client.referrers(REPOSITORY, image.digest)


# Blobs.


def big(fake: FakeRegistry) -> tuple[str, bytes]:
    content = unique(BIG)
    return fake.blob(REPOSITORY, content), content


def test_a_blob(fake: FakeRegistry, client: RegistryClient) -> None:
    digest, content = big(fake)
    assert b"".join(client.blob_read(REPOSITORY, digest, BIG)) == content
    assert b"".join(client.blob_read(REPOSITORY, digest, BIG, start=BIG - 10)) == content[-10:]
    head = client.blob_head(REPOSITORY, digest)
    assert head is not None
    assert head.size == BIG
    assert client.blob_head(REPOSITORY, sha256(b"other")) is None
    with client.blob_open(REPOSITORY, digest, 5, 8) as stream:
        assert (stream.status, b"".join(stream)) == (206, content[5:8])
    with pytest.raises(RemoteNotFound):
        list(client.blob_read(REPOSITORY, sha256(b"other")))


def test_a_blob_of_no_bytes(fake: FakeRegistry, client: RegistryClient) -> None:
    assert list(client.blob_read(REPOSITORY, fake.blob(REPOSITORY, b""), 0)) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_blob_that_breaks_off_goes_on(fake: FakeRegistry, client: RegistryClient, *, ranges: bool) -> None:
    fake.ranges = ranges
    digest, content = big(fake)
    fake.rule("GET", "/blobs/", cut(700_000), times=1)
    fake.rule("GET", "/blobs/", hang_up, times=1)
    fake.rule("GET", "/blobs/", cut(800_000), times=1)
    assert b"".join(client.blob_read(REPOSITORY, digest, BIG)) == content
    asked = [request.headers.get("Range", "") for request in fake.seen("GET", "/blobs/")]
    assert asked[:3] == ["", "bytes=700000-", "bytes=700000-"]
    assert len(asked) == 4


def test_a_blob_that_breaks_off_again_and_again(
    fake: FakeRegistry, client: RegistryClient, pauses: list[float]
) -> None:
    digest, _ = big(fake)
    fake.rule("GET", "/blobs/", cut(1000), times=1)
    fake.rule("GET", "/blobs/", hang_up)
    with pytest.raises(RemoteUnavailable):
        list(client.blob_read(REPOSITORY, digest, BIG))
    assert fake.count("GET", "/blobs/") == 6
    assert len(pauses) == 5


@pytest.mark.parametrize(
    "answer", [lie(b"x" * BIG), lie(b"x"), lie(b"x" * (BIG + 1)), lie(b""), lie(b"<html>", Content_Type="text/html")]
)
def test_blobs_that_lie(fake: FakeRegistry, client: RegistryClient, answer: Any) -> None:
    """Whatever else comes, the reader is told before the end."""
    digest, content = big(fake)
    fake.rule("GET", "/blobs/", answer)
    for size in (BIG, None):
        got: list[bytes] = []
        with pytest.raises(RemoteInvalid):
            got.extend(client.blob_read(REPOSITORY, digest, size))
        assert b"".join(got) != content
        assert size is None or sum(map(len, got)) <= BIG


def test_another_range_than_was_asked_for(fake: FakeRegistry, client: RegistryClient) -> None:
    digest, _ = big(fake)
    fake.rule("GET", "/blobs/", lie(Content_Range="bytes 0-9/10"))
    with pytest.raises(RemoteInvalid, match="another range"):
        client.blob_open(REPOSITORY, digest, 5, 8)


def test_a_blob_that_is_somewhere_else(fake: FakeRegistry, client: RegistryClient) -> None:
    """As registries over object stores answer: 307, and the way with the range."""
    digest, content = big(fake)
    with FakeRegistry() as storage:
        storage.blob(REPOSITORY, content)
        where = f"{storage.url}/v2/{REPOSITORY}/blobs/{digest}?X-Signature=1"
        fake.rule("GET", "/blobs/", status(307, Location=where))
        storage.rule("GET", "/blobs/", cut(1_000_000), times=1)
        assert b"".join(client.blob_read(REPOSITORY, digest, BIG)) == content
        assert [asked.headers.get("Range") for asked in storage.seen()] == [None, "bytes=1000000-"]


def test_foreign_layers_are_not_fetched(fake: FakeRegistry, client: RegistryClient) -> None:
    """A manifest's `urls` lead nowhere, as nothing here reads them."""
    image = fake.image(REPOSITORY, "v1")
    document = image.document
    with FakeRegistry() as elsewhere:
        document["layers"][0]["urls"] = [f"{elsewhere.url}/layer"]
        fake.manifest(REPOSITORY, json.dumps(document).encode(), OCI_IMAGE, "foreign")
        client.manifest_get(REPOSITORY, "foreign")
        del fake.blobs[REPOSITORY][sha256(image.layers[0])]
        with pytest.raises(RemoteNotFound):
            list(client.blob_read(REPOSITORY, sha256(image.layers[0])))
        assert elsewhere.count() == 0
