import hashlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harborlite.errors import DigestInvalid
from registry.oci.digest import ALGORITHMS, Digest, Hasher

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

MALFORMED = {
    "nothing": "",
    "no hex": "sha256:",
    "no algorithm": f":{EMPTY_SHA256}",
    "words": "sha256:baddigeststring",
    "no colon": EMPTY_SHA256,
    "short": f"sha256:{EMPTY_SHA256[:-1]}",
    "long": f"sha256:{EMPTY_SHA256}0",
    "uppercase hex": f"sha256:{EMPTY_SHA256.upper()}",
    "uppercase algorithm": f"SHA256:{EMPTY_SHA256}",
    "sha512 of sha256's length": f"sha512:{EMPTY_SHA256}",
    "sha256 of sha512's length": f"sha256:{EMPTY_SHA256 * 2}",
    "unknown algorithm": f"md5:{EMPTY_SHA256[:32]}",
    "composed algorithm": f"sha256+b64:{EMPTY_SHA256}",
    "no hexadecimal digit": f"sha256:{EMPTY_SHA256[:-1]}g",
    "newline behind": f"sha256:{EMPTY_SHA256}\n",
    "newline for a digit": f"sha256:{EMPTY_SHA256[:-1]}\n",
    "NUL": f"sha256:{EMPTY_SHA256[:-1]}\0",
    "other script's digits": f"sha256:{EMPTY_SHA256[:-1]}\uff11",
    "two colons": f"sha256::{EMPTY_SHA256[:-1]}",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_c03_malformed_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as refusal:
        Digest.parse(text)
    assert (refusal.value.status, refusal.value.code) == (400, "DIGEST_INVALID")
    assert Digest.parse_or_none(text) is None


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@given(content=st.binary(max_size=300))
@settings(max_examples=40)
def test_digest_of_content_is_hashlibs_and_reads_back(algorithm: str, content: bytes) -> None:
    digest = Digest.of(content, algorithm)
    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    assert Digest.parse(str(digest)) == digest
    assert Digest.of_pieces([content[:7], content[7:]], algorithm) == digest


@given(st.text(max_size=150) | st.from_regex(r"sha(256|512):[0-9a-fA-F]{60,130}", fullmatch=True))
@settings(max_examples=200)
def test_whatever_is_read_as_a_digest_is_written_the_same(text: str) -> None:
    digest = Digest.parse_or_none(text)
    assert digest is None or str(digest) == text


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@given(content=st.binary(max_size=700), cuts=st.lists(st.integers(0, 700), max_size=5))
@settings(max_examples=100)
def test_hash_resumed_at_any_split_is_that_of_the_whole(algorithm: str, content: bytes, cuts: list[int]) -> None:
    hasher = Hasher(algorithm)
    edges = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        hasher.update(content[start:end])
        hasher = Hasher.resume(algorithm, hasher.state())
    assert hasher.digest() == Digest.of(content, algorithm)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_hash_resumes_at_each_place_around_its_block_edges(algorithm: str) -> None:
    content = bytes(range(256)) * 2
    for edge in range(len(content) + 1):
        first = Hasher(algorithm)
        first.update(content[:edge])
        second = Hasher.resume(algorithm, first.state())
        second.update(content[edge:])
        assert second.digest() == Digest.of(content, algorithm), edge


def test_digest_of_what_came_so_far_does_not_end_the_hash() -> None:
    hasher = Hasher("sha256")
    assert hasher.digest().hex == EMPTY_SHA256
    hasher.update(b"a")
    assert hasher.digest() == Digest.of(b"a")
    hasher.state()
    hasher.update(b"b")
    assert hasher.digest() == Digest.of(b"ab")


# The layout of rehashes 0.3: initial state words, 8 bytes of block count, the bytes short of a block. When another
# version changes it, uploads that are open over an upgrade are lost; then this fails first.
SHA256_WORDS = "67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"
SHA512_WORDS = (
    "08c9bcf367e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5"
    "d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b"
)
SAVED = {
    "sha256": bytes.fromhex(SHA256_WORDS + "00" * 8 + "03" + b"abc".hex()).ljust(104, b"\0"),
    "sha512": bytes.fromhex(SHA512_WORDS + "00" * 16 + "03" + b"abc".hex()).ljust(208, b"\0"),
}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_state_saved_by_an_earlier_release_resumes(algorithm: str) -> None:
    hasher = Hasher.resume(algorithm, SAVED[algorithm])
    hasher.update(b"def")
    assert hasher.digest() == Digest.of(b"abcdef", algorithm)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_state_of_the_wrong_length_is_refused(algorithm: str) -> None:
    state = SAVED[algorithm]
    for wrong in (b"", state[:-1], state + b"\0", SAVED["sha512" if algorithm == "sha256" else "sha256"]):
        with pytest.raises(ValueError, match="slice"):
            Hasher.resume(algorithm, wrong)


@pytest.mark.parametrize("algorithm", ["", "md5", "SHA256", "sha384", "shake_128"])
def test_unknown_algorithm_is_refused(algorithm: str) -> None:
    for use in (Hasher, lambda name: Hasher.resume(name, b""), lambda name: Digest.of(b"", name)):
        with pytest.raises(DigestInvalid, match="sha256, sha512"):
            use(algorithm)
