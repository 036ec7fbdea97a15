"""What the client does with a registry that is none of the tests' own making."""

from collections.abc import Iterator

import pytest

from remotes.client import RegistryClient, RemoteManifest
from remotes.errors import RemoteNotFound, RemoteRefused
from remotes.uploads import blob_push
from tests.images import (
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_LAYER,
    descriptor,
    dump,
    image_manifest,
    index_manifest,
    sha256,
    unique,
)

BIG = 5_000_000


def source(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1 << 16):
        yield content[start : start + (1 << 16)]


def push_blob(client: RegistryClient, repository: str, content: bytes, **further: int) -> str:
    digest = sha256(content)
    blob_push(client, repository, digest, len(content), lambda offset: source(content[offset:]), **further)  # type: ignore[arg-type]  # chunk
    return digest


def push_image(client: RegistryClient, repository: str, tag: str | None, **further: object) -> RemoteManifest:
    """A new image, its blobs first."""
    config, layer = dump({"architecture": "amd64", "os": "linux", "id": sha256(unique())}), unique(1000)
    for content in (config, layer):
        push_blob(client, repository, content)
    document = image_manifest(descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER)], **further)
    return put(client, repository, tag, document)


def put(client: RegistryClient, repository: str, tag: str | None, document: dict[str, object]) -> RemoteManifest:
    content = dump(document)
    manifest = RemoteManifest(sha256(content), str(document["mediaType"]), content)
    client.manifest_put(repository, tag or manifest.digest, manifest)
    return manifest


def described(manifest: RemoteManifest) -> dict[str, object]:
    return descriptor(manifest.content, manifest.media_type, digest=manifest.digest)


def check_blobs(client: RegistryClient, repository: str) -> None:
    """In one request and in chunks; whole and in parts; there and not there."""
    for content, chunk in ((unique(BIG), 0), (unique(BIG), 2_000_000), (b"", 0), (b"x", 0)):
        digest = push_blob(client, repository, content, chunk=chunk)
        head = client.blob_head(repository, digest)
        assert head is not None
        assert head.size == len(content)
        assert b"".join(client.blob_read(repository, digest, len(content))) == content
        if content:
            middle = len(content) // 2
            assert b"".join(client.blob_read(repository, digest, start=middle)) == content[middle:]
            with client.blob_open(repository, digest, middle, middle + 1) as stream:
                assert b"".join(stream) == content[middle : middle + 1]
    assert client.blob_head(repository, sha256(unique())) is None
    with pytest.raises(RemoteNotFound):
        list(client.blob_read(repository, sha256(unique())))


def check_mount(client: RegistryClient, here: str, there: str) -> None:
    content = unique(1000)
    digest = push_blob(client, there, content)

    def never(offset: int) -> Iterator[bytes]:
        raise AssertionError("a blob that can be mounted was sent")

    assert blob_push(client, here, digest, len(content), never, mount_from=there) is False
    assert b"".join(client.blob_read(here, digest)) == content


def check_manifests(client: RegistryClient, repository: str) -> None:
    """Images and an index, by tag and by digest; lists; a manifest whose blobs are missing."""
    images = [push_image(client, repository, f"v{number}") for number in range(3)]
    index = put(client, repository, "multi", index_manifest([described(image) for image in images]))
    for reference, expected in (("v0", images[0]), (images[1].digest, images[1]), ("multi", index)):
        assert client.manifest_get(repository, reference) == expected
        head = client.manifest_head(repository, reference)
        assert head is not None
        assert (head.digest, head.media_type, head.size) == (
            expected.digest,
            expected.media_type,
            len(expected.content),
        )
    assert sorted(client.tags(repository)) == ["multi", "v0", "v1", "v2"]
    assert client.manifest_head(repository, "nothing") is None
    with pytest.raises(RemoteNotFound):
        client.manifest_get(repository, "nothing")
    missing = image_manifest(descriptor(unique(), OCI_CONFIG), [])
    with pytest.raises((RemoteRefused, RemoteNotFound)) as caught:
        put(client, repository, "broken", missing)
    assert {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"} & set(caught.value.codes)
    assert client.manifest_head(repository, "broken") is None


def check_referrers(client: RegistryClient, repository: str, *, has_api: bool) -> None:
    image = push_image(client, repository, "subject")
    assert client.referrers(repository, image.digest) == []
    push_blob(client, repository, EMPTY)
    layer = unique()
    push_blob(client, repository, layer)
    signature = put(
        client,
        repository,
        None,
        image_manifest(
            descriptor(EMPTY, OCI_EMPTY),
            [descriptor(layer, "text/plain")],
            artifactType="application/signature",
            subject=described(image),
        ),
    )
    if not has_api:
        entry = {**described(signature), "artifactType": "application/signature"}
        put(client, repository, image.digest.replace(":", "-"), index_manifest([entry]))
    found = client.referrers(repository, image.digest)
    assert [(entry["digest"], entry["artifactType"]) for entry in found] == [
        (signature.digest, "application/signature")
    ]
    assert client.referrers(repository, image.digest, "application/other") == []


def check_deletions(client: RegistryClient, repository: str) -> None:
    image = push_image(client, repository, "gone")
    client.manifest_delete(repository, image.digest)
    assert client.manifest_head(repository, image.digest) is None
    client.manifest_delete(repository, image.digest)
