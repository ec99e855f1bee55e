"""Look-ups asked within the transaction of a test."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from django.db import connection, transaction

from core.database.prepared import Answer, Lookup, Question


def ask_here(lookup: Lookup[Question, Answer], question: Question) -> Answer:
    """Ask one question on the connection of the test, which sees what was not committed."""
    places = ", ".join(f"%s::{kind}" for kind in lookup.columns.values())
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE asked AS {lookup.one.sql}")
        cursor.execute(f"EXECUTE asked ({places})", question)
        [row] = cursor.fetchall()
        cursor.execute("DEALLOCATE asked")
    return lookup.answer(question, row)


def ask_together(lookup: Lookup[Question, Answer], questions: Sequence[Question]) -> list[Answer]:
    """Ask several questions with one statement."""
    columns = [list(values) for values in zip(*questions, strict=True)]
    places = ", ".join(f"%s::{kind}[]" for kind in lookup.columns.values())
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE asked AS {lookup.many.sql}")
        cursor.execute(f"EXECUTE asked ({places})", columns)
        rows = cursor.fetchall()
        cursor.execute("DEALLOCATE asked")
    return [lookup.answer(question, row) for question, row in zip(questions, rows, strict=True)]


def one_transaction() -> AbstractContextManager[None]:
    """Let what is written within have a number of its own, as that of another transaction has."""
    return transaction.atomic(savepoint=True)
