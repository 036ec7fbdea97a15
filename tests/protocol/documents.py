"""The image most tests push by hand: one config that is always the same, one layer."""

from tests.images import OCI_CONFIG, OCI_LAYER, descriptor, dump, image_manifest

CONFIG = dump({"architecture": "amd64", "os": "linux"})


def document_of(layer: bytes, **further: object) -> dict[str, object]:
    return image_manifest(descriptor(CONFIG, OCI_CONFIG), [descriptor(layer, OCI_LAYER)], **further)
