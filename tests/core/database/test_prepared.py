"""Prepared statements: once for each connection, and again after it was lost."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.database.prepared import PreparedStatement
from tests.core.database.test_transactions import lose_connection

pytestmark = pytest.mark.django_db(transaction=True)

DOUBLE = PreparedStatement("double", ("int[]",), "SELECT n, n * 2 FROM unnest($1) AS n ORDER BY n")


def test_a_statement_is_prepared_once_for_a_connection() -> None:
    connection.close()
    assert DOUBLE.fetch_all(([2, 1],)) == [(1, 2), (2, 4)]
    with CaptureQueriesContext(connection) as captured:
        assert DOUBLE.fetch_all(([3],)) == [(3, 6)]
    assert [query["sql"].split()[0] for query in captured] == ["EXECUTE"]


def test_a_lost_connection_is_replaced_and_prepared_anew() -> None:
    DOUBLE.fetch_all(([1],))
    lose_connection()
    assert DOUBLE.fetch_all(([1],)) == [(1, 2)]
