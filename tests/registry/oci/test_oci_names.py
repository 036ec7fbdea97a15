import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harborlite.errors import DigestInvalid, NameInvalid, TagInvalid
from registry.oci import names
from registry.oci.digest import ALGORITHMS, Digest

SHA256 = Digest.of(b"content")
SHA512 = Digest.of(b"content", "sha512")

GOOD_NAMES = [
    "a/b",
    "library/nginx",
    "a/b/c/d",
    "0/1",
    "a.b_c__d-e---f/g",
    "a/" + "b" * 253,
    "/".join("a" * 128),
]

BAD_NAMES = {
    "nothing": "",
    "slash": "/",
    "leading slash": "/a/b",
    "trailing slash": "a/b/",
    "double slash": "a//b",
    "uppercase": "a/B",
    "leading dot": "a/.b",
    "trailing dot": "a/b.",
    "leading underscore": "_a/b",
    "trailing dash": "a-/b",
    "two dots": "a/b..c",
    "parent": "a/../b",
    "dot": "a/./b",
    "three underscores": "a/b___c",
    "mixed separators": "a/b._c",
    "dash and underscore": "a/b-_c",
    "escaped slash": "a%2fb/c",
    "colon": "a/b:c",
    "at": "a/b@c",
    "space": "a/b c",
    "backslash": "a\\b/c",
    "semicolon": "a/b;c",
    "newline behind": "a/b\n",
    "newline inside": "a/b\nc",
    "NUL": "a/b\0",
    "accent": "a/\u00e9",
    "other script's digit": "a/\uff11",
    "dotless i": "a/\u0131",
    "lone surrogate": "a/\ud800",
    "256 characters": "a/" + "b" * 254,
}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_c01_name_by_the_grammar_is_taken(name: str) -> None:
    assert names.check_name(name) == name
    assert "/".join(names.split_project(name)) == name


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_c01_other_name_is_refused(name: str) -> None:
    for parse in (names.check_name, names.split_project):
        with pytest.raises(NameInvalid) as refusal:
            parse(name)
        assert (refusal.value.status, refusal.value.code) == (400, "NAME_INVALID")


def test_first_part_of_a_name_is_the_project() -> None:
    assert names.split_project("team/tools/lint") == ("team", "tools/lint")


def test_name_without_a_project_says_what_names_are() -> None:
    assert names.check_name("nginx") == "nginx"
    with pytest.raises(NameInvalid, match="PROJECT/REPOSITORY"):
        names.split_project("nginx")


# The grammar as the spec prints it, for comparison.
SPEC_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
SPEC_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


PIECES = st.sampled_from(["a", "0b", ".", "_", "__", "-", "--", "/", "A", "\n"])


@given(st.lists(PIECES, max_size=10).map("".join))
@settings(max_examples=300)
def test_names_are_those_of_the_specs_expression(text: str) -> None:
    try:
        taken = names.check_name(text) == text
    except NameInvalid:
        taken = False
    assert taken == bool(SPEC_NAME.fullmatch(text) and len(text) <= 255)


GOOD_TAGS = ["latest", "1", "_", "V1.0-rc_1", "a..b", "t" * 128, f"sha256-{SHA256.hex}.sig"]

BAD_TAGS = {
    "nothing": "",
    "129 characters": "t" * 129,
    "leading dot": ".a",
    "leading dash": "-a",
    "slash": "a/b",
    "plus": "1.0+build",
    "at": "a@b",
    "space": "a b",
    "newline behind": "latest\n",
    "NUL": "latest\0",
    "accent": "caf\u00e9",
    "lone surrogate": "\ud800",
}


@pytest.mark.parametrize("tag", GOOD_TAGS)
def test_c02_tag_by_the_grammar_is_taken(tag: str) -> None:
    assert names.check_tag(tag) == names.parse_reference(tag) == tag


@pytest.mark.parametrize("tag", BAD_TAGS.values(), ids=BAD_TAGS.keys())
def test_c02_other_tag_is_refused(tag: str) -> None:
    for parse in (names.check_tag, names.parse_reference):
        with pytest.raises(TagInvalid) as refusal:
            parse(tag)
        assert refusal.value.status == 400


@given(st.text(max_size=130) | st.from_regex(SPEC_TAG, fullmatch=True))
@settings(max_examples=200)
def test_reference_is_a_tag_a_digest_or_a_typed_refusal(text: str) -> None:
    try:
        assert str(names.parse_reference(text)) == text
    except DigestInvalid:
        assert ":" in text
    except TagInvalid:
        assert not SPEC_TAG.fullmatch(text)


@pytest.mark.parametrize("digest", [SHA256, SHA512])
def test_reference_with_a_colon_is_a_digest(digest: Digest) -> None:
    assert names.parse_reference(str(digest)) == digest
    for broken in (f"{digest}0", f"x{digest}", "latest:"):
        with pytest.raises(DigestInvalid):
            names.parse_reference(broken)


def test_c67_fallback_tag_of_a_sha256_names_its_subject() -> None:
    tag = names.fallback_tag(SHA256)
    assert tag == f"sha256-{SHA256.hex}"
    assert names.subject_of_fallback_tag(tag) == SHA256


def test_c67_fallback_tag_of_a_sha512_is_cut_and_names_nothing() -> None:
    tag = names.fallback_tag(SHA512)
    assert tag == f"sha512-{SHA512.hex[:64]}"
    assert names.subject_of_fallback_tag(tag) is None
    assert names.subject_of_fallback_tag(f"sha512-{SHA512.hex}") is None


@pytest.mark.parametrize("tag", ["latest", "sha256-", f"sha256-{SHA256.hex}.sig", f"sha256:{SHA256.hex}", "sha256-x"])
def test_c67_other_tag_is_no_fallback_tag(tag: str) -> None:
    assert names.subject_of_fallback_tag(tag) is None


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_c67_fallback_tag_is_a_tag(algorithm: str) -> None:
    assert names.check_tag(names.fallback_tag(Digest.of(b"", algorithm)))


@pytest.mark.parametrize("text", ["a" * 254 + "!", "a-" * 127 + "!", "a__" * 85, "-" * 255, "a/" * 127 + "!"])
def test_long_nonsense_is_refused_in_no_time(text: str) -> None:
    start = time.process_time()
    for _ in range(100):
        with pytest.raises(NameInvalid):
            names.check_name(text)
    assert time.process_time() - start < 1
