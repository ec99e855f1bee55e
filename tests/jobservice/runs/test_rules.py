"""When schedules are due."""

from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSimError

from jobservice.runs.rules import next_due

NOON = datetime(2026, 8, 1, 12, 0, 30, tzinfo=UTC)


def test_interval_counts_from_now() -> None:
    assert next_due(NOON, cron="", interval_seconds=90) == NOON + timedelta(seconds=90)


def test_cron_is_the_next_match_in_utc() -> None:
    expected = datetime(2026, 8, 2, 3, 15, tzinfo=UTC)
    assert next_due(NOON, cron="15 3 * * *", interval_seconds=None) == expected


def test_unreadable_cron_is_refused() -> None:
    with pytest.raises(CronSimError):
        next_due(NOON, cron="never", interval_seconds=None)
