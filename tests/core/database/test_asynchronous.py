"""Reads that an event loop asks: shared connections that come, break and are replaced."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg2
import pytest
from django.db import (
    DataError,
    OperationalError,
    connection,
)
from psycopg2.errors import LockNotAvailable, QueryCanceled

from core.database import asynchronous
from core.database.asynchronous import Connections, Stalled
from core.database.prepared import Lookup, PreparedStatement
from core.database.raw import Row

pytestmark = pytest.mark.django_db(transaction=True)

DOUBLE = PreparedStatement("double", "SELECT $1::int * 2")
RATIO = PreparedStatement("ratio", "SELECT 1 / $1::int")
SLEEP = PreparedStatement("sleep", "SELECT pg_sleep($1::float)::text")
BACKEND = PreparedStatement("backend", "SELECT pg_backend_pid()")
ECHO = PreparedStatement("echo", "SELECT $1::text")


def run(work: Callable[[Connections], Awaitable[Any]], size: int = 1) -> Any:
    """Run the work in an event loop with connections of its own."""

    async def run_and_close() -> Any:
        connections = Connections(size)
        try:
            return await asyncio.wait_for(work(connections), 30)
        finally:
            connections.close()

    return asyncio.run(run_and_close())


async def double(connections: Connections) -> list[Row]:
    return await connections.fetch_all(DOUBLE, [3])


async def backend(connections: Connections) -> int:
    [(pid,)] = await connections.fetch_all(BACKEND, [])
    return int(pid)


def execute(sql: str, *parameters: object) -> list[Row]:
    """Run a statement on the connection of this thread."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def end(pid: int) -> None:
    """Let PostgreSQL end a session, as a restart would."""
    execute("SELECT pg_terminate_backend(%s, 5000)", pid)


@pytest.fixture(scope="module", autouse=True)
def nobody_is_left(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End sessions that go on after their asker has left: the database may be dropped next."""
    yield
    with django_db_blocker.unblock():
        execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.close()


def test_a_connection_is_kept_and_a_statement_prepared_once() -> None:
    async def ask(connections: Connections) -> None:
        assert await double(connections) == [(6,)]
        first = await backend(connections)
        [kept] = connections._idle
        prepared = dict(kept._prepared)
        assert await double(connections) == [(6,)]
        assert await backend(connections) == first
        assert kept._prepared == prepared
        listed = PreparedStatement("listed", "SELECT name FROM pg_prepared_statements ORDER BY 1")
        assert await connections.fetch_all(listed, []) == [("backend",), ("double",), ("listed",)]

    run(ask, size=2)


@contextmanager
def recorded(sent: list[str]) -> Iterator[None]:
    """Gather what is sent to PostgreSQL."""
    send = asynchronous._Connection.fetch_all

    async def recording(self: Any, statement: PreparedStatement, parameters: Any) -> list[Row]:
        sent.append(statement.name)
        return await send(self, statement, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asynchronous._Connection, "fetch_all", recording)
        yield


def test_as_many_connections_as_there_may_be_and_no_more() -> None:
    async def crowd(connections: Connections) -> int:
        asking = [connections.fetch_all(SLEEP, [0.05]) for _ in range(6)]
        await asyncio.gather(*asking)
        pids = {await backend(connections) for _ in range(3)}
        # The one used last is used again; the other is idle.
        assert len(pids) == 1
        return len(connections._idle)

    assert run(crowd, size=2) == 2


def test_a_large_question_is_sent_piece_by_piece() -> None:
    text = "é" * (4 << 20)

    async def echo(connections: Connections) -> list[Row]:
        return await connections.fetch_all(ECHO, [text])

    assert run(echo) == [(text,)]


def test_a_connection_lost_while_idle_is_replaced() -> None:
    async def lose(connections: Connections) -> None:
        former = await backend(connections)
        await asyncio.to_thread(end, former)
        assert await double(connections) == [(6,)]
        assert await backend(connections) != former

    run(lose)


def test_all_connections_lost_at_once_are_replaced() -> None:
    async def lose(connections: Connections) -> None:
        await asyncio.gather(*(connections.fetch_all(SLEEP, [0.05]) for _ in range(3)))
        pids = [kept._connection.get_server_pid() for kept in connections._idle]
        with ThreadPoolExecutor(1) as pool:
            # The loop stands still, so that it notices nothing before it asks.
            pool.submit(lambda: [end(pid) for pid in pids]).result()
        assert await asyncio.gather(*(double(connections) for _ in range(3))) == [[(6,)]] * 3

    run(lose, size=3)


def test_a_question_whose_connection_is_lost_is_asked_again() -> None:
    async def lose(connections: Connections) -> None:
        former = await backend(connections)
        asking = asyncio.ensure_future(connections.fetch_all(SLEEP, [0.3]))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(end, former)
        assert await asking == [("",)]
        assert await backend(connections) != former

    run(lose)


def test_a_question_is_asked_again_once() -> None:
    async def lose_twice(connections: Connections) -> None:
        asking = asyncio.ensure_future(connections.fetch_all(SLEEP, [20]))
        for _ in range(2):
            await asyncio.to_thread(end_sleeper)
        with pytest.raises(OperationalError):
            await asking
        assert await double(connections) == [(6,)]

    run(lose_twice)


def end_sleeper() -> None:
    """Wait for the session that sleeps, and end it."""
    sleeper = """
    SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()
    """
    while not (found := execute(sleeper)):
        pass
    end(found[0][0])


def test_a_migration_of_what_a_plan_returns_is_noticed() -> None:
    read = PreparedStatement("read_changing", "SELECT * FROM changing")

    async def migrate(connections: Connections) -> None:
        assert await connections.fetch_all(read, []) == [(1,)]
        await asyncio.to_thread(execute, "ALTER TABLE changing ALTER n TYPE text")
        assert await connections.fetch_all(read, []) == [("1",)]

    execute("CREATE TABLE changing AS SELECT 1 AS n")
    try:
        run(migrate)
    finally:
        execute("DROP TABLE changing")


def test_a_bad_value_fails_alone() -> None:
    async def ask(connections: Connections) -> None:
        former = await backend(connections)
        with pytest.raises(DataError) as raised:
            await connections.fetch_all(RATIO, [0])
        assert isinstance(raised.value.__cause__, psycopg2.errors.DivisionByZero)
        for value in ("\0", "\ud800", 7):
            with pytest.raises(DataError):
                await connections.fetch_all(ECHO, [value])
        assert await connections.fetch_all(RATIO, [1]) == [(1,)]
        assert await backend(connections) == former

    run(ask)


def test_a_row_that_somebody_holds_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "_SETTINGS", {"lock_timeout": "50ms"})
    read = PreparedStatement("read_held", "SELECT * FROM held")

    async def ask(connections: Connections) -> None:
        with pytest.raises(OperationalError) as raised:
            await connections.fetch_all(read, [])
        assert isinstance(raised.value.__cause__, LockNotAvailable)

    execute("CREATE TABLE held AS SELECT 1 AS n")
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE held")
            run(ask)
    finally:
        holder.close()
        execute("DROP TABLE held")


def test_a_statement_that_takes_too_long_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "_SETTINGS", {"statement_timeout": "50ms"})
    sent: list[str] = []

    async def ask(connections: Connections) -> None:
        former = await backend(connections)
        with recorded(sent), pytest.raises(OperationalError) as raised:
            await connections.fetch_all(SLEEP, [10])
        assert isinstance(raised.value.__cause__, QueryCanceled)
        assert await backend(connections) == former

    run(ask)
    assert sent == ["sleep"]


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "ANSWER_SECONDS", 0.2)

    async def ask(connections: Connections) -> None:
        former = await backend(connections)
        os.kill(former, signal.SIGSTOP)
        try:
            with pytest.raises(OperationalError) as raised:
                await double(connections)
        finally:
            os.kill(former, signal.SIGCONT)
        assert isinstance(raised.value.__cause__, Stalled)
        monkeypatch.setattr(asynchronous, "ANSWER_SECONDS", 15)
        assert await double(connections) == [(6,)]
        assert await backend(connections) != former

    run(ask)


def test_who_leaves_takes_the_answer_to_the_question_along() -> None:
    async def leave(connections: Connections) -> None:
        asking = asyncio.ensure_future(connections.fetch_all(SLEEP, [1]))
        waiting = asyncio.ensure_future(double(connections))
        await asyncio.sleep(0.1)
        asking.cancel()
        assert await waiting == [(6,)]
        assert await double(connections) == [(6,)]
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(leave)


def test_who_leaves_at_any_moment_spoils_nothing() -> None:
    async def leave(connections: Connections) -> None:
        for turns in range(12):
            asking = asyncio.ensure_future(double(connections))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            assert await connections.fetch_all(ECHO, ["next"]) == [("next",)]
            assert await double(connections) == [(6,)]

    run(leave)


def test_nobody_waits_for_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")

    async def ask(connections: Connections) -> None:
        for _ in range(3):
            with pytest.raises(OperationalError):
                await double(connections)

    run(ask)


def test_the_first_of_several_hosts_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = f"/nonexistent,{connection.settings_dict['HOST']}"
    monkeypatch.setitem(connection.settings_dict, "HOST", hosts)
    if port := connection.settings_dict["PORT"]:
        monkeypatch.setitem(connection.settings_dict, "PORT", f"{port},{port}")
    assert run(double) == [(6,)]


def test_a_role_to_assume_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    own = connection.settings_dict["USER"]
    options = {**connection.settings_dict["OPTIONS"], "assume_role": own}
    role = PreparedStatement("role", "SELECT current_setting('role')")
    assert run(lambda connections: connections.fetch_all(role, [])) == [("none",)]
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    assert run(lambda connections: connections.fetch_all(role, [])) == [(own,)]


def test_another_loop_begins_afresh() -> None:
    connections = Connections(1)

    async def ask() -> int:
        try:
            return await backend(connections)
        finally:
            connections.close()

    assert asyncio.run(ask()) != asyncio.run(ask())


FORKED = """
import asyncio, os, sys
import django
django.setup()
from django.db import connections as databases
databases.settings["default"]["NAME"] = sys.argv[1]
from core.database.asynchronous import Connections
from core.database.prepared import PreparedStatement
backend = PreparedStatement("backend", "SELECT pg_backend_pid()")
connections = Connections(1)
loop = asyncio.new_event_loop()
parents = loop.run_until_complete(connections.fetch_all(backend, []))
child = os.fork()
if child == 0:
    own = asyncio.run(connections.fetch_all(backend, []))
    os._exit(own == parents)
assert os.waitpid(child, 0)[1] == 0
assert loop.run_until_complete(connections.fetch_all(backend, [])) == parents
"""


def test_a_child_has_connections_of_its_own_and_leaves_its_parents_alone() -> None:
    command = [sys.executable, "-c", FORKED, str(connection.settings_dict["NAME"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Question(NamedTuple):
    name: str | None
    digest: bytes
    at: int


LOOKUP = Lookup(
    "describe",
    {"name": "text", "digest": "bytea", "at": "bigint"},
    select="coalesce(asked.name, '-'), asked.digest, t.word",
    joins="LEFT JOIN (VALUES (1, 'one'), (2, 'two')) AS t(n, word) ON t.n = asked.at",
    answer=lambda question, row: (question.at, row[0], bytes(row[1]), row[2]),
)
QUESTIONS = [
    Question("b'\"{},\\", b"\x00\xff", 2),
    Question(None, b"", 7),
    Question("ä", b"'", 1),
]
ANSWERS = [
    (2, "b'\"{},\\", b"\x00\xff", "two"),
    (7, "-", b"", None),
    (1, "ä", b"'", "one"),
]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_lookup_answers_one_question_or_many_in_their_order(count: int) -> None:
    asked = QUESTIONS[:count]
    assert run(lambda connections: LOOKUP.ask(connections, asked)) == ANSWERS[:count]
