"""Storing many rows at once with COPY, which costs a tenth of what inserts through models do."""

import io
import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection
from psycopg2 import sql

Value = str | int | datetime | dict[str, object] | None

# Text format of COPY: what would end a value or a row is written with a backslash.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def copy_rows(table: str, columns: Collection[str], rows: Iterable[Sequence[Value]]) -> None:
    """Append the rows to the table in the current transaction.

    A dict is stored as JSON. Texts must not hold NUL. Raises ``django.db.DatabaseError``.
    """
    lines = io.StringIO("".join("\t".join(map(_text, row)) + "\n" for row in rows))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, lines)


def _text(value: Value) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, str):
        # Most texts hold nothing to escape, which is quicker to see than to do.
        if value.isprintable() and "\\" not in value:
            return value
        return value.translate(_ESCAPES)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value).translate(_ESCAPES)
    return str(value)
