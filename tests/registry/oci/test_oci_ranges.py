import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harborlite.errors import RangeInvalid
from registry.oci.ranges import MAX_OFFSET, parse_content_range, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-99", (0, 99)),
        ("0-0", (0, 0)),
        ("100-199", (100, 199)),
        ("bytes 0-99/100", (0, 99)),
        ("bytes 0-99/*", (0, 99)),
        ("bytes 0-99", (0, 99)),
        ("bytes=0-99", (0, 99)),
        ("0-99/100", (0, 99)),
        (f"0-{MAX_OFFSET}", (0, MAX_OFFSET)),
    ],
)
def test_c23_range_of_a_chunk_is_read(header: str, expected: tuple[int, int]) -> None:
    assert parse_content_range(header) == expected


MALFORMED = {
    "nothing": "",
    "dash": "-",
    "no end": "5-",
    "no start": "-5",
    "inverted": "99-0",
    "underscore": "1_0-20",
    "plus": "+5-9",
    "minus": "-5-9",
    "full-width digits": "\uff10-\uff19",
    "Arabic digits": "\u0660-\u0669",
    "superscript": "0-\u00b2",
    "spaces": "0 - 9",
    "leading space": " 0-9",
    "newline": "0-9\n",
    "NUL": "0-9\0",
    "hexadecimal": "0x0-0x9",
    "fraction": "0.0-9.0",
    "exponent": "0-1e3",
    "words": "a-b",
    "three numbers": "0-9-10",
    "two ranges": "0-9,10-19",
    "other unit": "items 0-9/10",
    "size below the end": "bytes 0-99/99",
    "size missing": "bytes 0-99/",
    "unsatisfied form": "bytes */100",
    "beyond 63 bits": f"0-{MAX_OFFSET + 1}",
    "size beyond 63 bits": f"0-9/{MAX_OFFSET + 2}",
    "20 digits": "0-10000000000000000000",
    "5,000 digits": "0-" + "9" * 5000,
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED.keys())
def test_c23_malformed_range_of_a_chunk_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid) as refusal:
        parse_content_range(header)
    assert refusal.value.status == 416


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=500-1499", 2048, (500, 1000)),
        ("bytes=500-", 2048, (500, 1548)),
        ("bytes=-500", 2048, (1548, 500)),
        ("bytes=2000-5000", 2048, (2000, 48)),
        ("bytes=0-0", 2048, (0, 1)),
        ("bytes=0-", 2048, (0, 2048)),
        ("bytes=2047-2047", 2048, (2047, 1)),
        ("bytes=-5000", 2048, (0, 2048)),
        ("BYTES=0-9", 2048, (0, 10)),
        ("bytes= 0-9 ", 2048, (0, 10)),
        (f"bytes=0-{'9' * 100}", 2048, (0, 2048)),
        (f"bytes=-{'9' * 100}", 2048, (0, 2048)),
    ],
)
def test_c14_part_of_a_blob_is_found(header: str, size: int, expected: tuple[int, int]) -> None:
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=500-0", 2048),
        ("bytes=5000-10000", 2048),
        ("bytes=2048-", 2048),
        ("bytes=2048-2048", 2048),
        ("bytes=-0", 2048),
        (f"bytes={'9' * 100}-", 2048),
        ("bytes=500-0", 0),
    ],
)
def test_c14_part_outside_a_blob_is_refused_with_its_size(header: str, size: int) -> None:
    with pytest.raises(RangeInvalid) as refusal:
        parse_range(header, size)
    assert refusal.value.status == 416
    assert refusal.value.headers == {"Content-Range": f"bytes */{size}"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=0-9,20-29",
        "bytes=0--9",
        "bytes=+0-9",
        "bytes=1_0-20",
        "bytes=\uff10-\uff19",
        "bytes=0-9\0",
        "items=0-9",
        "0-9",
        f"bytes=0-{'9' * 5000}",
    ],
)
def test_c14_what_is_not_one_range_of_bytes_asks_for_everything(header: str) -> None:
    assert parse_range(header, 2048) is None


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-99", "bytes=-1", "bytes=-0", "bytes=7-9"])
def test_any_part_of_an_empty_blob_is_everything(header: str) -> None:
    assert parse_range(header, 0) is None


DIGITS = st.text("0123456789", max_size=20)


@given(st.text(max_size=60) | st.builds("bytes={}-{}".format, DIGITS, DIGITS), st.integers(0, MAX_OFFSET))
@settings(max_examples=300)
def test_part_always_lies_inside_the_blob(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except RangeInvalid:
        return
    if part is not None:
        start, length = part
        assert 0 <= start < start + length <= size


@given(st.text(max_size=60) | st.builds("{}-{}".format, DIGITS, DIGITS))
@settings(max_examples=300)
def test_chunk_is_read_as_plain_numbers_or_refused(header: str) -> None:
    try:
        start, end = parse_content_range(header)
    except RangeInvalid:
        return
    assert 0 <= start <= end <= MAX_OFFSET
    assert str(start) in header
    assert str(end) in header
