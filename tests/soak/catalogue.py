"""What the state machine pushes: a few blobs and documents that share parts, so that everything meets everything.

    bundle   bundle of a bundle        signature, SBOM ---subject---> image; a signature of the signature
      |  \\      |                      both ---subject---> index
     base  app  tiny                   layers are shared between all images

The bytes differ from run to run by a salt, so that no run finds what another one left on the same server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import shake_256

from tests.images import (
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    descriptor,
    dump,
    image_manifest,
    index_manifest,
    sha256,
)

SIZES = {"config": 60, "other config": 61, "layer": 300, "small layer": 16, "large layer": 70_000, "loose": 500}
"""Bytes of each blob; the last one is in no image. The large one is more than one piece for the server."""
IMAGES = {
    "base": ("config", "layer"),
    "app": ("config", "layer", "small layer"),
    "tool": ("other config", "large layer", "layer"),
    "tiny": ("other config",),
}
INDEXES = {"bundle": ("base", "app"), "other bundle": ("app", "tool"), "bundle of a bundle": ("bundle", "tiny")}
REFERRERS = {
    "signature": ("base", "application/vnd.cncf.notary.signature"),
    "sbom": ("base", "application/spdx+json"),
    "signature of the bundle": ("bundle", "application/vnd.cncf.notary.signature"),
    "signature of the signature": ("signature", "application/vnd.cncf.notary.signature"),
}
BLOBS = (*SIZES, "empty")
DOCUMENTS = (*IMAGES, *INDEXES, *REFERRERS)


@dataclass(frozen=True)
class Document:
    """A manifest: its bytes, and the digests of the blobs, children and subject that these name."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = field(repr=False)
    blobs: tuple[str, ...] = field(default=(), repr=False)
    children: tuple[str, ...] = field(default=(), repr=False)
    subject: str | None = None
    artifact_type: str | None = None

    @cached_property
    def digest(self) -> str:
        return sha256(self.content)

    @property
    def descriptor(self) -> dict[str, object]:
        return descriptor(self.content, self.media_type)


@dataclass(frozen=True)
class Catalogue:
    """The blobs and documents of one run, by name; `contents` by digest."""

    blobs: Mapping[str, bytes]
    documents: Mapping[str, Document]
    contents: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of(cls, salt: str) -> "Catalogue":
        blobs = {name: _bytes(f"{salt} {name}", size) for name, size in SIZES.items()} | {"empty": EMPTY}
        documents: dict[str, Document] = {}
        for name, (config, *layers) in IMAGES.items():
            parts = [descriptor(blobs[layer], OCI_LAYER) for layer in layers]
            document = image_manifest(descriptor(blobs[config], OCI_CONFIG), parts, annotations={"run": salt})
            held = tuple(sha256(blobs[blob]) for blob in (config, *layers))
            documents[name] = Document(name, dump(document), OCI_IMAGE, held)
        for name, children in INDEXES.items():
            below = [documents[child] for child in children]
            document = index_manifest([child.descriptor for child in below], annotations={"run": salt})
            held = tuple(child.digest for child in below)
            documents[name] = Document(name, dump(document), OCI_INDEX, children=held)
        for name, (subject, kind) in REFERRERS.items():
            about = documents[subject]
            document = image_manifest(
                descriptor(EMPTY, OCI_EMPTY),
                [descriptor(EMPTY, OCI_EMPTY)],
                artifactType=kind,
                subject=about.descriptor,
            )
            documents[name] = Document(
                name, dump(document), OCI_IMAGE, (sha256(EMPTY),), subject=about.digest, artifact_type=kind
            )
        return cls(blobs, documents, {sha256(content): content for content in blobs.values()})

    def digest(self, blob: str) -> str:
        return sha256(self.blobs[blob])

    def by_digest(self, digest: str) -> Document:
        return next(document for document in self.documents.values() if document.digest == digest)

    def parts(self, name: str) -> list[Document]:
        """The document behind all its children, in the order in which they are pushed."""
        document = self.documents[name]
        found = [part for child in document.children for part in self.parts(self.by_digest(child).name)]
        return [*found, document]


def _bytes(seed: str, size: int) -> bytes:
    """So many bytes that follow from `seed`."""
    return shake_256(seed.encode()).digest(size)
