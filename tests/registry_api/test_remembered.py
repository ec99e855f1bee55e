"""Remembered answers hold while versions are the same, and are asked for anew when not."""

import asyncio
from dataclasses import dataclass

import pytest

from core.database.versions import Basis, Versions
from registry_api import remembered
from registry_api.remembered import Remembered

pytestmark = pytest.mark.pure


@dataclass(frozen=True, eq=False)
class Found:
    """An answer that says which value it was given for."""

    value: int
    basis: Basis | None


class Table:
    """Rows with a value and a version each, and how often they were read."""

    def __init__(self, **rows: tuple[int, int]) -> None:
        self.rows = rows
        self.reads: list[str] = []

    async def find(self, name: str) -> Found:
        """Read a row by its name; what is missing has no basis."""
        self.reads.append(f"find {name}")
        await asyncio.sleep(0)
        if name not in self.rows:
            return Found(0, None)
        value, version = self.rows[name]
        return Found(value, Basis((name,), (version,)))

    async def find_versions(self, question: tuple[str]) -> Versions:
        """Read the version only."""
        self.reads.append(f"version {question[0]}")
        await asyncio.sleep(0)
        return (self.rows[question[0]][1] if question[0] in self.rows else None,)


PROOF = b"proof"


class Proven:
    """Somebody who has proven that they may know the answers."""

    def __init__(self, table: Table) -> None:
        self.memory = Remembered(table.find, table.find_versions)

    def ask(self, question: str) -> Found:
        """Ask, and let the answer be remembered."""
        found = asyncio.run(self.memory.ask(question, PROOF))
        self.memory.keep([question], PROOF, [found])
        return found


def test_the_same_object_is_given_while_it_holds() -> None:
    table = Table(a=(1, 10), b=(2, 20))
    proven = Proven(table)
    first, again, other = proven.ask("a"), proven.ask("a"), proven.ask("b")
    assert first is again
    assert (first.value, other.value) == (1, 2)
    assert table.reads == ["find a", "version a", "find b"]


def test_only_what_is_kept_is_remembered_and_only_for_the_proof() -> None:
    table = Table(a=(1, 10))
    proven = Proven(table)

    def ask(proof: bytes) -> None:
        asyncio.run(proven.memory.ask("a", proof))

    ask(PROOF)
    ask(PROOF)
    proven.ask("a")
    ask(b"other")
    ask(PROOF)
    assert table.reads == ["find a"] * 4 + ["version a"]


def test_what_does_not_hold_is_forgotten_though_nothing_takes_its_place() -> None:
    table = Table(a=(1, 10))
    proven = Proven(table)
    proven.ask("a")
    table.rows["a"] = (2, 11)
    for _ in range(2):
        asyncio.run(proven.memory.ask("a", PROOF))
    assert table.reads == ["find a", "version a", "find a", "find a"]


def test_a_new_version_is_read_and_holds_from_then_on() -> None:
    table = Table(a=(1, 10))
    proven = Proven(table)
    values = [proven.ask("a").value]
    table.rows["a"] = (2, 11)
    values += [proven.ask("a").value for _ in range(2)]
    del table.rows["a"]
    values += [proven.ask("a").value for _ in range(2)]
    assert values == [1, 2, 2, 0, 0]
    assert table.reads == [
        *("find a", "version a", "find a", "version a"),
        *("version a", "find a", "find a"),
    ]


def test_what_has_no_basis_is_asked_for_each_time() -> None:
    table = Table()
    proven = Proven(table)
    for _ in range(2):
        proven.ask("gone")
    assert table.reads == ["find gone", "find gone"]


def test_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MAX_REMEMBERED", 2)
    table = Table(a=(1, 10), b=(2, 20), c=(3, 30))
    proven = Proven(table)
    for question in ("a", "b", "c", "b", "a"):
        proven.ask(question)
    assert table.reads == ["find a", "find b", "find c", "version b", "find a"]


def test_after_a_minute_an_answer_is_asked_for_anew_however_often_it_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table(a=(1, 10))
    proven = Proven(table)
    for seconds in (1000, 1030, 1059, 1060, 1061):
        monkeypatch.setattr(remembered, "monotonic", lambda at=seconds: float(at))
        proven.ask("a")
    assert table.reads == ["find a", "version a", "version a", "find a", "version a"]
