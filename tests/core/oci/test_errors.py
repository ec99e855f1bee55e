"""OCI errors have the codes clients know, and never repeat untrusted text at length."""

import pytest

from core.common.errors import DomainError, ErrorKind
from core.oci import errors

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (errors.DigestInvalid(), "DIGEST_INVALID", ErrorKind.INVALID),
        (errors.NameInvalid(), "NAME_INVALID", ErrorKind.INVALID),
        (errors.TagInvalid(), "TAG_INVALID", ErrorKind.INVALID),
        (errors.ManifestInvalid(), "MANIFEST_INVALID", ErrorKind.INVALID),
        (errors.ManifestTooLarge(), "MANIFEST_INVALID", ErrorKind.TOO_LARGE),
        (errors.RangeNotSatisfiable(10), "RANGE_INVALID", ErrorKind.RANGE),
        (errors.ContentRangeInvalid(), "BLOB_UPLOAD_INVALID", ErrorKind.INVALID),
    ],
)
def test_codes_and_kinds(error: DomainError, code: str, kind: ErrorKind) -> None:
    assert error.code == code
    assert error.kind is kind
    assert error.message == error.default_message


def test_range_not_satisfiable_tells_the_size() -> None:
    error = errors.RangeNotSatisfiable(42)

    assert error.size == 42
    assert error.detail == {"size": 42}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("short", "'short'"),
        ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
        ("x" * 80, repr("x" * 80)),
        ("x" * 81, repr("x" * 80) + "..."),
        (None, "'NoneType'"),
        ([1, 2], "'list'"),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_excerpt(value: object, expected: str) -> None:
    assert errors.excerpt(value) == expected
