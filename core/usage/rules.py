"""How long the figures of the storage explorer are told before they are counted anew."""

from datetime import datetime, timedelta
from typing import Final

COUNTED_ANEW_BELOW: Final = 10_000
"""Figures of fewer contents are counted with every request. Each content counts for every
repository that has it, as in the time that a count takes."""

CONTENTS_FOR_A_SECOND: Final = 10_000
MAXIMUM_SECONDS: Final = 3_600


def kept_for(logical_contents: int) -> timedelta:
    """Return how long the figures of so many contents are told without counting again."""
    if logical_contents < COUNTED_ANEW_BELOW:
        return timedelta(0)
    return timedelta(seconds=min(logical_contents / CONTENTS_FOR_A_SECOND, MAXIMUM_SECONDS))


def is_due(logical_contents: int, counted_at: datetime, now: datetime) -> bool:
    """Tell whether figures have to be counted again.

    Those of the future, by a clock that was wrong, are: nobody knows how old they are.
    """
    return not timedelta(0) <= now - counted_at < kept_for(logical_contents)
