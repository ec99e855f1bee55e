"""Limits, and the sentence of a refusal."""

import pytest

from core.common.errors import ErrorKind
from core.quotas.errors import QuotaExceeded
from core.quotas.rules import MAXIMUM_LIMIT, ensure_room, exceeded, format_bytes, is_valid_limit

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("limit", "is_valid"),
    [(-1, True), (1, True), (MAXIMUM_LIMIT, True), (0, False), (-2, False), (2**63, False)],
)
def test_limits(limit: int, is_valid: bool) -> None:
    assert is_valid_limit(limit) is is_valid


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * 1024**2, "10.0 MiB"),
        (1024**3 - 1, "1024.0 MiB"),
        (MAXIMUM_LIMIT, "8.0 EiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_a_refusal_says_what_harbor_says() -> None:
    error = exceeded('{"adding": 10485760, "used": 99614720, "hard": 104857600}')
    assert error.kind is ErrorKind.DENIED
    assert error.message == (
        "adding 10.0 MiB of storage resource, which when updated to current usage of 95.0 MiB "
        "will exceed the configured upper limit of 100.0 MiB."
    )
    assert error.detail == {"adding": 10485760, "used": 99614720, "hard": 104857600}


@pytest.mark.parametrize(
    ("size", "used", "hard", "is_known", "may_be_known", "fits"),
    [
        (10, 90, 100, False, False, True),
        (11, 90, 100, False, False, False),
        (11, 90, 100, True, False, True),
        (100, 90, 100, False, True, True),
        (101, 90, 100, False, True, False),
        (150, 200, 100, False, True, True),
        (1, 200, 100, False, False, False),
        (10**15, 0, -1, False, False, True),
    ],
)
def test_what_is_refused_before_it_comes(
    size: int, used: int, hard: int, is_known: bool, may_be_known: bool, fits: bool
) -> None:
    try:
        ensure_room(size, used=used, hard=hard, is_known=is_known, may_be_known=may_be_known)
    except QuotaExceeded:
        assert not fits
    else:
        assert fits
