"""How much one run reads, and what has waited long enough."""

from datetime import datetime, timedelta

EVERY = timedelta(hours=1)
"""How often a share is read."""


def ripe_before(now: datetime, period: timedelta) -> datetime:
    """Return the instant before which a blob must have been verified last to be read again.

    Half the period: content of that age is spread evenly over the other half, so that a large
    import is not one large burst a period later, and a lone blob is not read every hour.
    """
    return now - period / 2


def share_bytes(total_bytes: int, period: timedelta) -> int:
    """Return how many bytes a run has to read so that half a period is enough for all."""
    runs = max(1, period / 2 // EVERY)
    return -(-total_bytes // runs)
