"""Which pieces an upload has, in a few bytes of JSON however many they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from core.storage.errors import UploadMissing
from core.storage.types import UploadState


class Run(NamedTuple):
    """Pieces that one writer stored one after another; together they have ``size`` bytes."""

    token: str
    pieces: int
    size: int


@dataclass(frozen=True, slots=True)
class PiecesState:
    """The durable bytes of an upload, in order."""

    driver: str
    runs: tuple[Run, ...] = ()

    @property
    def size(self) -> int:
        """How many bytes are durable."""
        return sum(run.size for run in self.runs)

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return sum(run.pieces for run in self.runs)

    @property
    def names(self) -> Iterator[str]:
        """The names of the pieces, in order."""
        return (piece_name(run.token, number) for run in self.runs for number in range(run.pieces))

    @property
    def mark(self) -> str:
        """What is kept with the blob that these pieces make, and with no other."""
        return f"{self.runs[-1].token}-{self.runs[-1].pieces}" if self.runs else "empty"

    def to_json(self) -> UploadState:
        """Return the JSON object that callers keep."""
        return {"driver": self.driver, "runs": [list(run) for run in self.runs]}

    @classmethod
    def of_size(cls, state: UploadState, size: int, driver: str) -> Self:
        """Read a state back; raises UploadMissing unless ``driver`` wrote it for ``size``."""
        if state.get("driver") != driver:
            raise UploadMissing("The upload was begun on another storage.")
        runs: list[list[Any]] = state["runs"]
        known = cls(
            driver, tuple(Run(str(token), int(n), int(length)) for token, n, length in runs)
        )
        if known.size != size:
            raise UploadMissing(f"The storage holds {known.size} of the upload's {size} bytes.")
        return known


def piece_name(token: str, number: int) -> str:
    """Return the name of a writer's piece, counted from 0; all names are of one length."""
    return f"{token}{number:06d}"
