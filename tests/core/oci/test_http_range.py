"""Range headers of blob requests are read as RFC 9110 says, without amplification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.common.errors import ErrorKind
from core.oci.errors import RangeNotSatisfiable
from core.oci.http_range import MAX_HEADER_CHARACTERS, MAX_RANGES, ByteRange, parse_range

pytestmark = pytest.mark.pure

SIZE = 2048


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("bytes=0-", [(0, 2047)]),
        ("bytes=500-1499", [(500, 1499)]),
        ("bytes=500-", [(500, 2047)]),
        ("bytes=-500", [(1548, 2047)]),
        ("bytes=-1", [(2047, 2047)]),
        ("bytes=-5000", [(0, 2047)]),
        ("bytes=2000-5000", [(2000, 2047)]),
        ("bytes=2047-2047", [(2047, 2047)]),
        ("bytes=0-" + "9" * 30, [(0, 2047)]),
        ("BYTES=0-1", [(0, 1)]),
        (" bytes=0-1 ", [(0, 1)]),
        ("bytes=0-9,100-109", [(0, 9), (100, 109)]),
        ("bytes=0-9 ,\t100-109", [(0, 9), (100, 109)]),
        ("bytes=,0-9,,100-109,", [(0, 9), (100, 109)]),
        ("bytes=100-109,0-9", [(100, 109), (0, 9)]),
        ("bytes=0-9,10-19", [(0, 9), (10, 19)]),
        ("bytes=0-9,5000-6000", [(0, 9)]),
        ("bytes=-0,7-8", [(7, 8)]),
    ],
)
def test_satisfiable_ranges(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse_range(header, SIZE) == tuple(expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9,5-14", [(0, 14)]),
        ("bytes=5-14,0-9", [(0, 14)]),
        ("bytes=0-9,9-9", [(0, 9)]),
        ("bytes=0-100,10-20,30-40", [(0, 100)]),
        ("bytes=500-,-500,0-1", [(0, 1), (500, 2047)]),
    ],
)
def test_overlapping_ranges_are_joined(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse_range(header, SIZE) == tuple(expected)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=1 - 2",
        "bytes =1-2",
        "bytes: 1-2",
        "bytes=0-1;2-3",
        "bytes=0-9,x",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=٣-٤",
        "bytes=0-1\n",
        "lines=1-2",
        "items=0-1",
        "0-1",
    ],
)
def test_absent_unknown_or_broken_header_is_ignored(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    "header",
    [
        "bytes=500-0",
        "bytes=5000-10000",
        "bytes=2048-",
        "bytes=-0",
        "bytes=0-1,5-4",
        "bytes=" + "9" * 30 + "-",
        "bytes=3000-,4000-",
    ],
)
def test_unsatisfiable_ranges(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, SIZE)
    assert caught.value.size == SIZE
    assert caught.value.kind is ErrorKind.RANGE


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-", "bytes=-0"])
def test_empty_blob_is_sent_whole(header: str) -> None:
    assert parse_range(header, 0) is None


def test_as_many_ranges_as_allowed() -> None:
    ranges = [(start, start) for start in range(0, 2 * MAX_RANGES, 2)]
    header = "bytes=" + ",".join(f"{start}-{end}" for start, end in ranges)

    assert parse_range(header, SIZE) == tuple(ranges)
    assert parse_range(f"{header},900-900", SIZE) is None


def test_flood_of_ranges_is_ignored() -> None:
    assert parse_range("bytes=" + ",".join(["0-"] * 1_000), SIZE) is None
    assert parse_range("bytes=" + "," * MAX_HEADER_CHARACTERS + "0-1", SIZE) is None
    assert parse_range("bytes=0-" + "9" * MAX_HEADER_CHARACTERS, SIZE) is None


def test_length_counts_both_ends() -> None:
    assert ByteRange(500, 1499).length == 1000


positions = st.integers(min_value=0, max_value=300)
specifications = st.one_of(
    st.tuples(positions, positions).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    positions.map(lambda first: f"{first}-"),
    positions.map(lambda suffix: f"-{suffix}"),
)


def _bytes_asked_for(specification: str, size: int) -> set[int]:
    first, _, last = specification.partition("-")
    if not first:
        return set(range(max(size - int(last), 0), size))
    return set(range(int(first), min(int(last) + 1 if last else size, size)))


@given(st.lists(specifications, min_size=1, max_size=8), st.integers(min_value=1, max_value=200))
def test_ranges_cover_exactly_what_was_asked_for(items: list[str], size: int) -> None:
    wanted = set[int]().union(*(_bytes_asked_for(item, size) for item in items))
    header = "bytes=" + ",".join(items)
    if not wanted:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, size)
        return

    ranges = parse_range(header, size)

    assert ranges is not None
    sent = [position for item in ranges for position in range(item.start, item.end + 1)]
    assert sorted(sent) == sorted(wanted)
    assert sum(item.length for item in ranges) <= size


@given(st.text(max_size=60), st.integers(min_value=0, max_value=200))
def test_any_header_stays_inside_the_blob(rest: str, size: int) -> None:
    try:
        ranges = parse_range(f"bytes={rest}", size)
    except RangeNotSatisfiable:
        return
    assert all(0 <= item.start <= item.end < size for item in ranges or ())
