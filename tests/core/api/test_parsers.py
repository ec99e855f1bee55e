"""Request bodies: what is read and what is refused before any view sees it."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.errors import BadRequest, BodyTooLarge
from core.api.parsers import MAXIMUM_BODY_BYTES, BoundedJSONParser, parse_json

pytestmark = pytest.mark.pure


def test_plain_documents() -> None:
    assert parse_json(b'{"a": [1, 2.5, "\xc3\xa9", null, true]}') == {
        "a": [1, 2.5, "é", None, True]
    }


def test_brackets_in_strings_are_no_depth() -> None:
    assert parse_json(json.dumps({"a": "[" * 100 + '\\"{'}).encode()) == {"a": "[" * 100 + '\\"{'}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'["\\udfff"]',
        b"[" * 33 + b"]" * 33,
        b"[" * 200_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"1" * 5000,
    ],
)
def test_hostile_documents_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'"\\u0000"', "The body"),
        (b'{"a": [{"b": 1}, {"b": ["x", "\\u0000"]}]}', "a[1].b[1]"),
        (b'[{"a": "\\ud800"}]', "[0].a"),
        (b'{"a": {"b\\u0000c": 1}}', "a.bc"),
        (b'{"' + b"k" * 5000 + b'": "\\u0000"}', "k" * 64),
    ],
)
def test_the_member_with_the_fault_is_named(body: bytes, where: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_json(body)
    assert refused.value.message == f"{where} contains a character that is not allowed."


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    fits = b'"' + b"x" * (MAXIMUM_BODY_BYTES - 2) + b'"'
    assert len(BoundedJSONParser().parse(io.BytesIO(fits))) == MAXIMUM_BODY_BYTES - 2
    with pytest.raises(BodyTooLarge):
        BoundedJSONParser().parse(io.BytesIO(fits + b" "))


@given(st.binary(max_size=200))
def test_noise_is_parsed_or_refused(body: bytes) -> None:
    try:
        value = parse_json(body)
    except BadRequest:
        return
    assert json.dumps(value).encode().isascii()
