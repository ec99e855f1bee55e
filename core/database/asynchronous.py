"""Connections to PostgreSQL that an event loop drives: for short reads, in its own thread.

The way into a thread and back costs more than a look-up by key does. What may wait for others
(locks, large results, anything that writes) is still for threads.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import psycopg2
import psycopg2.errors
from asyncpg.prepared_stmt import PreparedStatement as Prepared
from django.db import Error
from django.db import connection as django_connection

from core.database.addresses import arguments_of, set_socket_options
from core.database.prepared import PreparedStatement
from core.database.raw import Row

ANSWER_SECONDS: Final = 15.0
"""How long an answer may take. PostgreSQL itself gives up before, unless it is stuck."""

CONNECT_SECONDS: Final = 10.0
"""How long connecting may take where the settings do not say."""

PLAN_BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""The statements go by key whatever the statistics say of tables that grow.

A plan that was made while a table was small must not be a scan when it is large.
"""

_SETTINGS: Final = {**PLAN_BY_KEY, "statement_timeout": "10s", "jit": "off"}
# The server is going down, or the connection is in no state to go on.
_LOST: Final = ("57P", "08")
_PLAN_HAS_CHANGED: Final = "0A000"


class Stalled(psycopg2.OperationalError):
    """PostgreSQL did not answer in time."""


class Connections:
    """A few connections of one process, which its event loop shares.

    They are opened when they are needed, with the settings of Django's default database, and
    kept. Another event loop begins afresh: one process has one, but a child of a fork and the
    next test have their own.
    """

    def __init__(self, size: int) -> None:
        """Take how many there may be."""
        self._size = size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[_Connection] = []

    async def fetch_all(self, statement: PreparedStatement, parameters: Sequence[Any]) -> list[Row]:
        """Return all rows; asked once more when the connection turns out to be lost.

        The statement must not write. Ends within a minute whatever PostgreSQL does. Raises
        ``django.db.DatabaseError`` and ``django.db.InterfaceError``.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._idle, self._in_use = loop, [], 0
            self._waiting: deque[asyncio.Future[None]] = deque()
        while self._in_use >= self._size:
            await self._turn()
        self._in_use += 1
        try:
            try:
                return await self._fetch_all(self._kept(), statement, parameters)
            except _FAILURES as error:
                if not _may_repeat(error):
                    raise
            return await self._fetch_all(None, statement, parameters)
        except _FAILURES as error:
            raise _as_django_says(error) from _as_psycopg2_says(error)
        finally:
            self._in_use -= 1
            self._let_next()

    def close(self) -> None:
        """Close what is open and not in use; call in the thread of the event loop."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> "_Connection | None":
        """Return the connection used last, so that those which are not needed stay idle."""
        while self._idle:
            kept = self._idle.pop()
            if not kept.is_closed:
                return kept
        return None

    async def _turn(self) -> None:
        """Wait until a connection may be free."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._let_next()
            raise

    def _let_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _fetch_all(
        self,
        kept: "_Connection | None",
        statement: PreparedStatement,
        parameters: Sequence[Any],
    ) -> list[Row]:
        connection = kept or await _Connection.open()
        try:
            return await connection.fetch_all(statement, parameters)
        except _FAILURES as error:
            if _may_repeat(error):
                connection.close()
            raise
        except asyncio.CancelledError:
            # The next to ask would wait for the end of what this one asked.
            connection.close()
            raise
        finally:
            if not connection.is_closed:
                self._idle.append(connection)


class _Connection:
    """One connection, with one statement under way at a time."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._prepared: dict[str, Prepared] = {}
        self._asked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_stalled = False

    @classmethod
    async def open(cls) -> "_Connection":
        """Connect, with what Django's connection is made with."""
        parameters = django_connection.get_connection_params()
        arguments = arguments_of(parameters)
        settings = arguments.pop("server_settings") | _SETTINGS
        # To libpq, 0 is no limit.
        seconds = float(parameters.get("connect_timeout", CONNECT_SECONDS))
        connection = await asyncpg.connect(
            **arguments,
            server_settings=settings,
            timeout=seconds if seconds > 0 else None,
            statement_cache_size=0,
        )
        try:
            transport = connection._transport
            set_socket_options(transport.get_extra_info("socket"), parameters)
            role = django_connection.settings_dict["OPTIONS"].get("assume_role")
            if role is not None:
                await connection.execute(f"SET ROLE {django_connection.ops.quote_name(role)}")
        except BaseException:
            connection.terminate()
            raise
        return cls(connection)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return bool(self._connection.is_closed())

    async def fetch_all(self, statement: PreparedStatement, parameters: Sequence[Any]) -> list[Row]:
        """Return the rows of a statement. Raises what ``asyncpg`` does, and Stalled."""
        self._asked_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(ANSWER_SECONDS, self._look)
        try:
            prepared = self._prepared.get(statement.name)
            if prepared is None:
                prepared = await self._connection.prepare(statement.sql, name=statement.name)
                self._prepared[statement.name] = prepared
            rows: list[Row] = await prepared.fetch(*parameters)
        except _FAILURES as error:
            if self._has_stalled:
                raise Stalled("PostgreSQL does not answer.") from error
            raise
        finally:
            self._asked_at = None
        return rows

    def close(self) -> None:
        """Close, whatever is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.terminate()

    def _look(self) -> None:
        """Give up what takes too long; one timer serves many statements."""
        self._timer = None
        if self._asked_at is None:
            return
        left = self._asked_at + ANSWER_SECONDS - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._has_stalled = True
            self._connection.terminate()


_FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    Stalled,
)


def _may_repeat(error: Exception) -> bool:
    """Tell whether another connection may well give the answer that this one did not."""
    if isinstance(error, asyncpg.PostgresError):
        # A migration changed the type of a column that the plan returns.
        code = error.sqlstate or ""
        return code == _PLAN_HAS_CHANGED or code.startswith(_LOST)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, asyncpg.DataError | ValueError)
    # What the driver did not understand leaves its connection in an unknown state.
    return isinstance(error, OSError | asyncpg.InternalClientError)


def _as_psycopg2_says(error: Exception) -> psycopg2.Error:
    """Return the error that Django's driver would have raised."""
    if isinstance(error, psycopg2.Error):
        return error
    if isinstance(error, asyncpg.PostgresError):
        try:
            return psycopg2.errors.lookup(error.sqlstate)(str(error))
        except KeyError:
            return psycopg2.OperationalError(str(error))
    if isinstance(error, ValueError):
        return psycopg2.DataError(str(error))
    return psycopg2.OperationalError(str(error) or type(error).__name__)


def _as_django_says(error: Exception) -> Error:
    """Return the error of ``django.db`` that stands for one of asyncpg's."""
    try:
        with django_connection.wrap_database_errors:
            raise _as_psycopg2_says(error)
    except Error as wrapped:
        return wrapped
