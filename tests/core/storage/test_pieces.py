"""What the drivers of two clouds have in common: states, and reading ahead."""

import pytest

from core.storage.errors import BlobMissing, StorageFailed, UploadMissing
from core.storage.pieces.reader import PiecesReader
from core.storage.pieces.service import BlobFacts
from core.storage.pieces.state import PiecesState, Run
from core.storage.pieces.writer import PIECES
from core.storage.types import BlobReader

pytestmark = pytest.mark.pure

CONTENT = bytes(range(256)) * 40


class Ranges:
    """Answers as a service does, and remembers what it was asked for."""

    def __init__(self, content: bytes | None = CONTENT) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def head(self, key: str) -> BlobFacts | None:
        return None if self.content is None else BlobFacts(len(self.content), "1", "")

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        assert version == "1"
        self.asked.append((start, end))
        return (self.content or b"")[start:end]


def reader(ranges: Ranges) -> PiecesReader:
    return PiecesReader(ranges, "key")  # type: ignore[arg-type]


class TestState:
    def test_names_are_of_one_length_and_in_order(self) -> None:
        state = PiecesState("x", (Run("a" * 24, 2, 10), Run("b" * 24, 1, 5)))
        names = list(state.names)
        assert names == ["a" * 24 + "000000", "a" * 24 + "000001", "b" * 24 + "000000"]
        assert (state.count, state.size) == (3, 15)

    def test_marks_differ_from_state_to_state(self) -> None:
        states = [
            PiecesState("x"),
            PiecesState("x", (Run("a", 1, 10),)),
            PiecesState("x", (Run("a", 2, 20),)),
            PiecesState("x", (Run("a", 1, 10), Run("b", 1, 10))),
        ]
        assert len({state.mark for state in states}) == 4

    def test_survives_the_database(self) -> None:
        state = PiecesState("x", (Run("a", 1, 10), Run("b", 3, 7)))
        assert PiecesState.of_size(state.to_json(), 17, "x") == state
        for size, driver in ((16, "x"), (17, "y")):
            with pytest.raises(UploadMissing):
                PiecesState.of_size(state.to_json(), size, driver)


def test_a_blob_stays_below_what_both_services_take() -> None:
    assert 4 << 40 < PIECES.capacity_bytes < 5 << 40
    assert PIECES.maximum_parts < 50_000


class TestReading:
    def test_a_reader_is_what_those_who_send_blobs_expect(self) -> None:
        opened: BlobReader = reader(Ranges())
        assert isinstance(opened, BlobReader)
        assert opened.file is None

    def test_a_reader_that_goes_on_is_served_ahead(self) -> None:
        ranges = Ranges()
        opened = reader(ranges)
        pieces = [opened.read(offset, 1_000) for offset in range(0, len(CONTENT), 1_000)]
        assert b"".join(pieces) == CONTENT
        assert ranges.asked == [(0, 4_000), (4_000, 8_000), (8_000, len(CONTENT))]

    def test_a_single_range_is_all_that_is_asked_for(self) -> None:
        ranges = Ranges()
        opened = reader(ranges)
        assert opened.read(5_000, 10) == CONTENT[5_000:5_010]
        assert ranges.asked == [(5_000, 5_010)]
        assert opened.read(5_010, 10) == CONTENT[5_010:5_020]
        assert ranges.asked[1:] == [(5_010, 5_050)]

    def test_pieces_of_changing_length(self) -> None:
        opened = reader(Ranges())
        position, pieces = 0, []
        for length in (1, 2_560, 640, 10, 5_000, 3, 10_000):
            pieces.append(opened.read(position, length))
            position += len(pieces[-1])
        assert b"".join(pieces) == CONTENT
        assert opened.read(100, 7) == CONTENT[100:107]
        assert opened.read(0, 7) == CONTENT[:7]

    def test_a_short_answer_is_never_taken_for_the_end(self) -> None:
        ranges = Ranges()
        opened = reader(ranges)
        ranges.content = CONTENT[:100]
        with pytest.raises(StorageFailed):
            opened.read(0, 200)

    def test_nothing_to_read(self) -> None:
        with pytest.raises(BlobMissing):
            reader(Ranges(None))
        opened = reader(Ranges(b""))
        assert opened.read(0, 10) == b""
        opened = reader(Ranges())
        opened.close()
        with pytest.raises(StorageFailed):
            opened.read(0, 1)
