"""How much a piece of work reads, whatever reads it: statements, triggers or foreign keys."""

from collections.abc import Callable

from django.db import connection

from core.database.transactions import rehearsal

_READ = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)
  FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
"""


def rows_read_by(work: Callable[[], object]) -> int:
    """Carry out work and undo it; return how many entries of tables and indexes it has read."""
    with rehearsal():
        before = _read_so_far()
        work()
        return _read_so_far() - before


def _read_so_far() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        return int(cursor.fetchone()[0])
