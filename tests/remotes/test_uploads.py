"""A blob's way to another registry that is slow, forgetful and broken."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from remotes.client import RegistryClient
from remotes.errors import (
    RemoteBlocked,
    RemoteInvalid,
    RemoteNotFound,
    RemoteRateLimited,
    RemoteRefused,
    RemoteUnavailable,
)
from remotes.uploads import blob_push
from tests.images import sha256, unique
from tests.remote_acts import Asked, Given, hang_up, lie, lose_answer, refuse, status
from tests.remote_fake import FakeRegistry
from tests.remotes.targets import target

REPOSITORY = "team/app"
SIZE = 3_000_000
PART = 64 * 1024


@pytest.fixture
def content() -> bytes:
    return unique(SIZE)


class Source:
    """A blob to be read from any offset; `opened` is from where it was."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.opened: list[int] = []

    def __call__(self, offset: int) -> Iterator[bytes]:
        self.opened.append(offset)
        for start in range(offset, len(self.content), PART):
            yield self.content[start : start + PART]


def broken(after: int) -> Callable[[Asked, Callable[[], Given]], Given | None]:
    """As if the connection had broken after so many bytes of the body: those are kept, and nobody is told."""

    def act(asked: Asked, answer: Callable[[], Given]) -> None:
        asked.body = asked.body[:after]
        answer()

    return act


def held(fake: FakeRegistry, content: bytes) -> bool:
    return fake.blobs.get(REPOSITORY, {}).get(sha256(content)) == content


def test_a_blob_in_one_go(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    told: list[int] = []
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content), progress=told.append)
    assert held(fake, content)
    assert [asked.method for asked in fake.seen()] == ["POST", "PATCH", "PUT"]
    assert told == sorted(told)
    assert told[-1] == SIZE


def test_a_blob_of_no_bytes(fake: FakeRegistry, client: RegistryClient) -> None:
    assert blob_push(client, REPOSITORY, sha256(b""), 0, Source(b""))
    assert held(fake, b"")
    assert fake.count("PATCH") == 0


def test_a_blob_in_chunks(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content), chunk=1_000_000)
    assert held(fake, content)
    assert [asked.headers["Content-Range"] for asked in fake.seen("PATCH")] == [
        "0-999999",
        "1000000-1999999",
        "2000000-2999999",
    ]


def test_a_blob_that_is_mounted(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    fake.blob("team/other", content)
    source = Source(content)
    assert not blob_push(client, REPOSITORY, sha256(content), SIZE, source, mount_from="team/other")
    assert held(fake, content)
    assert source.opened == []


def test_a_mount_that_is_refused_is_an_upload(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content), mount_from="team/other")
    assert held(fake, content)


def test_a_mount_asks_for_both_repositories(loopback: None, content: bytes) -> None:
    with FakeRegistry(auth="bearer") as fake, RegistryClient(target(fake)) as client:
        fake.blob("team/other", content)
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content), mount_from="team/other")
        assert "scope=repository%3Ateam%2Fother%3Apull" in fake.seen("GET", "^/token")[0].path
        assert "scope=repository%3Ateam%2Fapp%3Apull%2Cpush" in fake.seen("GET", "^/token")[0].path


@pytest.mark.parametrize("after", [0, 1, 2, 1_000_000, SIZE - 1, SIZE])
def test_a_broken_upload_goes_on(fake: FakeRegistry, client: RegistryClient, content: bytes, after: int) -> None:
    """What the registry has is not sent twice, but for the first byte, of which its answer does not tell."""
    fake.rule("PATCH", "/uploads/", broken(after), times=1)
    source = Source(content)
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, source)
    assert held(fake, content)
    sent = sum(len(asked.body) for asked in fake.seen("PATCH"))
    assert sent == SIZE + (after == 1)
    assert source.opened == ([0] if after == SIZE else [0, 0] if after <= 1 else [0, after])


def test_a_connection_that_breaks_while_bytes_move(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    """The peer really goes away in the middle: the socket is closed with bytes unread."""
    calls: list[int] = []

    def slam(asked: Asked, answer: Callable[[], Given]) -> None:
        calls.append(1)

    fake.rule("PATCH", "/uploads/", slam, times=1)
    fake.server.unread = 100_000
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert held(fake, content)


@pytest.mark.parametrize("code", [404, 400])
def test_a_session_that_is_lost_is_begun_anew(
    fake: FakeRegistry, client: RegistryClient, content: bytes, code: int
) -> None:
    """Docker-registry ends a session that broke, with 400."""
    word = {404: "BLOB_UPLOAD_UNKNOWN", 400: "BLOB_UPLOAD_INVALID"}[code]
    fake.rule("PATCH", "/uploads/", hang_up, times=1)
    fake.rule("GET", "/uploads/", refuse(code, word), times=1)
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert held(fake, content)
    assert fake.count("POST", "/uploads/") == 2


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_sessions_that_are_always_lost_come_to_an_end(
    fake: FakeRegistry, client: RegistryClient, content: bytes, method: str
) -> None:
    """Never for ever."""
    fake.rule(method, "/uploads/", refuse(404, "BLOB_UPLOAD_UNKNOWN"))
    fake.rule("GET", "/uploads/", refuse(404, "BLOB_UPLOAD_UNKNOWN"))
    with pytest.raises(RemoteNotFound):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert fake.count("POST", "/uploads/") <= 7


def test_an_answer_that_is_lost_at_the_end(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    fake.rule("PUT", "/uploads/", lose_answer, times=1)
    source = Source(content)
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, source)
    assert held(fake, content)
    assert source.opened == [0]
    assert fake.count("PATCH") == 1


@pytest.mark.parametrize("action", [hang_up, status(500), status(503), status(504)])
def test_a_registry_that_fails_now_and_then(
    fake: FakeRegistry, client: RegistryClient, content: bytes, action: Any
) -> None:
    for method in ("POST", "PATCH", "PUT"):
        fake.rule(method, "/uploads/", action, times=2)
    assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert held(fake, content)


def test_a_registry_that_always_fails(
    fake: FakeRegistry, client: RegistryClient, content: bytes, pauses: list[float]
) -> None:
    fake.rule("PATCH", "/uploads/", status(500))
    with pytest.raises(RemoteUnavailable):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert fake.count("PATCH") == 6
    assert len(pauses) == 5


def test_a_limit_is_waited_for(fake: FakeRegistry, client: RegistryClient, content: bytes, pauses: list[float]) -> None:
    fake.rule("PATCH", "/uploads/", status(429, Retry_After="7"), times=1)
    blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert 7 <= pauses[0] < 8
    fake.rule("PATCH", "/uploads/", status(429, Retry_After="3600"), times=1)
    with pytest.raises(RemoteRateLimited):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))


@pytest.mark.parametrize(
    ("code", "word", "kind"),
    [(400, "DIGEST_INVALID", RemoteRefused), (413, "SIZE_INVALID", RemoteRefused), (405, "UNSUPPORTED", RemoteRefused)],
)
def test_a_no_is_a_no(
    fake: FakeRegistry, client: RegistryClient, content: bytes, code: int, word: str, kind: type[Exception]
) -> None:
    fake.rule("PUT", "/uploads/", refuse(code, word))
    with pytest.raises(kind):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert fake.count("PUT") == 1


def test_a_source_that_fails_is_not_the_destinations_fault(
    fake: FakeRegistry, client: RegistryClient, content: bytes
) -> None:
    def failing(offset: int) -> Iterator[bytes]:
        yield content[offset : offset + PART]
        raise RemoteUnavailable("the source broke off")

    with pytest.raises(RemoteUnavailable, match="source broke off"):
        blob_push(client, REPOSITORY, sha256(content), SIZE, failing)
    assert fake.count("PATCH") <= 1


@pytest.mark.parametrize("size", [SIZE + 1, SIZE * 2])
def test_a_source_that_is_too_short(fake: FakeRegistry, client: RegistryClient, content: bytes, size: int) -> None:
    with pytest.raises(RemoteInvalid, match="ends before"):
        blob_push(client, REPOSITORY, sha256(content), size, Source(content))
    assert not held(fake, content)


def test_a_source_that_is_too_long_is_not_sent_on(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    with pytest.raises(RemoteRefused):
        blob_push(client, REPOSITORY, sha256(content), SIZE - 1, Source(content))
    assert [len(asked.body) for asked in fake.seen("PATCH")] == [SIZE - 1]


def test_whoever_watches_may_end_it(fake: FakeRegistry, client: RegistryClient, content: bytes) -> None:
    class Stopped(Exception):
        pass

    def stop(sent: int) -> None:
        if sent > SIZE // 2:
            raise Stopped

    with pytest.raises(Stopped):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content), progress=stop)
    assert not held(fake, content)


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://169.254.169.254/", "http://u:p@127.0.0.1/x"])
def test_uploads_that_lead_astray(fake: FakeRegistry, client: RegistryClient, content: bytes, location: str) -> None:
    fake.rule("POST", "/uploads/", lie(Location=location))
    with pytest.raises((RemoteInvalid, RemoteBlocked)):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    assert fake.count("PATCH") == 0


@pytest.mark.parametrize("said", ["0-99999999999", "5-10", "0--5", "x", "0-"])
def test_a_registry_that_can_not_count(fake: FakeRegistry, client: RegistryClient, content: bytes, said: str) -> None:
    fake.rule("PATCH", "/uploads/", lie(Range=said))
    if said == "0-99999999999":
        with pytest.raises(RemoteInvalid, match="loses count"):
            blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
    else:  # it says nothing that could be understood, and took everything
        assert blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
        assert held(fake, content)


def test_a_registry_that_takes_it_for_something_else(
    fake: FakeRegistry, client: RegistryClient, content: bytes
) -> None:
    fake.rule("PUT", "/uploads/", lie(Docker_Content_Digest=sha256(b"other")))
    with pytest.raises(RemoteInvalid):
        blob_push(client, REPOSITORY, sha256(content), SIZE, Source(content))
