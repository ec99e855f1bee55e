"""Statements of threads: prepared once, relaxed only where asked for, never sent twice in vain."""

from collections.abc import Iterator

import psycopg2
import pytest
from django.db import IntegrityError, NotSupportedError, OperationalError, connection, transaction

from core.database import raw
from core.database.statements import Statement

pytestmark = pytest.mark.django_db(transaction=True)

ONE = Statement("test_one", "SELECT 1")
DURABILITY = Statement("test_durability", "SELECT current_setting('synchronous_commit')")


@pytest.fixture
def things() -> Iterator[None]:
    """A table of the test's own."""
    raw.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")
    yield
    raw.execute("DROP TABLE things")


def kill_connection() -> None:
    """End the database's side of this thread's connection, as a restart does."""
    row = raw.fetch_one("SELECT pg_backend_pid()")
    assert row is not None
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    other = psycopg2.connect(**parameters)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", row)
    finally:
        other.close()


def test_a_statement_is_prepared_once_for_a_connection() -> None:
    add = Statement("test_add", "SELECT $1::int + $2::int, $1")
    count = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'test_add'"
    assert add.fetch_one(1, 2) == (3, 1)
    assert add.fetch_all(3, 4) == [(7, 3)]
    assert raw.fetch_one(count) == (1,)
    connection.close()
    assert add.fetch_one(5, 6) == (11, 5)
    assert raw.fetch_one(count) == (1,)


@pytest.mark.usefixtures("things")
def test_changes_are_counted_and_belong_to_the_transaction() -> None:
    store = Statement("test_store", "INSERT INTO things VALUES ($1, $2)")

    def store_twice() -> None:
        with transaction.atomic():
            assert store.execute(1, "one") == 1
            store.execute(1, "again")

    with pytest.raises(IntegrityError):
        store_twice()
    assert raw.fetch_all("SELECT * FROM things") == []


def test_only_a_relaxed_call_outside_of_a_transaction_does_not_wait_for_the_disk() -> None:
    raw.execute("SET synchronous_commit = on")
    assert DURABILITY.fetch_one(relaxed=True) == ("off",)
    assert DURABILITY.fetch_one() == ("on",)
    with transaction.atomic():
        assert DURABILITY.fetch_one(relaxed=True) == ("on",)


@pytest.mark.usefixtures("things")
def test_only_what_may_be_repeated_is_sent_again_on_a_new_connection() -> None:
    store = Statement("test_store", "INSERT INTO things VALUES ($1, $2)")
    kill_connection()
    assert ONE.fetch_one() == (1,)
    kill_connection()
    with pytest.raises(OperationalError):
        store.execute(1, "one")
    connection.close()
    assert raw.fetch_all("SELECT * FROM things") == []


def test_nothing_is_sent_again_in_a_transaction() -> None:
    def broken() -> None:
        with transaction.atomic():
            kill_connection()
            ONE.fetch_one()

    with pytest.raises(OperationalError):
        broken()
    assert ONE.fetch_one() == (1,)


@pytest.mark.usefixtures("things")
def test_a_plan_that_a_migration_has_overtaken_is_made_anew() -> None:
    read = Statement("test_read", "SELECT * FROM things")
    assert read.fetch_all() == []
    raw.execute("ALTER TABLE things ADD size bigint")
    raw.execute("INSERT INTO things VALUES (1, 'one', 2)")
    assert read.fetch_all() == [(1, "one", 2)]
    raw.execute("ALTER TABLE things DROP size")
    with pytest.raises(NotSupportedError):
        transaction.atomic(read.fetch_all)()
    assert read.fetch_all() == [(1, "one")]
