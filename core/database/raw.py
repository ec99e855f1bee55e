"""Plain SQL on Django's connection of the current thread, for hot reads.

Threads that serve registry requests never see Django's request signals, so a connection that
the server closed (restart, failover) is noticed here: a read outside a transaction is sent
once more on a fresh connection. Writes are never repeated, so outside of a transaction they go
through ``execute`` or ``fetch_changed``; ``drop_lost_connection`` keeps them from being the first
to notice.
"""

import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.utils import CursorWrapper

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]
"""For the places ``%s``, or by name for the places ``%(name)s``."""
Result = TypeVar("Result")


def fetch_one(sql: str, parameters: Parameters = ()) -> Row | None:
    """Return the first row that a read finds, or None. Raises ``django.db.DatabaseError``."""

    def read(cursor: CursorWrapper) -> Row | None:
        cursor.execute(sql, parameters)
        row: Row | None = cursor.fetchone()
        return row

    return _with_one_reconnect(read)


def fetch_all(sql: str, parameters: Parameters = ()) -> list[Row]:
    """Return all rows that a read finds. Raises ``django.db.DatabaseError``."""

    def read(cursor: CursorWrapper) -> list[Row]:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

    return _with_one_reconnect(read)


def execute(sql: str, parameters: Parameters = ()) -> int:
    """Run a statement that changes rows and return how many it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def fetch_changed(sql: str, parameters: Parameters = ()) -> list[Row]:
    """Run a statement that changes rows, once, and return what it says of them (``RETURNING``).

    Raises ``django.db.DatabaseError``, also when the change was made but its answer got lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def drop_lost_connection() -> None:
    """Close this thread's connection if the server has ended it; call between two transactions.

    Costs one system call: a connection on which nothing was asked has nothing to read but the
    server's farewell.
    """
    if connection.connection is None or connection.connection.closed:
        return
    watch = select.poll()
    watch.register(connection.connection.fileno(), select.POLLIN)
    if watch.poll(0):
        connection.close()


def _with_one_reconnect(read: Callable[[CursorWrapper], Result]) -> Result:
    try:
        with connection.cursor() as cursor:
            return read(cursor)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
    with connection.cursor() as cursor:
        return read(cursor)
