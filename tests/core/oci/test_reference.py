"""Repository names, tags and references follow the grammar of the distribution spec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.oci.digest import Digest
from core.oci.errors import DigestInvalid, NameInvalid, TagInvalid
from core.oci.reference import (
    RepositoryName,
    is_tag,
    parse_reference,
    parse_repository_name,
    parse_tag,
)

pytestmark = pytest.mark.pure

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "project", "path"),
    [
        ("library/nginx", "library", "nginx"),
        ("a/b/c", "a", "b/c"),
        ("0/0/0/0", "0", "0/0/0"),
        ("a---b/c", "a---b", "c"),
        ("a__b/c__d", "a__b", "c__d"),
        ("a.b/c_d-e", "a.b", "c_d-e"),
        ("a/blobs/b", "a", "blobs/b"),
        ("uploads/tags/list", "uploads", "tags/list"),
        ("x/manifests", "x", "manifests"),
        ("api/token/healthz", "api", "token/healthz"),
    ],
)
def test_valid_names(text: str, project: str, path: str) -> None:
    name = parse_repository_name(text)

    assert name == RepositoryName(project, path)
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a//b",
        "a/",
        "/a",
        ".a/b",
        "a../b",
        "a..b/c",
        "a___b/c",
        "a-/b",
        "-a/b",
        "a/b-",
        "a._b/c",
        "a-_b/c",
        "A/b",
        "a/B",
        "é/b",
        "a/b\n",
        "a/b\x00",
        "a/../b",
        "a\\b/c",
        "a%2fb/c",
        "a/b:c",
        "a b/c",
        "a/٣",
    ],
)
def test_invalid_names(text: str) -> None:
    with pytest.raises(NameInvalid, match="not a repository name"):
        parse_repository_name(text)


@pytest.mark.parametrize("text", ["1", "nginx", "a__b"])
def test_one_component_lacks_the_project(text: str) -> None:
    with pytest.raises(NameInvalid, match="<project>/<repository>"):
        parse_repository_name(text)


def test_length_limit() -> None:
    longest = "a/" + "b" * 253

    assert str(parse_repository_name(longest)) == longest
    with pytest.raises(NameInvalid, match="longer than 255"):
        parse_repository_name(longest + "b")


def test_limit_may_be_lowered_but_not_raised() -> None:
    assert str(parse_repository_name("a/bc", limit=4)) == "a/bc"
    with pytest.raises(NameInvalid, match="longer than 4 "):
        parse_repository_name("a/bcd", limit=4)
    with pytest.raises(NameInvalid, match="longer than 255"):
        parse_repository_name("a/" + "b" * 254, limit=1_000)


def test_hostile_name_is_refused_at_once_with_a_short_message() -> None:
    with pytest.raises(NameInvalid) as caught:
        parse_repository_name("a-" * 127, limit=255)
    assert len(caught.value.message) < 400


components = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}", fullmatch=True)


@given(st.lists(components, min_size=2, max_size=5).map("/".join).filter(lambda n: len(n) <= 255))
def test_every_name_of_the_grammar_round_trips(text: str) -> None:
    assert str(parse_repository_name(text)) == text


@pytest.mark.parametrize(
    "text",
    ["latest", "1", "_x", "_", "v1.2.3", "A.b_c-D", "sha256-" + "a" * 64 + ".sig", "x" * 128],
)
def test_valid_tags(text: str) -> None:
    assert is_tag(text)
    assert parse_tag(text) == text
    assert parse_reference(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".x", "-x", "a+b", "a/b", "a b", "x" * 129, "latest\n", "é", "a\x00", "..", "%2e"],
)
def test_invalid_tags(text: str) -> None:
    assert not is_tag(text)
    with pytest.raises(TagInvalid):
        parse_tag(text)
    with pytest.raises(TagInvalid):
        parse_reference(text)


def test_reference_with_a_digest() -> None:
    assert parse_reference(DIGEST) == Digest("sha256", "a" * 64)


@pytest.mark.parametrize(
    "text", ["sha256:baddigeststring", "latest:1", f"latest@{DIGEST}", DIGEST.upper(), ":"]
)
def test_reference_with_a_colon_is_never_a_tag(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_reference(text)
