"""A database that can only be read, as on a standby before its promotion."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from core.database import raw


@contextmanager
def read_only_database() -> Iterator[None]:
    """Refuse writes in this thread, and in every connection that is opened meanwhile.

    For tests with transactions of their own.
    """
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    raw.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    raw.execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        raw.execute("SET default_transaction_read_only = off")
        raw.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
