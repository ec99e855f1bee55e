"""What the driver must remember of an upload between two requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from core.storage.errors import UploadMissing
from core.storage.types import UploadState

DRIVER_NAME = "s3"

WHOLE = ""
"""The name of a tail that is not below ``uploads/`` but lies under the final key."""


class Part(NamedTuple):
    """One uploaded part; its number is its place in the list, counted from 1."""

    size: int
    etag: str


class Tail(NamedTuple):
    """One object with bytes that are not part of the multipart upload yet."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class S3State:
    """The durable bytes of an upload: those of the parts, then those of the tails.

    ``mark`` is kept with the final object, so that an object found under the key can be told
    from one that another writer of the same upload put there. ``spent`` names tails whose
    bytes are elsewhere by now; they go once this state is known to be recorded.
    ``replaces_whole`` says that the upload went on after all its bytes had been put under the
    final key.
    """

    multipart_id: str = ""
    mark: str = ""
    parts: tuple[Part, ...] = ()
    tails: tuple[Tail, ...] = ()
    spent: tuple[str, ...] = ()
    replaces_whole: bool = False

    @property
    def size(self) -> int:
        """How many bytes are durable."""
        return total_size(self.parts) + total_size(self.tails)

    @property
    def is_whole(self) -> bool:
        """True when all bytes lie under the final key already, as one object."""
        return not self.parts and len(self.tails) == 1 and self.tails[0].name == WHOLE

    @property
    def must_replace(self) -> bool:
        """True when the final key already holds the first bytes of a longer upload."""
        begins_whole = bool(self.tails) and self.tails[0].name == WHOLE and not self.is_whole
        return self.replaces_whole or begins_whole

    @property
    def final_mark(self) -> str:
        """The mark of the object that a commit of this state makes, the same at each try."""
        return self.mark or (self.tails[-1].name if self.tails else "empty")

    def to_json(self) -> UploadState:
        """Return the JSON object that callers keep."""
        return {
            "driver": DRIVER_NAME,
            "multipart_id": self.multipart_id,
            "mark": self.mark,
            "parts": [list(part) for part in self.parts],
            "tails": [list(tail) for tail in self.tails],
            "spent": list(self.spent),
            "replaces_whole": self.replaces_whole,
        }

    @classmethod
    def from_json(cls, state: UploadState) -> Self:
        """Read a state back; raises UploadMissing when another driver wrote it."""
        if state.get("driver") != DRIVER_NAME:
            raise UploadMissing("The upload was begun on another storage.")
        parts: list[list[Any]] = state["parts"]
        tails: list[list[Any]] = state["tails"]
        return cls(
            multipart_id=str(state["multipart_id"]),
            mark=str(state["mark"]),
            parts=tuple(Part(int(size), str(etag)) for size, etag in parts),
            tails=tuple(Tail(str(name), int(size)) for name, size in tails),
            spent=tuple(str(name) for name in state["spent"]),
            replaces_whole=bool(state["replaces_whole"]),
        )


def total_size(pieces: Sequence[Part] | Sequence[Tail]) -> int:
    """Return the sum of the sizes in bytes."""
    return sum(piece.size for piece in pieces)
