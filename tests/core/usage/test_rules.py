"""How long figures are told without counting again."""

from datetime import UTC, datetime, timedelta

import pytest

from core.usage.rules import is_due, kept_for

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("contents", "seconds"),
    [
        (0, 0),
        (9_999, 0),
        (10_000, 1),
        (15_000, 1.5),
        (240_000, 24),
        (36_000_000, 3_600),
        (36_000_001, 3_600),
        (1 << 62, 3_600),
    ],
)
def test_a_count_is_kept_for_a_second_for_every_10_000_contents(
    contents: int, seconds: float
) -> None:
    assert kept_for(contents) == timedelta(seconds=seconds)
    instant = timedelta(microseconds=1)
    ends = NOON + timedelta(seconds=seconds)
    assert is_due(contents, NOON, ends)
    assert is_due(contents, NOON, ends - instant) == (seconds == 0)
    assert is_due(contents, NOON, NOON) == (seconds == 0)
    assert is_due(contents, NOON, NOON - instant), "counted by a clock that is wrong"
