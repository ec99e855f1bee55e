"""Statements that PostgreSQL plans once for a connection, and questions asked through them.

Planning a look-up over five tables costs PostgreSQL several times what carrying it out does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from core.database.raw import Row

Question = TypeVar("Question", bound=tuple[Any, ...])
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """A statement with numbered parameters (``$1``), known to a connection by its name."""

    name: str
    sql: str


class Connections(Protocol):
    """Whatever carries out prepared statements (``core.database.asynchronous``)."""

    async def fetch_all(self, statement: PreparedStatement, parameters: Sequence[Any]) -> list[Row]:
        """Return all rows. Raises ``django.db.DatabaseError`` and ``InterfaceError``."""


@dataclass(frozen=True)
class Lookup(Generic[Question, Answer]):
    """A read that answers any number of questions of one kind with one statement.

    ``columns`` names the fields of a question in their order, each with its PostgreSQL type.
    ``select`` and ``joins`` read them from a table ``asked`` of these columns, and must yield
    exactly one row for each of its rows::

        class SizeQuestion(NamedTuple):
            digest: bytes


        SIZES = Lookup(
            "blob_sizes",
            {"digest": "bytea"},
            select="b.size_bytes",
            joins="LEFT JOIN blobs_blob b ON b.digest = asked.digest",
            answer=lambda question, row: row[0],
        )

    Requests then share its statements through ``registry_api.batches``.
    """

    name: str
    columns: Mapping[str, str]
    select: str
    joins: str
    answer: Callable[[Question, Row], Answer]

    async def ask(self, connections: Connections, questions: Sequence[Question]) -> list[Answer]:
        """Return an answer for every question, in their order. Raises what the connections do."""
        if len(questions) == 1:
            rows = await connections.fetch_all(self.one, questions[0])
        else:
            columns = [list(values) for values in zip(*questions, strict=True)]
            rows = await connections.fetch_all(self.many, columns)
        return [self.answer(question, row) for question, row in zip(questions, rows, strict=True)]

    @cached_property
    def one(self) -> PreparedStatement:
        """The statement for a question that comes alone; arrays would double its cost."""
        typed = enumerate(self.columns.items(), start=1)
        fields = [f"${n}::{type_name} AS {column}" for n, (column, type_name) in typed]
        return self._statement(
            f"{self.name}_one",
            f"(SELECT {', '.join(fields)}, 1 AS position) AS asked",
        )

    @cached_property
    def many(self) -> PreparedStatement:
        """The statement for several questions, which come as one array for each column."""
        typed = enumerate(self.columns.values(), start=1)
        places = ", ".join(f"${n}::{type_name}[]" for n, type_name in typed)
        return self._statement(
            f"{self.name}_many",
            f"unnest({places}) WITH ORDINALITY AS asked({', '.join(self.columns)}, position)",
        )

    def _statement(self, name: str, source: str) -> PreparedStatement:
        sql = f"SELECT {self.select} FROM {source} {self.joins} ORDER BY asked.position"  # noqa: S608  # made of constants
        return PreparedStatement(name, sql)
