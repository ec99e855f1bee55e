"""Rows stored with COPY come back as they were given."""

import pytest
from django.db import connection, transaction

from core.common.clock import now
from core.database import raw
from core.database.copying import copy_rows

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = ["plain", "", "tab\tnew\nline\rreturn", r"back\slash \N \.", "ünïcode 🐳", "'\"$1%s"]


@pytest.fixture(autouse=True)
def _table() -> None:
    raw.execute("CREATE TEMPORARY TABLE copied (id int, text text, at timestamptz, data jsonb)")


def test_every_value_survives() -> None:
    moment = now()
    rows = [(number, text, moment, {"key": text}) for number, text in enumerate(HOSTILE)]
    copy_rows("copied", ("id", "text", "at", "data"), [*rows, (99, None, None, None)])
    stored = raw.fetch_all("SELECT id, text, at, data ->> 'key' FROM copied ORDER BY id")
    expected = [(number, text, moment, text) for number, text in enumerate(HOSTILE)]
    assert stored == [*expected, (99, None, None, None)]
    raw.execute("DROP TABLE copied")


def test_rows_vanish_with_the_transaction() -> None:
    with transaction.atomic():
        copy_rows("copied", ("id",), [(1,)])
        transaction.set_rollback(True)
    assert raw.fetch_one("SELECT count(*) FROM copied") == (0,)
    connection.close()
