"""Limits, and the sentence of a refusal."""

import pytest

from core.common.errors import ErrorKind
from core.quotas.rules import MAXIMUM_LIMIT, exceeded, format_bytes, is_valid_limit

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
