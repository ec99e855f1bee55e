"""Statements that threads send again and again, planned once for each connection.

Planning a small statement costs PostgreSQL more than carrying it out does, and the way through
the layers of a cursor of Django's costs Python as much again. These go straight to the
connection that Django keeps for the current thread, and so into its transactions.
"""

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connections,
)

from core.database.raw import Row

Result = TypeVar("Result")

_PLACE: Final = re.compile(r"\$(\d+)")
_RELAXED: Final = "SET LOCAL synchronous_commit = off; "


class _Thread(threading.local):
    """What the current thread has prepared, and on which connection."""

    connection: object = None
    names: frozenset[str] = frozenset()


_thread = _Thread()


class Statement:
    """SQL with numbered parameters (``$1``), under a name of its own.

    Outside of a transaction each call is one. A call that is ``relaxed`` does not wait until
    that is on disk: the change counts at once, but it may be lost when PostgreSQL or its
    machine dies within the next second. In a transaction the word has no effect.
    """

    __slots__ = ("_execute", "_name", "_prepare")

    def __init__(self, name: str, sql: str) -> None:
        count = max((int(number) for number in _PLACE.findall(sql)), default=0)
        places = f"({', '.join(['%s'] * count)})" if count else ""
        self._name = name
        self._prepare = f"PREPARE {name} AS {sql}"
        self._execute = f"EXECUTE {name}{places}"

    def fetch_one(self, *parameters: Any, relaxed: bool = False) -> Row | None:
        """Return the first row, or None.

        Sent once more when the connection turns out to be lost outside of a transaction, so
        it must do no harm twice. Raises ``django.db.DatabaseError``.
        """
        return self._repeatable(parameters, _first, relaxed=relaxed)

    def fetch_all(self, *parameters: Any) -> list[Row]:
        """Return all rows. Sent once more, and raises, like ``fetch_one``."""
        return self._repeatable(parameters, _all, relaxed=False)

    def execute(self, *parameters: Any, relaxed: bool = False) -> int:
        """Change rows and return how many. Sent once. Raises ``django.db.DatabaseError``."""
        return self._send(parameters, _count, relaxed=relaxed)

    def execute_later(self, *parameters: Any) -> None:
        """Change rows with whatever the transaction does next, at the latest its commit.

        For changes that the transaction does not read again and of which nobody asks how many
        they were; what they raise is raised there. Outside of a transaction, and in one that
        may be undone in part, it is done at once. Raises ``django.db.DatabaseError``.
        """
        connection = connections[DEFAULT_DB_ALIAS]
        if not connection.in_atomic_block or connection.savepoint_ids:
            self.execute(*parameters)
            return
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            self._ensure_prepared(connection.connection, cursor)
            connection.connection.keep(cursor.mogrify(self._execute, parameters))

    def _repeatable(
        self, parameters: Sequence[Any], read: Callable[[Any], Result], *, relaxed: bool
    ) -> Result:
        try:
            return self._send(parameters, read, relaxed=relaxed)
        except NotSupportedError:
            if connections[DEFAULT_DB_ALIAS].in_atomic_block:
                raise
        except (OperationalError, InterfaceError):
            connection = connections[DEFAULT_DB_ALIAS]
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
        return self._send(parameters, read, relaxed=relaxed)

    def _send(
        self, parameters: Sequence[Any], read: Callable[[Any], Result], *, relaxed: bool
    ) -> Result:
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        sql = self._execute
        if relaxed and not connection.in_atomic_block:
            sql = _RELAXED + sql
        try:
            with connection.wrap_database_errors, connection.connection.cursor() as cursor:
                self._ensure_prepared(connection.connection, cursor)
                cursor.execute(sql, parameters)
                return read(cursor)
        except NotSupportedError:
            # A migration changed the type of a column that the plan returns. Only a new
            # connection forgets the plan.
            connection.close()
            raise

    def _ensure_prepared(self, connection: object, cursor: Any) -> None:
        if _thread.connection is not connection:
            _thread.connection, _thread.names = connection, frozenset()
        if self._name not in _thread.names:
            cursor.execute(self._prepare)
            _thread.names |= {self._name}


def _first(cursor: Any) -> Row | None:
    row: Row | None = cursor.fetchone()
    return row


def _all(cursor: Any) -> list[Row]:
    return list(cursor.fetchall())


def _count(cursor: Any) -> int:
    return int(cursor.rowcount)
