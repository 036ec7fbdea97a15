"""What people push besides plain images, as their tools make it: charts, signatures, images with attestations."""

import gzip
import io
import secrets
import tarfile
from collections.abc import Mapping

from tests.images import OCI_CONFIG, OCI_LAYER, Image, descriptor, dump, image_manifest, index_manifest, sha256, unique
from tests.ociclient import Client

HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
NOTATION = "application/vnd.cncf.notary.signature"
COSIGN_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
VALUES = b"# replicas\nreplicaCount: 1\n"
README = "# Chart\n\nGr\u00fc\u00dfe\n".encode()

HISTORY = [
    {"created": "2024-05-01T10:00:00Z", "created_by": "ADD rootfs.tar / # buildkit", "comment": "buildkit.v0"},
    {"created": "2024-05-01T10:00:01Z", "created_by": 'CMD ["/bin/sh"]', "empty_layer": True},
]


def image_config(**further: object) -> dict[str, object]:
    """As buildx writes it."""
    return {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": "2024-05-01T10:00:01Z",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"maintainer": "ada@example.com"}},
        "history": HISTORY,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{secrets.token_hex(32)}"]},
        **further,
    }


def push(
    client: Client,
    repository: str,
    tag: str | None,
    *,
    config: bytes,
    config_type: str = OCI_CONFIG,
    layers: Mapping[bytes, str],
    **further: object,
) -> Image:
    """An image manifest of any kind with these blobs; `layers` are contents and their media types."""
    for content in (config, *layers):
        client.push_blob(repository, content)
    document = image_manifest(
        descriptor(config, config_type), [descriptor(content, kind) for content, kind in layers.items()], **further
    )
    content, reference = dump(document), tag or sha256(dump(document))
    answer = client.push_manifest(repository, reference, document)
    assert answer.status == 201, answer
    return Image(repository, sha256(content), str(document["mediaType"]), content, config, tuple(layers))


def push_image(client: Client, repository: str, tag: str | None, *, config: object = None, **further: object) -> Image:
    """An image whose config says what buildx makes configs say."""
    text = dump(config if config is not None else image_config())
    return push(client, repository, tag, config=text, layers={unique(): OCI_LAYER}, **further)


def archive(files: Mapping[str, bytes]) -> bytes:
    """What `helm package` makes of a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def push_chart(client: Client, repository: str, tag: str, *, chart: bytes | None = None) -> Image:
    """As `helm push` does."""
    config = {
        "name": "web",
        "version": tag,
        "apiVersion": "v2",
        "appVersion": "1.2",
        "dependencies": [
            {"name": "redis", "version": "18.x", "repository": "oci://charts.example.com", "condition": "redis.enabled"}
        ],
    }
    files = {
        "web/Chart.yaml": b"name: web\n",
        "web/values.yaml": VALUES,
        "web/charts/redis/values.yaml": b"other: 1\n",
        "web/templates/web.yaml": b"kind: Pod\n",
        "web/README.md": README + secrets.token_hex(8).encode(),
    }
    layer = archive(files) if chart is None else chart
    return push(client, repository, tag, config=dump(config), config_type=HELM_CONFIG, layers={layer: HELM_CHART})


def push_multi_arch(client: Client, repository: str, tag: str | None) -> tuple[Image, Image, Image]:
    """The index, image and attestation that `docker buildx build --provenance` pushes for one platform."""
    image = push_image(client, repository, None)
    config = image_config(architecture="unknown", os="unknown", history=[])
    attestation = push(
        client, repository, None, config=dump(config), layers={dump({"id": secrets.token_hex(8)}): IN_TOTO}
    )
    marks = {"vnd.docker.reference.digest": image.digest, "vnd.docker.reference.type": "attestation-manifest"}
    document = index_manifest(
        [
            {**image.descriptor, "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}},
            {**attestation.descriptor, "annotations": marks, "platform": {"architecture": "unknown", "os": "unknown"}},
        ]
    )
    content = dump(document)
    answer = client.push_manifest(repository, tag or sha256(content), document)
    assert answer.status == 201, answer
    return Image(repository, sha256(content), str(document["mediaType"]), content), image, attestation


def sign_by_tag(client: Client, subject: Image, suffix: str = "sig") -> Image:
    """A signature as cosign made it before OCI 1.1: an image under a tag that names what it signs."""
    tag = f"{subject.digest.replace(':', '-')}.{suffix}"
    payload = dump({"critical": {"image": {"docker-manifest-digest": subject.digest}}, "id": secrets.token_hex(8)})
    kind = COSIGN_LAYER if suffix == "sig" else "application/vnd.dsse.envelope.v1+json"
    config = dump({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers"}})
    return push(client, subject.repository, tag, config=config, layers={payload: kind})
