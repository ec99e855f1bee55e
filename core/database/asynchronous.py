"""Connections to PostgreSQL that an event loop drives: for short reads, in its own thread.

The way into a thread and back costs more than a look-up by key does. What may wait for others
(locks, large results, anything that writes) is still for threads.
"""

import asyncio
import selectors
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg2
from django.db import Error
from django.db import connection as django_connection
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from core.database.prepared import PreparedStatement, Tell
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

    def ask(
        self, statement: PreparedStatement, parameters: Sequence[Any], tell: Tell[list[Row]]
    ) -> None:
        """Have all rows told, or the error that ``fetch_all`` would raise.

        Where a connection is ready, which is nearly always, no task stands between the answer
        and whoever waits for it: each turn of the event loop costs as much as an index look-up.
        """
        self._belong_to(asyncio.get_running_loop())
        ready = self._kept() if self._in_use < self._size else None
        if ready is None or statement.name not in ready.prepared:
            if ready is not None:
                self._idle.append(ready)
            self._ask_patiently(statement, parameters, tell)
            return
        self._in_use += 1

        def answered(outcome: list[Row] | BaseException) -> None:
            is_lost = isinstance(outcome, psycopg2.Error) and _may_repeat(outcome)
            if is_lost:
                ready.close()
            self._release(ready)
            if is_lost:
                self._ask_patiently(statement, parameters, tell)
            else:
                tell(_as_django_says(outcome) if isinstance(outcome, psycopg2.Error) else outcome)

        ready.start(statement.execute, parameters, answered)

    async def fetch_all(self, statement: PreparedStatement, parameters: Sequence[Any]) -> list[Row]:
        """Return all rows; asked once more when the connection turns out to be lost.

        The statement must not write. Ends within a minute whatever PostgreSQL does. Raises
        ``django.db.DatabaseError`` and ``django.db.InterfaceError``.
        """
        self._belong_to(asyncio.get_running_loop())
        await self._acquire()
        try:
            try:
                return await self._fetch_all(self._kept(), statement, parameters)
            except psycopg2.Error as error:
                if not _may_repeat(error):
                    raise
            return await self._fetch_all(None, statement, parameters)
        except psycopg2.Error as error:
            raise _as_django_says(error) from error
        finally:
            self._release(None)

    def close(self) -> None:
        """Close what is open and not in use; call in the thread of the event loop."""
        while self._idle:
            self._idle.pop().close()

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            self._loop, self._idle, self._in_use = loop, [], 0
            self._waiting: deque[asyncio.Future[None]] = deque()
            self._asking: set[asyncio.Task[list[Row]]] = set()

    def _kept(self) -> "_Connection | None":
        """Return the connection used last, so that those which are not needed stay idle."""
        while self._idle:
            kept = self._idle.pop()
            if not kept.is_closed:
                return kept
        return None

    async def _acquire(self) -> None:
        """Wait until fewer connections are in use than there may be."""
        while self._in_use >= self._size:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._let_next()
                raise
        self._in_use += 1

    def _release(self, connection: "_Connection | None") -> None:
        if connection is not None and not connection.is_closed:
            self._idle.append(connection)
        self._in_use -= 1
        self._let_next()

    def _let_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _ask_patiently(
        self, statement: PreparedStatement, parameters: Sequence[Any], tell: Tell[list[Row]]
    ) -> None:
        asking = asyncio.ensure_future(self.fetch_all(statement, parameters))
        self._asking.add(asking)

        def asked(task: "asyncio.Task[list[Row]]") -> None:
            self._asking.discard(task)
            if task.cancelled():
                tell(asyncio.CancelledError())
            else:
                tell(task.exception() or task.result())

        asking.add_done_callback(asked)

    async def _fetch_all(
        self,
        kept: "_Connection | None",
        statement: PreparedStatement,
        parameters: Sequence[Any],
    ) -> list[Row]:
        connection = kept or await _Connection.open()
        try:
            if statement.name not in connection.prepared:
                await connection.run(statement.prepare)
                connection.prepared.add(statement.name)
            return await connection.run(statement.execute, parameters)
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
        self._tell: Tell[list[Row]] | None = None
        self._cursor: Any = None
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing = False
        self.is_closed = False
        self.prepared: set[str] = set()
        # Also while nothing is asked: the server's leaving is noticed before the next question.
        self._loop.add_reader(self._descriptor, self._go_on)

    @classmethod
    async def open(cls) -> "_Connection":
        """Connect in a thread: names of hosts are resolved by a function that blocks."""
        parameters = django_connection.get_connection_params()
        role = django_connection.settings_dict["OPTIONS"].get("assume_role")
        loop = asyncio.get_running_loop()
        return cls(await loop.run_in_executor(None, _connect, parameters, role))

    def start(self, sql: str, parameters: Sequence[Any], tell: Tell[list[Row]]) -> None:
        """Have the rows of a statement told, or the ``psycopg2.Error`` that it ends with."""
        self._tell = tell
        self._asked_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(ANSWER_SECONDS, self._look)
        try:
            self._cursor = self._connection.cursor()
            self._cursor.execute(sql, parameters)
        except psycopg2.Error as error:
            self._end(error)
        else:
            # What did not fit into the socket's buffer waits to be sent.
            self._go_on()

    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a statement. Raises ``psycopg2.Error``."""
        answer: asyncio.Future[list[Row]] = self._loop.create_future()

        def settle(outcome: list[Row] | BaseException) -> None:
            if answer.done():
                return
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        self.start(sql, parameters, settle)
        try:
            return await answer
        except asyncio.CancelledError:
            # The next to ask would be given the answer meant for this one; and one that came at
            # this very moment may have prepared what nobody has noted.
            self.close()
            raise

    def close(self) -> None:
        """Close, whatever is under way."""
        if self.is_closed:
            return
        self.is_closed = True
        self._tell = None
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._connection.close()

    def _go_on(self) -> None:
        """Send and receive what can be without waiting, and tell when the answer is complete."""
        try:
            state = self._connection.poll()
            if (state == POLL_WRITE) is not self._is_writing:
                self._watch_for_writing()
            if state == POLL_OK and self._tell is not None:
                cursor = self._cursor
                self._end(cursor.fetchall() if cursor.description else [])
        except psycopg2.Error as error:
            if self._tell is None:
                self.close()
            else:
                self._end(error)

    def _end(self, outcome: list[Row] | psycopg2.Error) -> None:
        tell, self._tell, self._cursor = self._tell, None, None
        if tell is not None:
            tell(outcome)

    def _watch_for_writing(self) -> None:
        self._is_writing = not self._is_writing
        if self._is_writing:
            self._loop.add_writer(self._descriptor, self._go_on)
        else:
            self._loop.remove_writer(self._descriptor)

    def _look(self) -> None:
        """Give up what takes too long; one timer serves many statements."""
        self._timer = None
        if self._tell is None:
            return
        left = self._asked_at + ANSWER_SECONDS - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        tell = self._tell
        self.close()
        tell(Stalled("PostgreSQL does not answer."))


def _as_django_says(error: psycopg2.Error) -> Error:
    """Return the error of ``django.db`` that stands for one of the driver's."""
    try:
        with django_connection.wrap_database_errors:
            raise error
    except Error as wrapped:
        return wrapped


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
