"""Hostile JSON is refused in bounded time; text kept is text the database can hold."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.oci.errors import ManifestInvalid
from core.oci.strict_json import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    known_keys,
    parse_object,
    refuse_case_variants,
)

pytestmark = pytest.mark.pure

FOUR_MIB = 4_194_304


def nested(depth: int) -> bytes:
    """Return an object that has the given number of levels, itself the first."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a" : 1}\n\n', {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":"\\u00e9\\ud83d\\ude00"}', {"a": "é😀"}),
        (b'{"a":1.5,"b":-0,"c":1e308,"d":true,"e":null}', None),
        (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
        (b'{"n":' + b"9" * 4_000 + b"}", None),
    ],
)
def test_accepted(payload: bytes, expected: dict[str, object] | None) -> None:
    parsed = parse_object(payload)

    assert parsed == (json.loads(payload) if expected is None else expected)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xef\xbb\xbf", "not valid JSON"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{}{}", "not valid JSON"),
        (b"{} x", "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b'{"a":01}', "not valid JSON"),
        (b'{"a":"\n"}', "not valid JSON"),
        (b'{"a":1 /* note */}', "not valid JSON"),
        (b"\x00", "not valid JSON"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"2", "must be a JSON object"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not valid UTF-8"),
        ('{"a":1}'.encode("utf-16"), "not valid UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not valid JSON"),
        (b'{"a":NaN}', "contains NaN"),
        (b'{"a":Infinity}', "contains Infinity"),
        (b'{"a":[-Infinity]}', "contains -Infinity"),
        (b'{"a":1e999}', "too large a number"),
        (b'{"a":[-1.5E+4000]}', "too large a number"),
        (b'{"n":' + b"9" * 5_000 + b"}", "too many digits"),
        (b'{"n":' + b"9" * (FOUR_MIB - 8) + b"}", "too many digits"),
        (b'{"a":1,"a":1}', "repeats the member 'a'"),
        (b'{"a":1,"\\u0061":2}', "repeats the member 'a'"),
        (b'{"x":[{"b":1,"c":2,"c":3}]}', "repeats the member 'c'"),
        (b'{"a":"\\u0000"}', "not Unicode text"),
        (b'{"\\u0000":1}', "not Unicode text"),
        (b'{"a":["\\ud800"]}', "not Unicode text"),
        (b'{"a":{"b":["x","\\udc00\\ud800"]}}', "not Unicode text"),
    ],
    ids=range(34),
)
def test_refused(payload: bytes, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message) as caught:
        parse_object(payload)
    assert len(caught.value.message) < 400


def test_depth_limit() -> None:
    assert parse_object(nested(MAX_DEPTH))
    with pytest.raises(ManifestInvalid, match="64 levels"):
        parse_object(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [500, 10_000, 250_000])
def test_extreme_depth_is_refused(opening: bytes, depth: int) -> None:
    payload = b'{"a":' + opening * depth

    with pytest.raises(ManifestInvalid):
        parse_object(payload)


@pytest.mark.parametrize("depth", [500, 10_000])
def test_extreme_depth_of_valid_json_is_refused_as_such(depth: int) -> None:
    with pytest.raises(ManifestInvalid, match="64 levels"):
        parse_object(nested(depth))


def test_number_of_containers_is_limited() -> None:
    def with_lists(count: int) -> bytes:
        return b'{"a":[' + b",".join([b"[]"] * count) + b"]}"

    assert parse_object(with_lists(MAX_CONTAINERS - 2))
    with pytest.raises(ManifestInvalid, match="too many objects"):
        parse_object(with_lists(MAX_CONTAINERS - 1))


def repeated(item: bytes, head: bytes = b'{"a":[', tail: bytes = b"]}") -> bytes:
    """Return a document that fills 4 MiB with one item."""
    count = (FOUR_MIB - len(head) - len(tail)) // (len(item) + 1)
    return head + b",".join([item] * count) + tail


@pytest.mark.parametrize(
    "payload",
    [
        repeated(b"[]"),
        repeated(b"{}"),
        repeated(b"0"),
        repeated(b'""'),
        repeated(b"1e9"),
        repeated(b"9" * 4_000),
        repeated(b'"\\ud83d\\ude00"'),
        repeated(b'{"b":{},"c":"text"}'),
        b'{"a":"' + b"\\\\" * (FOUR_MIB // 2 - 5) + b'"}',
        b'{"a":"' + b"\\" * (FOUR_MIB - 8) + b'"}',
        b"{" + b",".join(b'"%d":0' % n for n in range(350_000)) + b"}",
        b'{"a":0,' + b",".join(b'"b%d":0' % n for n in range(300_000)) + b',"a":0}',
        b" " * FOUR_MIB,
        b"[" * FOUR_MIB,
    ],
    ids=range(14),
)
def test_time_is_bounded_for_any_four_mebibytes(payload: bytes) -> None:
    assert len(payload) <= FOUR_MIB
    started = time.process_time()

    with contextlib.suppress(ManifestInvalid):
        parse_object(payload)

    # Well below a second on an idle machine; quadratic behaviour would take minutes.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("key", "is_refused"),
    [
        ("mediaType", False),
        ("MediaType", True),
        ("mediatype", True),
        ("MEDIATYPE", True),
        ("dige\u017ft", True),
        ("digest", False),
        ("other", False),
        ("media_type", False),
        ("mediaType ", False),
    ],
)
def test_case_variants_of_known_keys(key: str, *, is_refused: bool) -> None:
    known = known_keys("mediaType", "digest")
    if not is_refused:
        refuse_case_variants({key: 1}, known, "config")
        return
    with pytest.raises(ManifestInvalid, match="config has the member"):
        refuse_case_variants({key: 1}, known, "config")


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(document=st.dictionaries(text, values, max_size=4), escapes=st.booleans())
def test_ordinary_documents_are_read_unchanged(
    document: dict[str, object], *, escapes: bool
) -> None:
    payload = json.dumps(document, ensure_ascii=escapes).encode()

    assert parse_object(payload) == document


@given(st.binary(max_size=100))
def test_any_bytes_are_an_object_or_refused(payload: bytes) -> None:
    try:
        document = parse_object(payload)
    except ManifestInvalid:
        return
    assert document == json.loads(payload)
