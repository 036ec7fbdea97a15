"""The media types a registry must tell apart: what is a manifest, what is an index, what need not be pushed. Pure."""

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = IMAGES | INDEXES

_SCHEMA1 = "Docker manifests of schema 1 are not supported; push the image again with a current client"
REFUSED = {
    DOCKER_SCHEMA1: _SCHEMA1,
    DOCKER_SCHEMA1_SIGNED: _SCHEMA1,
    OCI_ARTIFACT: "OCI artifact manifests were withdrawn before OCI 1.1; push an image manifest with an artifactType",
}
"""Manifests known and not taken, and what to say about it."""

UNTOLD = frozenset({"", "application/json", "application/octet-stream"})
"""What clients send as the type of a manifest when they do not tell it."""

NONDISTRIBUTABLE = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)
"""Layers whose bytes a registry need not have: their licence keeps clients from pushing them."""


def is_manifest(media_type: str) -> bool:
    """Whether content of this type is a manifest or an index that can be pushed here."""
    return media_type in MANIFESTS


def strip_parameters(content_type: str) -> str:
    """The media type in a Content-Type header: without parameters, lowercase (types compare so, RFC 9110 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()
