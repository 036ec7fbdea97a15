"""What is pushed: media types, digests, manifests as the OCI image spec writes them, contents nobody pushed before."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
EMPTY = b"{}"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def sha512(content: bytes) -> str:
    return f"sha512:{hashlib.sha512(content).hexdigest()}"


def digest_like(digest: str, content: bytes) -> str:
    """The digest of `content` in the algorithm of `digest`."""
    return {"sha256": sha256, "sha512": sha512}[digest.partition(":")[0]](content)


def unique(size: int = 100) -> bytes:
    """Bytes nobody pushed before."""
    return secrets.token_bytes(size)


def descriptor(content: bytes, media_type: str, *, digest: str | None = None, **further: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest or sha256(content), "size": len(content), **further}


def image_manifest(
    config: Mapping[str, object], layers: Sequence[Mapping[str, object]], **further: object
) -> dict[str, object]:
    """An OCI image manifest; `further`: subject, artifactType, annotations, ..."""
    return {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": list(layers), **further}


def index_manifest(children: Iterable[Mapping[str, object]], **further: object) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **further}


def dump(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Image:
    """Something pushed: an image, an artifact or an index."""

    repository: str
    digest: str
    media_type: str
    content: bytes
    config: bytes = b""
    layers: tuple[bytes, ...] = ()

    @property
    def document(self) -> Any:
        return json.loads(self.content)

    @property
    def descriptor(self) -> dict[str, object]:
        return descriptor(self.content, self.media_type, digest=self.digest)
