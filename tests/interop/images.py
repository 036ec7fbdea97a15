"""Images on disk, made without any tool or network, in the forms that client programs read.

    write_layout(directory)      an OCI image layout: `oci:DIRECTORY:TAG` for skopeo, podman, buildah, oras and crane
    write_archive(file, name)    what `docker save` writes: `docker load`, `docker-archive:` and `crane push`

Each image has two layers with a file each and is like no other; an image of several architectures is an index.
"""

import gzip
import io
import json
import secrets
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.images import OCI_CONFIG, OCI_IMAGE, OCI_INDEX, OCI_LAYER, descriptor, dump, image_manifest, index_manifest
from tests.images import sha256 as digest_of

TAG = "made"


@dataclass(frozen=True)
class Layout:
    """An OCI image layout; `digest` is that of the image or index whose tag is TAG."""

    directory: Path
    digest: str

    @property
    def reference(self) -> str:
        return f"oci:{self.directory}:{TAG}"

    def blob(self, digest: str) -> bytes:
        return (self.directory / "blobs" / digest.replace(":", "/")).read_bytes()

    @property
    def blobs(self) -> set[str]:
        """Digests of everything in it."""
        return {f"sha256:{file.name}" for file in (self.directory / "blobs" / "sha256").iterdir()}


def tar(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files, the same for the same files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def write_layout(directory: Path, architectures: Sequence[str] = ("amd64",)) -> Layout:
    """`directory` is a layout of a new image, or of an index of several."""
    images = [_write_image(directory, architecture) for architecture in architectures]
    top = images[0]
    if len(images) > 1:
        top = _write_blob(directory, dump(index_manifest(images)), OCI_INDEX)
    tagged = {**top, "annotations": {"org.opencontainers.image.ref.name": TAG}}
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (directory / "index.json").write_bytes(dump(index_manifest([tagged])))
    return Layout(directory, str(top["digest"]))


def _write_image(directory: Path, architecture: str) -> dict[str, object]:
    layers = _layers()
    config = _write_blob(directory, _config(architecture, layers), OCI_CONFIG)
    written = [_write_blob(directory, gzip.compress(layer, mtime=0), OCI_LAYER) for layer in layers]
    image = _write_blob(directory, dump(image_manifest(config, written)), OCI_IMAGE)
    return {**image, "platform": {"os": "linux", "architecture": architecture}}


def _write_blob(directory: Path, content: bytes, media_type: str) -> dict[str, object]:
    file = directory / "blobs" / digest_of(content).replace(":", "/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return descriptor(content, media_type)


def write_archive(file: Path, name: str) -> Path:
    """`file` is an archive of a new image called `name`."""
    layers = _layers()
    config = _config("amd64", layers)
    config_name = digest_of(config).removeprefix("sha256:") + ".json"
    members = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": list(members)}])
    file.write_bytes(tar({**members, config_name: config, "manifest.json": manifest.encode()}))
    return file


def _layers() -> tuple[bytes, ...]:
    return tuple(tar({name: secrets.token_bytes(5000)}) for name in ("base", "app"))


def _config(architecture: str, layers: Sequence[bytes]) -> bytes:
    return dump(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
    )
