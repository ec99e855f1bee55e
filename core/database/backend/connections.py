"""Connections that send several statements in one journey where no result is waited for.

psycopg2 begins a transaction with a journey of its own, and ends it with another. These
connections leave its transactions alone: they stay in autocommit mode and send ``BEGIN`` in
front of the first statement. Statements that return nothing anybody reads are kept until the
next one of the transaction, the last of them until ``COMMIT``.
"""

from typing import Any

from psycopg2 import InterfaceError, InternalError, ProgrammingError
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
    connection,
    cursor,
)


class JoiningConnection(connection):
    """A connection whose transactions begin and end by its own statements."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begins_transactions = False
        self._kept: list[bytes] = []
        # For psycopg2, whatever Django's transactions are.
        self.autocommit = True

    @property
    def begins_transactions(self) -> bool:
        """Whether the next statement outside of a transaction begins one."""
        return self._begins_transactions

    @begins_transactions.setter
    def begins_transactions(self, begins: bool) -> None:
        if self.get_transaction_status() in {
            TRANSACTION_STATUS_INTRANS,
            TRANSACTION_STATUS_INERROR,
        }:
            raise ProgrammingError("The mode changes between two transactions only.")
        self._begins_transactions = begins

    def keep(self, statement: bytes) -> None:
        """Send a statement of the current transaction along with the next one.

        What it raises is raised there. Raises InterfaceError outside of a transaction.
        """
        if not self._begins_transactions:
            raise InterfaceError("Statements wait inside of a transaction only.")
        self._kept.append(statement)

    def take_kept(self) -> bytes:
        """Return what goes in front of the next statement, for its sender."""
        begins = self._begins_transactions and (
            self.get_transaction_status() == TRANSACTION_STATUS_IDLE
        )
        if not begins and not self._kept:
            return b""
        kept, self._kept = self._kept, []
        return b"; ".join([*([b"BEGIN"] if begins else []), *kept, b""])

    def commit(self) -> None:
        """Send what is kept, and make the transaction count, in one journey."""
        if self._kept or self.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            with self.cursor() as ending:
                ending.execute("COMMIT")
                if ending.statusmessage != "COMMIT":
                    # Somebody went on after an error, and PostgreSQL rolls back without a word.
                    raise InternalError("The transaction had failed before, and is undone.")

    def rollback(self) -> None:
        """Undo the transaction, and forget what is kept."""
        self._kept.clear()
        if self.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            with self.cursor() as ending:
                ending.execute("ROLLBACK")


class JoiningCursor(cursor):
    """A cursor whose statements take along what its connection has kept."""

    connection: JoiningConnection
    _statement: bytes | None = None

    @property
    def query(self) -> bytes | None:
        """The statement that was sent last, without what it took along."""
        sent: bytes | None = cursor.query.__get__(self)
        return sent if self._statement is None else self._statement

    def execute(self, query: Any, parameters: Any = None) -> None:
        """Send a statement; its result is the one that is read."""
        # Before anything is taken: a parameter that cannot be sent must not cost what is kept.
        statement = self.mogrify(query, parameters)
        kept = self.connection.take_kept()
        if self.name is not None:
            # It declares a cursor, which nothing may stand in front of.
            _send(self.connection, kept)
            kept = b""
        self._statement = statement if kept else None
        super().execute(kept + statement)

    def executemany(self, query: Any, parameters: Any) -> None:
        """Send a statement once for each set of parameters."""
        _send(self.connection, self.connection.take_kept())
        super().executemany(query, parameters)

    def callproc(self, procedure: Any, parameters: Any = None) -> Any:
        """Call a function."""
        _send(self.connection, self.connection.take_kept())
        return super().callproc(procedure, parameters)

    def copy_from(self, *args: Any, **options: Any) -> None:
        """Store rows."""
        _send(self.connection, self.connection.take_kept())
        super().copy_from(*args, **options)

    def copy_to(self, *args: Any, **options: Any) -> None:
        """Read rows."""
        _send(self.connection, self.connection.take_kept())
        super().copy_to(*args, **options)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Copy rows."""
        _send(self.connection, self.connection.take_kept())
        super().copy_expert(sql, file, size)


def _send(to: JoiningConnection, statements: bytes) -> None:
    if statements:
        with to.cursor(cursor_factory=cursor) as sender:
            sender.execute(statements)
