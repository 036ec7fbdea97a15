"""The reader of chunked bodies reads exactly what gunicorn's own does, however the bytes are cut and broken."""

from collections.abc import Callable
from typing import Any

from gunicorn.http import body
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.unreader import IterUnreader
from hypothesis import given, settings
from hypothesis import strategies as st

from harborlite.errors import HarborliteError
from harborlite.server.request import ChunkedReader, Input


class Source(IterUnreader):  # type: ignore[misc]
    """Bytes in the pieces in which a client sends them."""

    def __len__(self) -> int:
        return len(self.buf.getbuffer())

    def rest(self) -> bytes:
        return bytes(self.buf.getvalue() + b"".join(self.iter or ()))


class Limits:
    """What a chunked reader asks of its request."""

    limit_request_field_size = 100
    max_buffer_headers = 300
    trailers: object = None

    def parse_headers(self, data: bytes, from_trailer: bool) -> bytes:
        assert from_trailer
        return data


def outcome(pieces: list[bytes], make: Callable[[Any, Source], Callable[[], bytes]]) -> object:
    """Body, trailers and what follows; only that it is refused, when it is."""
    source, limits = Source(iter(pieces)), Limits()
    read = make(limits, source)
    received = b""
    try:
        while data := read():
            received += data
    except (ParseException, NoMoreData, HarborliteError):
        return "refused"
    return received, limits.trailers, source.rest()


def theirs(limits: Any, source: Source) -> Callable[[], bytes]:
    reader = body.ChunkedReader(limits, source)
    return lambda: bytes(reader.read(50))


def ours(limits: Any, source: Source) -> Callable[[], bytes]:
    reader = ChunkedReader(limits, source)
    return lambda: reader.read(50)


def ours_as_it_arrives(limits: Any, source: Source) -> Callable[[], bytes]:
    return Input(ChunkedReader(limits, source), source, lambda: None).read1  # type: ignore[arg-type]


chunk = st.builds(
    lambda data, form: form % len(data) + b"\r\n" + data + b"\r\n",
    st.lists(st.sampled_from([b"a", b"0", b"\r", b"\n", b"\r\n"]), min_size=1, max_size=200).map(b"".join),
    st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a=b", b'%x ;q="x"']),
)
last = st.sampled_from([b"0\r\n\r\n", b"00\r\n\r\n", b"0;x\r\nA: b\r\n\r\n", b"0\r\nA: b\r\nC: d\r\n\r\n", b""])
message = st.builds(
    lambda chunks, end, behind: b"".join([*chunks, end, behind]),
    st.lists(chunk, max_size=4),
    last,
    st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n"]),
)


def broken(data: bytes, at: float, insert: bytes, length: int) -> bytes:
    """`data` with `length` bytes somewhere replaced."""
    place = int(at * len(data))
    return data[:place] + insert + data[place + length :]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


breakage = st.tuples(
    st.floats(0, 0.999), st.sampled_from([b"", b"\r", b"\n", b"0", b"3", b";", b"\0"]), st.integers(0, 2)
)


@settings(max_examples=500, deadline=None)
@given(message, st.lists(breakage, max_size=2), st.lists(st.integers(1, 60), max_size=30))
def test_chunked_bodies_are_read_as_gunicorn_reads_them(
    data: bytes, breakages: list[tuple[float, bytes, int]], sizes: list[int]
) -> None:
    for at, insert, length in breakages:
        data = broken(data, at, insert, length)
    pieces = cut(data, sizes)
    expected = outcome(pieces, theirs)
    assert outcome(pieces, ours) == expected
    assert outcome(pieces, ours_as_it_arrives) == expected
