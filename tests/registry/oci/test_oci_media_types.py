import pytest

from registry.oci import media_types


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/vnd.oci.image.manifest.v1+json", True),
        ("application/vnd.oci.image.index.v1+json", True),
        ("application/vnd.docker.distribution.manifest.v2+json", True),
        ("application/vnd.docker.distribution.manifest.list.v2+json", True),
        ("application/vnd.docker.distribution.manifest.v1+json", False),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", False),
        ("application/vnd.oci.artifact.manifest.v1+json", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_manifests_are_the_four_types_in_use(media_type: str, expected: bool) -> None:
    assert media_types.is_manifest(media_type) is expected


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("", ""),
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        (" Application/JSON ;q=1;x=y", "application/json"),
        (";charset=utf-8", ""),
    ],
)
def test_content_type_is_read_without_parameters_and_capitals(header: str, media_type: str) -> None:
    assert media_types.strip_parameters(header) == media_type


def test_no_manifest_is_both_taken_and_refused() -> None:
    assert not media_types.MANIFESTS & media_types.REFUSED.keys()
    assert not media_types.IMAGES & media_types.INDEXES
