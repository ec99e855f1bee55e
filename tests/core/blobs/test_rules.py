"""Pure decisions on uploads and blobs."""

import pytest

from core.blobs.rules import StoredCopy, continues, is_suspicious, judge_copy

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("recorded", "stored", "copy"),
    [
        (5, 5, StoredCopy.SOUND),
        (0, 0, StoredCopy.SOUND),
        (5, 4, StoredCopy.DAMAGED),
        (5, 6, StoredCopy.DAMAGED),
        (0, None, StoredCopy.DAMAGED),
    ],
)
def test_a_copy_is_sound_when_it_has_its_size(
    recorded: int, stored: int | None, copy: StoredCopy
) -> None:
    assert judge_copy(recorded_bytes=recorded, stored_bytes=stored) is copy


@pytest.mark.parametrize(
    ("hashed", "upload", "expected"),
    [
        (("sha256", 9), ("sha256", 9), True),
        (("sha256", 8), ("sha256", 9), False),
        (("sha512", 9), ("sha256", 9), False),
    ],
)
def test_a_hash_continues_only_the_upload_it_belongs_to(
    hashed: tuple[str, int], upload: tuple[str, int], expected: bool
) -> None:
    assert continues(*hashed, *upload) is expected


@pytest.mark.parametrize(
    ("strays", "objects", "suspicious"),
    [(0, 0, False), (100, 100, False), (101, 2020, False), (101, 2019, True), (500, 500, True)],
)
def test_many_mismatches_speak_against_the_whole(
    strays: int, objects: int, suspicious: bool
) -> None:
    assert is_suspicious(unmatched=strays, objects=objects) is suspicious


def test_a_marked_copy_is_damaged_whatever_its_size() -> None:
    sound = judge_copy(recorded_bytes=5, stored_bytes=5)
    marked = judge_copy(recorded_bytes=5, stored_bytes=5, is_marked=True)
    assert (sound, marked) == (StoredCopy.SOUND, StoredCopy.DAMAGED)
