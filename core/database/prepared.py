"""Prepared statements on Django's connection of the current thread.

Planning a look-up over five tables costs PostgreSQL several times what carrying it out does.
A thread that sends the same statement for ever prepares it once for each connection it gets.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, NotSupportedError, OperationalError, connection
from django.db.backends.utils import CursorWrapper

from core.database.raw import Row

# The look-ups go by key whatever the statistics say of tables that grow; a plan made while a
# table was small must not be a scan when it is large.
_PLAN_BY_KEY = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    " SET enable_hashjoin = off; SET enable_mergejoin = off"
)


class _Thread(threading.local):
    """What the current thread has prepared, and on which connection."""

    connection: object = None
    names: frozenset[str] = frozenset()


_thread = _Thread()


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """A statement with numbered parameters (``$1``) of the given PostgreSQL types."""

    name: str
    types: tuple[str, ...]
    sql: str

    def fetch_all(self, parameters: Sequence[Any]) -> list[Row]:
        """Return all rows; sent once more when the connection turns out to be lost.

        For threads of their own: the connection's planner settings are changed. Raises
        ``django.db.DatabaseError``.
        """
        try:
            return self._fetch_all(parameters)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
        except NotSupportedError:
            # A migration changed the type of a column that the plan returns.
            if connection.in_atomic_block:
                raise
            connection.close()
        return self._fetch_all(parameters)

    def _fetch_all(self, parameters: Sequence[Any]) -> list[Row]:
        with connection.cursor() as cursor:
            if _thread.connection is not connection.connection:
                cursor.execute(_PLAN_BY_KEY)
                _thread.connection, _thread.names = connection.connection, frozenset()
            if self.name not in _thread.names:
                self._prepare(cursor)
            places = ", ".join(f"%s::{type_name}" for type_name in self.types)
            cursor.execute(f"EXECUTE {self.name} ({places})", parameters)
            return list(cursor.fetchall())

    def _prepare(self, cursor: CursorWrapper) -> None:
        cursor.execute(f"PREPARE {self.name} ({', '.join(self.types)}) AS {self.sql}")
        _thread.names |= {self.name}
