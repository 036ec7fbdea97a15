"""Whatever goes wrong, in whatever order: a transfer ends, and what it says is so."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remotes.client import RegistryClient
from remotes.errors import RemoteError
from remotes.uploads import blob_push
from tests.images import sha256
from tests.remote_acts import Action, Asked, cut, hang_up, lie, lose_answer, refuse, status
from tests.remote_fake import FakeRegistry
from tests.remotes.targets import target

REPOSITORY = "team/app"
SIZE = 300_000


def _broken(after: int) -> Action:
    def act(asked: Asked, answer: object) -> None:
        asked.body = asked.body[:after]
        answer()  # type: ignore[operator]  # it makes the answer

    return act


UPLOAD_FAULTS = st.one_of(
    st.sampled_from([hang_up, lose_answer]),
    st.sampled_from([404, 409, 416, 429, 500, 502, 503]).map(status),
    st.sampled_from(["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID"]).map(lambda w: refuse(400, w)),
    st.integers(0, SIZE).map(_broken),
    st.sampled_from(["0-0", "0-5", "0-299999", "0-999999", "x", ""]).map(lambda said: lie(Range=said)),
    st.just(lie(Location="")),
)
READ_FAULTS = st.one_of(
    st.just(hang_up),
    st.sampled_from([429, 500, 503]).map(status),
    st.integers(0, SIZE).map(cut),
    st.binary(max_size=50).map(lie),
)
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def content() -> bytes:
    return bytes(range(256)) * (SIZE // 256) + bytes(SIZE % 256)


def client_of(fake: FakeRegistry) -> RegistryClient:
    return RegistryClient(target(fake), lambda seconds: None)


@FEW
@given(
    faults=st.lists(st.tuples(st.sampled_from(["POST", "PATCH", "PUT", "GET", "HEAD"]), UPLOAD_FAULTS), max_size=8),
    chunk=st.sampled_from([0, 100_000]),
    resume=st.booleans(),
)
def test_an_upload_ends_and_tells_the_truth(
    loopback: None, content: bytes, faults: list[tuple[str, Action]], chunk: int, *, resume: bool
) -> None:
    def source(offset: int) -> Iterator[bytes]:
        for start in range(offset, SIZE, 1 << 14):
            yield content[start : start + (1 << 14)]

    with FakeRegistry(resume=resume) as fake, client_of(fake) as client:
        for method, action in faults:
            fake.rule(method, "/blobs/", action, times=1)
        try:
            blob_push(client, REPOSITORY, sha256(content), SIZE, source, chunk=chunk)
        except RemoteError:
            assert faults
        else:
            assert fake.blobs[REPOSITORY][sha256(content)] == content
        assert fake.count() < 100


@FEW
@given(faults=st.lists(READ_FAULTS, max_size=8), ranges=st.booleans())
def test_a_download_ends_and_brings_the_right_bytes_or_none(
    loopback: None, content: bytes, faults: list[Action], *, ranges: bool
) -> None:
    with FakeRegistry(ranges=ranges) as fake, client_of(fake) as client:
        digest = fake.blob(REPOSITORY, content)
        for action in faults:
            fake.rule("GET", "/blobs/", action, times=1)
        got: list[bytes] = []
        try:
            got.extend(client.blob_read(REPOSITORY, digest, SIZE))
        except RemoteError:
            assert faults
        else:
            assert b"".join(got) == content
        assert fake.count() < 100
