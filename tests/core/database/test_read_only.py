"""Writes that are left out while the database can only be read."""

import pytest
from django.db import DatabaseError, IntegrityError, InternalError, ProgrammingError, transaction
from structlog.testing import capture_logs

from core.authn.models import LoginFailure
from core.database import raw, read_only
from core.database.read_only import is_read_only, unless_read_only
from tests.support.read_only import read_only_database

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = "INSERT INTO authn_loginfailure (username, address, attempt, failed_at) VALUES "
WRITE += "('alice', '192.0.2.1', '\\x01', now())"


def write() -> int:
    return raw.execute(WRITE)


def test_a_write_is_made_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_only, "_WARNING", read_only._Warning())
    with capture_logs() as logged:
        with read_only_database():
            assert [unless_read_only(write) for _time in range(3)] == [None] * 3
            assert len(logged) == 1
            monkeypatch.setattr(read_only, "_WARNING_EVERY_SECONDS", 0.0)
            assert unless_read_only(write) is None
        assert unless_read_only(write) == 1
    assert [entry["event"] for entry in logged] == [
        "write_left_out_while_database_is_read_only"
    ] * 2
    assert LoginFailure.objects.count() == 1


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (("SELECT nothing",), ProgrammingError),
        ((WRITE, WRITE), IntegrityError),
        (("SELECT nothing", WRITE), InternalError),
        (("DO $$ BEGIN RAISE 'no' USING ERRCODE = 'XX000'; END $$",), InternalError),
        (("DO $$ BEGIN RAISE 'no' USING ERRCODE = '53100'; END $$",), DatabaseError),
    ],
    ids=["no such column", "constraint", "failed transaction", "defect", "disk full"],
)
def test_every_other_error_is_raised(
    statements: tuple[str, ...], expected: type[DatabaseError]
) -> None:
    def run() -> None:
        with transaction.atomic():
            for number, statement in enumerate(statements, 1):
                try:
                    raw.execute(statement)
                except DatabaseError:
                    if number == len(statements):
                        raise

    with pytest.raises(expected) as refused:
        unless_read_only(run)
    assert not is_read_only(refused.value)
