"""What the driver asks of a cloud."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from core.storage.errors import StorageFailed
from core.storage.part_buffer import PartBuffer
from core.storage.pieces.state import PiecesState
from core.storage.types import StoredObject


class BlobFacts(NamedTuple):
    """What the service says of one blob.

    ``version`` pins reads to these very bytes; ``mark`` is "" when another program made them.
    """

    size: int
    version: str
    mark: str


class PieceService(Protocol):
    """The requests to one bucket or container. Any number of threads may use it.

    A request is repeated, with growing pauses, for as long as that makes sense; then
    StorageFailed or StorageFull is raised. Keys raise StorageKeyInvalid unless they are ours.
    """

    @property
    def name(self) -> str:
        """What the driver is called in the states of its uploads."""

    def put_piece(self, key: str, piece: str, content: PartBuffer) -> None:
        """Store a piece durably; the same bytes may be sent again."""

    def holds_pieces(self, key: str, state: PiecesState) -> bool:
        """Say whether the pieces are still to be joined; the newest may stand for all."""

    def join(self, key: str, state: PiecesState) -> None:
        """Make the pieces the blob ``key``, with the mark of the state, unless there is one.

        Raises UploadMissing when the key is taken, perhaps by an earlier try of this request,
        or when a piece is not there.
        """

    def clean(self, key: str) -> None:
        """Remove what is left of an upload that has become a blob."""

    def discard(self, key: str) -> None:
        """Remove all pieces of an upload; a blob stays as it is."""

    def head(self, key: str) -> BlobFacts | None:
        """Look a blob up; None when there is none."""

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` up to, without, ``end``. Raises BlobMissing."""

    def delete(self, key: str) -> None:
        """Remove a blob; one that is missing counts as removed."""

    def link(self, key: str, lifetime_seconds: int) -> str | None:
        """Return an address that leads to the bytes; None where none can be signed."""

    def list_blobs(self) -> Iterator[StoredObject]:
        """Walk over the blobs."""

    def list_uploads(self, key: str | None = None) -> Iterator[StoredObject]:
        """Walk over the keys that have pieces, or look at one only."""

    def sentence(self, error: StorageFailed) -> str:
        """Say to whoever sets up the storage what ``error`` means and what to look at."""
