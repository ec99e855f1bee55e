"""Statements that PostgreSQL plans once for a connection, and questions asked through them.

Planning a look-up over five tables costs PostgreSQL several times what carrying it out does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from core.database.raw import Row

Told = TypeVar("Told")
Tell = Callable[[Told | BaseException], None]
"""What is called once, with the answer or with what went wrong."""

Question = TypeVar("Question", bound=tuple[Any, ...])
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class PreparedStatement:
    """A statement with numbered parameters (``$1``) of the given PostgreSQL types."""

    name: str
    types: tuple[str, ...]
    sql: str

    @cached_property
    def prepare(self) -> str:
        """The statement that makes it known to a connection."""
        types = f" ({', '.join(self.types)})" if self.types else ""
        return f"PREPARE {self.name}{types} AS {self.sql}"

    @cached_property
    def execute(self) -> str:
        """The statement that carries it out, with a place for each parameter.

        Only arrays need their type said, since an empty one has none; each cast costs
        PostgreSQL as much as an index look-up.
        """
        places = ", ".join(f"%s::{name}" if name.endswith("[]") else "%s" for name in self.types)
        return f"EXECUTE {self.name} ({places})" if places else f"EXECUTE {self.name}"


class Connections(Protocol):
    """Whatever carries out prepared statements (``core.database.asynchronous``)."""

    def ask(
        self, statement: PreparedStatement, parameters: Sequence[Any], tell: Tell[list[Row]]
    ) -> None:
        """Have all rows told, or a ``django.db.DatabaseError`` or ``InterfaceError``."""


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

    def ask(
        self,
        connections: Connections,
        questions: Sequence[Question],
        tell: Tell[Sequence[Answer]],
    ) -> None:
        """Have an answer told for every question, in their order, or what went wrong."""

        def rows_came(rows: list[Row] | BaseException) -> None:
            if isinstance(rows, BaseException):
                tell(rows)
                return
            pairs = zip(questions, rows, strict=True)
            try:
                answers = [self.answer(question, row) for question, row in pairs]
            except Exception as error:  # noqa: BLE001  # whoever asked is told
                tell(error)
            else:
                tell(answers)

        if len(questions) == 1:
            connections.ask(self.one, questions[0], rows_came)
        else:
            columns = [list(values) for values in zip(*questions, strict=True)]
            connections.ask(self.many, columns, rows_came)

    @cached_property
    def one(self) -> PreparedStatement:
        """The statement for a question that comes alone; arrays would double its cost."""
        fields = [f"${n} AS {column}" for n, column in enumerate(self.columns, start=1)]
        return self._statement(
            f"{self.name}_one",
            tuple(self.columns.values()),
            f"(SELECT {', '.join(fields)}, 1 AS position) AS asked",
        )

    @cached_property
    def many(self) -> PreparedStatement:
        """The statement for several questions, which come as one array for each column."""
        places = ", ".join(f"${n}" for n in range(1, len(self.columns) + 1))
        return self._statement(
            f"{self.name}_many",
            tuple(f"{type_name}[]" for type_name in self.columns.values()),
            f"unnest({places}) WITH ORDINALITY AS asked({', '.join(self.columns)}, position)",
        )

    def _statement(self, name: str, types: tuple[str, ...], source: str) -> PreparedStatement:
        sql = f"SELECT {self.select} FROM {source} {self.joins} ORDER BY asked.position"  # noqa: S608  # made of constants
        return PreparedStatement(name, types, sql)
