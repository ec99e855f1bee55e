"""How much a run reads."""

from datetime import UTC, datetime, timedelta

import pytest

from jobservice.scrub.rules import EVERY, ripe_before, share_bytes

pytestmark = pytest.mark.pure

MONTH = timedelta(days=30)


def test_half_the_period_suffices_for_everything() -> None:
    for total in (0, 1, 359, 360, 361, 10**15):
        share = share_bytes(total, MONTH)
        runs = (MONTH / 2) // EVERY
        assert runs == 360
        assert share * runs >= total
        assert share * runs - total < runs


def test_a_period_shorter_than_two_runs_reads_everything_at_once() -> None:
    assert share_bytes(1_000, EVERY) == 1_000


def test_what_was_verified_in_this_half_of_the_period_waits() -> None:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    assert ripe_before(now, MONTH) == datetime(2026, 3, 16, tzinfo=UTC)
