"""Reading a Helm chart's archive."""

import contextlib
import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.oci import chart
from registry.oci.chart import ChartInvalid, file_of


def packed(files: Mapping[str, bytes], kind: bytes = tarfile.REGTYPE, mode: str = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "elsewhere" if kind != tarfile.REGTYPE else ""
            member.size = len(data) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(content.getvalue())


def read(archive: bytes, name: str = "values.yaml") -> bytes:
    return file_of(io.BytesIO(archive), name)


def test_the_file_at_the_top_of_the_chart_is_found() -> None:
    files = {
        "web/charts/db/values.yaml": b"inner",
        "web/Chart.yaml": b"name: web",
        "web/README.md": b"# read me",
        "web/values.yaml": b"a: 1",
        "values.yaml": b"outside",
    }
    archive = packed(files)
    assert read(archive) == b"a: 1"
    assert read(archive, "readme.md") == b"# read me"
    assert read(archive, "license") == b""


@pytest.mark.parametrize("name", ["w" * 120 + "/values.yaml", "w\u00e9b/values.yaml", "web/VALUES.yaml"])
def test_names_may_be_long_or_strange(name: str) -> None:
    assert read(packed({name: b"a: 1"})) == b"a: 1"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_only_files_are_read(kind: bytes) -> None:
    assert read(packed({"web/values.yaml": b""}, kind)) == b""


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(b""),
        gzip.compress(b"x" * 10_000),
        packed({"web/values.yaml": b"a" * 5000})[:-100],
        packed({"web/values.yaml": b"a" * (chart.MAX_FILE + 1)}),
        packed({f"web/{number}": b"" for number in range(chart.MAX_MEMBERS + 1)}),
        packed({"web/filler": bytes(chart.MAX_UNPACKED + 1), "web/values.yaml": b"a"}),
    ],
    ids=["nothing", "a header", "empty", "no tar", "cut off", "a long file", "many files", "a bomb"],
)
def test_what_cannot_be_read_within_bounds_is_refused(archive: bytes) -> None:
    with pytest.raises(ChartInvalid):
        read(archive)


def test_a_header_that_promises_much_takes_no_memory() -> None:
    member = tarfile.TarInfo("web/values.yaml")
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE):
        member.type, member.size = kind, 7 * 1024**3
        bomb = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(64 * 1024 * 1024))
        tracemalloc.start()
        try:
            with pytest.raises(ChartInvalid):
                read(bomb, "readme.md")
            assert tracemalloc.get_traced_memory()[1] < 4 * chart.MAX_UNPACKED
        finally:
            tracemalloc.stop()


@settings(deadline=None)
@given(content=st.binary(max_size=2000), at=st.integers(0, 400), is_zipped=st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes, at: int, is_zipped: bool) -> None:
    sound = gzip.decompress(packed({"web/values.yaml": b"a: 1", "web/README.md": b"x" * 700}))
    broken = sound[:at] + content + sound[at + len(content) :]
    archive = gzip.compress(broken) if is_zipped else broken
    with contextlib.suppress(ChartInvalid):
        assert len(read(archive)) <= chart.MAX_FILE
