"""The parser of ``q`` and ``sort``, from tables of cases and from noise."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.errors import BadRequest
from core.api.query_language import (
    AllOf,
    AnyOf,
    Exact,
    Fuzzy,
    Order,
    Pattern,
    Range,
    Term,
    normal_key,
    parse_query,
    parse_sort,
)

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("name=library", Exact("library")),
        ("name=a=b", Exact("a=b")),
        ("name=~lib", Fuzzy("lib")),
        (r"name=\~lib", Exact("~lib")),
        (r"name=~\~x", Fuzzy("~x")),
        ("name=[1~5]", Range("1", "5")),
        ("name=[~5]", Range(None, "5")),
        ("name=[ 2026-01-01T00:00:00 ~ ]", Range("2026-01-01T00:00:00", None)),
        ("name={a b c}", AnyOf(("a", "b", "c"))),
        ("name={'a b' \"c d\" e}", AnyOf(("a b", "c d", "e"))),
        ("name=(a b)", AllOf(("a", "b"))),
        ('name="quoted"', Exact("quoted")),
        ("name__icontains=x", Fuzzy("x")),
        ("name__in={a b}", AnyOf(("a", "b"))),
        ("name__gte=3", Range("3", None)),
        ("name__lte=3", Range(None, "3")),
        ("name__gt=3", Range("3", None, has_its_ends=False)),
        ("name__lt=3", Range(None, "3", has_its_ends=False)),
        ("name__in=a b", AnyOf(("a", "b"))),
        ("name__in={'a b' c}", AnyOf(("a b", "c"))),
        (r"name=\[x", Exact("[x")),
        (r"name=~\\", Fuzzy("\\")),
        ("name__exact=~x", Exact("~x")),
        ("name%3Dlibrary", Exact("library")),
    ],
)
def test_every_form_of_a_term(text: str, pattern: Pattern) -> None:
    assert parse_query(text) == (Term("name", pattern),)


def test_terms_are_separated_by_commas_and_keys_are_normalised() -> None:
    assert parse_query("Level=project,ProjectID=1,project_id=2") == (
        Term("level", Exact("project")),
        Term("projectid", Exact("1")),
        Term("projectid", Exact("2")),
    )


def test_nothing_is_no_filter() -> None:
    assert parse_query("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name=",
        "=library",
        "a=b,",
        "name=~",
        "name=~\\",
        "name=[",
        "name=[nm",
        "name=[1~2",
        "name={p01",
        "name=(nm",
        "name=(nm]",
        "name__in={a",
        "name__in={}",
        "name=[1]",
        "name=[~]",
        "name=[1~2~3]",
        "name={}",
        "name=()",
        "name={'a}",
        'name={a"b}',
        "name=a%00b",
        "k=" + "x" * 5000,
        ",".join(["a=b"] * 33),
        "name={" + "x " * 201 + "}",
    ],
)
def test_malformed_queries_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="q"):
        parse_query(text)


def test_sort() -> None:
    assert parse_sort("name,-creation_time,,- ") == (
        Order("name", is_descending=False),
        Order("creationtime", is_descending=True),
    )
    assert parse_sort("") == ()


def test_keys_agree_in_both_spellings() -> None:
    assert normal_key("ProjectID") == normal_key("project_id") == "projectid"


@given(st.text(max_size=200))
def test_noise_is_parsed_or_refused(text: str) -> None:
    try:
        terms = parse_query(text)
    except BadRequest:
        return
    assert len(terms) == (unquote(text).count(",") + 1 if text else 0)


@given(st.text(alphabet="abc=~[](){}\"'\\ ,%20-", max_size=60))
def test_syntax_noise_is_parsed_or_refused(text: str) -> None:
    try:
        terms = parse_query(text)
    except BadRequest:
        return
    assert len(terms) == (unquote(text).count(",") + 1 if text else 0)


@given(st.text(max_size=100))
def test_any_sort_is_understood(text: str) -> None:
    assert all("," not in order.key for order in parse_sort(text))
