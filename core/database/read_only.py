"""What goes on while the database can only be read.

So it is on a standby before its promotion, and when an operator or a provider freezes a database
whose disk is full. Writes that nobody is promised anything of, such as when a token was last used,
are left out then, and what they stand beside goes on.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from django.db import InternalError
from psycopg2.errors import ReadOnlySqlTransaction

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

_WARNING_EVERY_SECONDS: Final = 60.0


def is_read_only(error: Exception) -> bool:
    """Tell whether the database refused a write because it can only be read; nothing else."""
    return isinstance(error, InternalError) and isinstance(error.__cause__, ReadOnlySqlTransaction)


def unless_read_only(write: Callable[[], Result]) -> Result | None:
    """Return what a write returns, or None when it was left out: the database is read-only.

    For a write in a transaction of its own. A warning is logged at most once a minute in each
    process. Raises whatever else the write raises.
    """
    try:
        return write()
    except InternalError as error:
        if not is_read_only(error):
            raise
        _WARNING.give()
        return None


class _Warning:
    """The warning of one process, which its log would drown in if each login gave it."""

    def __init__(self) -> None:
        self._given_at: float | None = None

    def give(self) -> None:
        """Log it unless it was given lately. Two threads at the same moment may both."""
        now = time.monotonic()
        if self._given_at is None or now - self._given_at >= _WARNING_EVERY_SECONDS:
            self._given_at = now
            log.warning("write_left_out_while_database_is_read_only")


_WARNING: Final = _Warning()
