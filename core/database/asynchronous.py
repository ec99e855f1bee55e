"""Connections to PostgreSQL that an event loop drives: for short reads, in its own thread.

The way into a thread and back costs more than a look-up by key does. What may wait for others
(locks, large results, anything that writes) is still for threads.
"""

import asyncio
import selectors
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg2
from django.db import connection as django_connection
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from core.database.prepared import PreparedStatement
from core.database.raw import Row

ANSWER_SECONDS: Final = 15.0
"""How long an answer may take. PostgreSQL itself gives up before, unless it is stuck."""

CONNECT_SECONDS: Final = 10.0
"""How long connecting may take where the settings do not say."""

PLAN_BY_KEY: Final = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    " SET enable_hashjoin = off; SET enable_mergejoin = off"
)
"""The statements go by key whatever the statistics say of tables that grow.

A plan that was made while a table was small must not be a scan when it is large.
"""

_SET_UP: Final = f"{PLAN_BY_KEY}; SET statement_timeout = '10s'"
# The server is going down, or the connection is in no state to go on.
_LOST: Final = ("57P", "08")


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
            self._loop, self._idle = loop, []
            self._places = asyncio.Semaphore(self._size)
        try:
            async with self._places:
                try:
                    return await self._fetch_all(self._kept(), statement, parameters)
                except psycopg2.Error as error:
                    if not _may_repeat(error):
                        raise
                return await self._fetch_all(None, statement, parameters)
        except psycopg2.Error:
            with django_connection.wrap_database_errors:
                raise

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

    async def _fetch_all(
        self,
        kept: "_Connection | None",
        statement: PreparedStatement,
        parameters: Sequence[Any],
    ) -> list[Row]:
        connection = kept or await _Connection.open()
        try:
            execute = connection.prepared.get(statement)
            if execute is None:
                await connection.run(statement.prepare)
                execute = connection.prepared[statement] = statement.execute
            return await connection.run(execute, parameters)
        except psycopg2.Error as error:
            if _may_repeat(error):
                connection.close()
            raise
        finally:
            if not connection.is_closed:
                self._idle.append(connection)


class _Connection:
    """One connection, with one statement under way at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        # The connection does not tell any more once it is lost.
        self._descriptor: int = connection.fileno()
        self._answer: asyncio.Future[None] | None = None
        self._is_writing = False
        self.is_closed = False
        self.prepared: dict[PreparedStatement, str] = {}
        # Also while nothing is asked: the server's leaving is noticed before the next question.
        self._loop.add_reader(self._descriptor, self._go_on)

    @classmethod
    async def open(cls) -> "_Connection":
        """Connect in a thread: names of hosts are resolved by a function that blocks."""
        parameters = django_connection.get_connection_params()
        role = django_connection.settings_dict["OPTIONS"].get("assume_role")
        loop = asyncio.get_running_loop()
        return cls(await loop.run_in_executor(None, _connect, parameters, role))

    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a statement. Raises ``psycopg2.Error``."""
        cursor = self._connection.cursor()
        cursor.execute(sql, parameters)
        answer = self._answer = self._loop.create_future()
        timer = self._loop.call_later(ANSWER_SECONDS, self._give_up)
        try:
            # What did not fit into the socket's buffer waits to be sent.
            self._go_on()
            await answer
        except asyncio.CancelledError:
            # An answer that came at this very moment may have prepared what nobody has noted.
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None
            if not answer.done():
                # The next to ask would be given the answer meant for this one.
                self.close()
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Close, whatever is under way."""
        self.is_closed = True
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._connection.close()

    def _go_on(self) -> None:
        """Send and receive what can be without waiting, and tell when the answer is complete."""
        try:
            state = self._connection.poll()
            if (state == POLL_WRITE) is not self._is_writing:
                self._watch_for_writing()
            if state == POLL_OK and self._answer is not None and not self._answer.done():
                self._answer.set_result(None)
        except psycopg2.Error as error:
            if self._answer is None:
                self.close()
            elif not self._answer.done():
                self._answer.set_exception(error)

    def _watch_for_writing(self) -> None:
        self._is_writing = not self._is_writing
        if self._is_writing:
            self._loop.add_writer(self._descriptor, self._go_on)
        else:
            self._loop.remove_writer(self._descriptor)

    def _give_up(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Stalled("PostgreSQL does not answer."))
            self.close()


def _may_repeat(error: psycopg2.Error) -> bool:
    """Tell whether another connection may well give the answer that this one did not."""
    if isinstance(error, Stalled):
        return False
    if isinstance(error, psycopg2.NotSupportedError):
        # A migration changed the type of a column that the plan returns.
        return True
    return error.pgcode is None or error.pgcode.startswith(_LOST)


def _connect(parameters: Mapping[str, Any], role: str | None) -> Any:
    """Return a connection that is ready for an event loop. Blocks. Raises ``psycopg2.Error``."""
    reachable = _at_reachable_host(parameters)
    connection = psycopg2.connect(**reachable, async_=1)
    try:
        deadline = time.monotonic() + float(parameters.get("connect_timeout", CONNECT_SECONDS))
        _wait(connection, deadline)
        cursor = connection.cursor()
        cursor.execute(_SET_UP)
        _wait(connection, deadline)
        if role is not None:
            cursor.execute("SET ROLE %s", (role,))
            _wait(connection, deadline)
    except psycopg2.Error:
        connection.close()
        raise
    return connection


def _at_reachable_host(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Choose one of several hosts: only a connection that blocks goes on to the next in time."""
    if "," not in str(parameters.get("host", "")):
        return parameters
    with closing(psycopg2.connect(**parameters)) as probe:
        return {**parameters, "host": probe.info.host, "port": probe.info.port}


def _wait(connection: Any, deadline: float) -> None:
    """Wait until what is under way is done. Raises Stalled after the deadline."""
    while (state := connection.poll()) != POLL_OK:
        with selectors.DefaultSelector() as selector:
            event = selectors.EVENT_READ if state == POLL_READ else selectors.EVENT_WRITE
            selector.register(connection.fileno(), event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise Stalled("PostgreSQL does not let in.")
