"""Transactions that begin, change and end in few journeys to the server."""

import io
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InternalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from core.database import raw
from core.database.statements import Statement

pytestmark = pytest.mark.django_db(transaction=True)

STORE = Statement("test_backend_store", "INSERT INTO things VALUES ($1, $2)")
COUNT = Statement("test_backend_count", "SELECT count(*) FROM things")


@pytest.fixture(autouse=True)
def things() -> Iterator[None]:
    """A table in which each number occurs once, and each name once when it is committed."""
    raw.execute("CREATE TABLE things (id int UNIQUE, name text)")
    raw.execute(
        "ALTER TABLE things ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"
    )
    yield
    connection.close()
    raw.execute("DROP TABLE things")


def stored() -> list[raw.Row]:
    return raw.fetch_all("SELECT id, name FROM things ORDER BY id")


def from_outside(question: str) -> object:
    """Ask over another connection about the process that serves ours."""
    process = connection.connection.get_backend_pid()
    with closing(psycopg2.connect(connection.connection.dsn)) as other, other.cursor() as cursor:
        cursor.execute(question, [process])
        (answer,) = cursor.fetchone() or (None,)
        return answer


def last_journey() -> str:
    """Return what the connection sent last, as the server knows it."""
    return str(from_outside("SELECT query FROM pg_stat_activity WHERE pid = %s"))


def warm_up() -> None:
    """Prepare the statements, which takes journeys of their own."""
    COUNT.fetch_one()
    STORE.execute(0, "nothing")
    raw.execute("DELETE FROM things")


def test_begin_goes_with_the_first_statement() -> None:
    warm_up()
    with transaction.atomic():
        assert COUNT.fetch_one() == (0,)
        assert last_journey() == "BEGIN; EXECUTE test_backend_count"
        assert raw.fetch_one("SELECT %s::text || '%%'", ("100%",)) == ("100%%",)
        assert last_journey() == "SELECT '100%'::text || '%'"
    assert last_journey() == "COMMIT"


def test_what_nobody_reads_goes_with_the_next_statement_or_the_commit() -> None:
    warm_up()
    with transaction.atomic():
        STORE.execute_later(1, "100% %s")
        STORE.execute_later(2, "two")
        assert COUNT.fetch_one() == (2,)
        assert last_journey() == (
            "BEGIN; EXECUTE test_backend_store(1, '100% %s'); "
            "EXECUTE test_backend_store(2, 'two'); EXECUTE test_backend_count"
        )
        STORE.execute_later(3, "three")
    assert last_journey() == "EXECUTE test_backend_store(3, 'three'); COMMIT"
    assert stored() == [(1, "100% %s"), (2, "two"), (3, "three")]


def test_each_statement_is_known_without_what_it_took_along() -> None:
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        raw.fetch_one("SELECT %s", (1,))
        STORE.execute_later(1, "one")
        raw.fetch_one("SELECT %s", (2,))
    assert [query["sql"] for query in captured] == ["BEGIN", "SELECT 1", "SELECT 2", "COMMIT"]


def test_a_transaction_without_a_statement_makes_no_journey() -> None:
    warm_up()
    before = last_journey()
    with transaction.atomic():
        pass
    assert last_journey() == before


def test_outside_of_a_transaction_nothing_waits() -> None:
    STORE.execute_later(1, "one")
    assert stored() == [(1, "one")]


def test_in_a_part_that_may_be_undone_nothing_waits() -> None:
    with transaction.atomic():
        STORE.execute_later(1, "one")
        with pytest.raises(IntegrityError), transaction.atomic():
            STORE.execute_later(1, "again")
        with transaction.atomic():
            STORE.execute_later(2, "two")
    assert stored() == [(1, "one"), (2, "two")]


def test_a_failure_comes_with_the_next_statement_and_undoes_all() -> None:
    def fail_early() -> None:
        with transaction.atomic():
            STORE.execute(1, "one")
            STORE.execute_later(1, "again")
            COUNT.fetch_one()

    def fail_at_the_end() -> None:
        with transaction.atomic():
            STORE.execute(1, "one")
            STORE.execute_later(1, "again")

    def fail_at_the_commit() -> None:
        with transaction.atomic():
            STORE.execute_later(1, "same")
            STORE.execute_later(2, "same")

    for fail in (fail_early, fail_at_the_end, fail_at_the_commit):
        with pytest.raises(IntegrityError):
            fail()
        assert stored() == []
        assert connection.get_autocommit()
    STORE.execute(1, "one")
    assert stored() == [(1, "one")]


def test_what_is_undone_is_not_sent() -> None:
    def give_up() -> None:
        with transaction.atomic():
            STORE.execute_later(1, "one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up()
    with transaction.atomic():
        assert COUNT.fetch_one() == (0,)
    assert stored() == []


def test_a_lost_connection_takes_what_was_kept_along() -> None:
    def lose() -> None:
        with transaction.atomic():
            STORE.execute_later(1, "one")
            assert from_outside("SELECT pg_terminate_backend(%s, 5000)")

    with pytest.raises(DatabaseError):
        lose()
    connection.close()
    assert stored() == []


def test_every_way_of_sending_takes_along_what_was_kept() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        STORE.execute_later(1, "one")
        cursor.executemany("INSERT INTO things VALUES (%s, %s)", [(2, "two"), (3, "three")])
        STORE.execute_later(4, "four")
        cursor.copy_expert("COPY things FROM STDIN", io.StringIO("5\tfive\n"))
        STORE.execute_later(6, "six")
        with connection.chunked_cursor() as named:
            named.execute("SELECT id FROM things ORDER BY id")
            assert [row[0] for row in named.fetchall()] == [1, 2, 3, 4, 5, 6]
        STORE.execute_later(7, "seven")
        cursor.callproc("pg_advisory_xact_lock_shared", [1])
        assert len(stored()) == 7
        STORE.execute_later(8, "eight")
        transaction.savepoint_rollback(transaction.savepoint())
        STORE.execute_later(9, "nine")
        cursor.copy_from(io.StringIO("10\tten\n"), "things")
        STORE.execute_later(11, "eleven")
        copied = io.StringIO()
        cursor.copy_to(copied, "things")
        assert len(copied.getvalue().splitlines()) == 11
        transaction.set_rollback(True)
    assert stored() == []


def test_the_mode_does_not_change_in_a_transaction() -> None:
    with transaction.atomic():
        COUNT.fetch_one()
        with pytest.raises(ProgrammingError), connection.wrap_database_errors:
            connection.connection.begins_transactions = False


def test_a_parameter_that_cannot_be_sent_costs_nothing_that_was_kept() -> None:
    with transaction.atomic():
        STORE.execute_later(1, "one")
        with pytest.raises(ValueError, match="NUL"):
            raw.fetch_one("SELECT %s", ("a\x00",))
        assert COUNT.fetch_one() == (1,)


def test_a_commit_after_an_error_is_no_success() -> None:
    with transaction.atomic():
        STORE.execute(1, "one")

    connection.set_autocommit(False)
    try:
        STORE.execute(2, "two")
        with pytest.raises(IntegrityError):
            STORE.execute(2, "again")
        with pytest.raises(InternalError):
            connection.commit()
    finally:
        connection.rollback()
        connection.set_autocommit(True)
    assert stored() == [(1, "one")]


def test_a_broken_transaction_takes_no_more_statements() -> None:
    def go_on() -> None:
        with transaction.atomic():
            with pytest.raises(DatabaseError):
                raw.execute("SELECT 1 / 0")
            STORE.execute_later(1, "one")

    with pytest.raises(InternalError):
        go_on()
    assert stored() == []
