"""Content-Range of upload chunks: the form of the OCI specification, and that of RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.oci.content_range import ContentRange, parse_content_range
from core.oci.errors import ContentRangeInvalid

pytestmark = pytest.mark.pure

LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-0", (0, 0)),
        ("0-1023", (0, 1023)),
        ("1024-2047", (1024, 2047)),
        ("007-8", (7, 8)),
        (" 0-9\t", (0, 9)),
        (f"0-{LARGEST}", (0, LARGEST)),
        ("bytes 0-9/*", (0, 9)),
        ("bytes 0-9/10", (0, 9)),
        ("bytes 5-9/1000", (5, 9)),
    ],
)
def test_accepted_forms(header: str, expected: tuple[int, int]) -> None:
    assert parse_content_range(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "0-",
        "-9",
        "5-1",
        "a-b",
        "-1-5",
        "0--1",
        "0 - 9",
        "0-9/10",
        "0-9,10-19",
        "bytes 0-9",
        "bytes=0-9",
        "bytes 0-9/",
        "bytes 0-9/9",
        "bytes 9-0/10",
        "bytes */10",
        "0-9\n",
        "\u0660-\u0669",
        "0x0-0x9",
        "1" * 30 + "-" + "2" * 30,
        "0-" + "9" * 30,
        f"0-{LARGEST + 1}",
        "bytes 0-9/" + "9" * 30,
        "9" * 1_000_000,
    ],
)
def test_refused_forms(header: str) -> None:
    with pytest.raises(ContentRangeInvalid) as caught:
        parse_content_range(header)
    assert len(caught.value.message) < 300


def test_length_counts_both_ends() -> None:
    assert ContentRange(1024, 2047).length == 1024


@given(st.integers(0, LARGEST), st.integers(0, LARGEST))
def test_every_ordered_pair_round_trips(first: int, second: int) -> None:
    start, end = sorted((first, second))

    assert parse_content_range(f"{start}-{end}") == (start, end)
    assert parse_content_range(f"bytes {start}-{end}/*") == (start, end)
