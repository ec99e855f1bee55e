"""A sweep looks at what it may remove, not at what is to stay for a while."""

import pytest
from django.db import connection

from core.blobs.services import sweep_condemned
from tests.support.reads import rows_read_by

pytestmark = pytest.mark.django_db(transaction=True)


def test_objects_that_stay_are_not_read() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO blobs_condemnedobject (storage_key, store, condemned_at, kept_until)"
            " SELECT 'kept-' || n, 'main', now(), now() + interval '1 day'"
            "   FROM generate_series(1, 3000) n"
        )
        cursor.execute("ANALYZE")
    assert rows_read_by(lambda: sweep_condemned(10)) < 50
