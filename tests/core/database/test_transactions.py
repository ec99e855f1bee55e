"""Durable writes and reads over a lost connection."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from pytest_django.fixtures import Settings

from core.blobs.claims import claim_expired
from core.blobs.services import sweep_condemned
from core.common.errors import DomainError
from core.database import raw
from core.database.transactions import durable_write, joined_writes, rehearsal
from core.events.services import publish
from core.events.types import Event

pytestmark = pytest.mark.django_db(transaction=True)


@durable_write
def write_something() -> int:
    """Run one statement in a durable block."""
    raw.execute("SELECT 1")
    return 5


def test_durable_write_returns_the_result() -> None:
    assert write_something() == 5


@durable_write
def break_a_constraint(name: str) -> None:
    """Violate a constraint of that name, as a trigger does."""
    raw.execute(
        f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation',"
        f" CONSTRAINT = '{name}', DETAIL = 'so many'; END $$"
    )


class Refused(DomainError):
    """What a test makes of a constraint."""


def test_a_named_constraint_is_a_refusal_and_any_other_a_defect(settings: Settings) -> None:
    settings.CONSTRAINT_REFUSALS = {"full": f"{__name__}.Refused"}
    with pytest.raises(Refused, match="so many"):
        break_a_constraint("full")
    with pytest.raises(IntegrityError):
        break_a_constraint("other")


def test_durable_write_refuses_to_nest() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        write_something()


@durable_write
def make_table(*, again: bool = False) -> None:
    """Make a table, and fail when asked to make it twice."""
    raw.execute("CREATE TABLE rehearsed (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    publish(Event())
    if again:
        raise Refused


@durable_write
def insert_one() -> None:
    """Insert a row whose key is looked at when the transaction commits."""
    raw.execute("INSERT INTO rehearsed VALUES (1)")


def test_a_rehearsal_sees_what_it_wrote_and_undoes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered: list[Event] = []
    monkeypatch.setattr("core.events.services._deliver", delivered.append)
    with rehearsal():
        with pytest.raises(Refused):
            make_table(again=True)
        make_table()
        insert_one()
        with pytest.raises(IntegrityError):
            insert_one()
        assert raw.fetch_one("SELECT count(*) FROM rehearsed") == (1,)
    assert raw.fetch_one("SELECT to_regclass('rehearsed')") == (None,)
    assert delivered == []
    with transaction.atomic(), pytest.raises(RuntimeError):
        write_something()


def lose_connection() -> None:
    """Let the server end this thread's connection, as a restart would."""
    own = raw.fetch_one("SELECT pg_backend_pid()")
    assert own is not None
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", own)
    other.close()


def test_read_survives_a_lost_connection() -> None:
    lose_connection()
    assert raw.fetch_all("SELECT 1") == [(1,)]


def test_read_in_a_transaction_is_not_repeated() -> None:
    def read_again() -> None:
        with transaction.atomic():
            raw.fetch_one("SELECT 1")
            lose_connection()
            raw.fetch_one("SELECT 1")

    with pytest.raises(OperationalError):
        read_again()


@pytest.mark.parametrize(
    "write",
    [
        partial(raw.execute, "SELECT 1"),
        partial(raw.fetch_changed, "SELECT 1"),
        partial(claim_expired, datetime(2026, 1, 1, tzinfo=UTC), except_ids=[]),
        sweep_condemned,
    ],
)
def test_write_is_not_repeated(write: Callable[[], object]) -> None:
    write()
    lose_connection()
    with pytest.raises(OperationalError):
        write()
    connection.close()


def test_a_write_need_not_be_the_first_to_notice_a_lost_connection() -> None:
    connection.close()
    raw.drop_lost_connection()
    kept = raw.fetch_one("SELECT pg_backend_pid()")
    raw.drop_lost_connection()
    assert raw.fetch_one("SELECT pg_backend_pid()") == kept
    lose_connection()
    raw.drop_lost_connection()
    assert raw.execute("SELECT 1") == 1
    assert raw.fetch_one("SELECT pg_backend_pid()") != kept


@durable_write
def make_table_and(*more: Callable[[], None]) -> None:
    """Make a table and do more, all or nothing."""
    with joined_writes():
        with pytest.raises(Refused):
            make_table(again=True)
        make_table()
        for write in more:
            write()


def test_joined_writes_are_committed_together_or_not_at_all() -> None:
    with pytest.raises(IntegrityError):
        make_table_and(insert_one, insert_one)
    assert raw.fetch_one("SELECT to_regclass('rehearsed')") == (None,)
    make_table_and(insert_one)
    assert raw.fetch_one("SELECT count(*) FROM rehearsed") == (1,)
    raw.execute("DROP TABLE rehearsed")
    with transaction.atomic(), pytest.raises(RuntimeError):
        write_something()
