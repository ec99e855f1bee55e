"""Pure decisions on uploads and blobs."""

from enum import Enum, auto


class StoredCopy(Enum):
    """What the storage holds for a blob that the database knows."""

    SOUND = auto()
    DAMAGED = auto()


def judge_copy(
    *, recorded_bytes: int, stored_bytes: int | None, is_marked: bool = False
) -> StoredCopy:
    """Tell whether a stored object may serve for its blob.

    One of another size may not, nor one that is marked as damaged.
    """
    is_sound = stored_bytes == recorded_bytes and not is_marked
    return StoredCopy.SOUND if is_sound else StoredCopy.DAMAGED


def continues(
    hash_algorithm: str, hashed_bytes: int, upload_algorithm: str, size_bytes: int
) -> bool:
    """Tell whether a restored hash is the one of exactly the upload's durable bytes."""
    return hash_algorithm == upload_algorithm and hashed_bytes == size_bytes


def is_suspicious(*, unmatched: int, objects: int) -> bool:
    """Tell whether that many mismatches of rows and objects speak against the whole.

    A crash leaves a handful of objects without a row, and a bad disk a handful of rows without
    an object. More than a hundred that are also more than a twentieth look like a database
    restored from an older backup, or like the wrong storage.
    """
    return unmatched > 100 and unmatched * 20 > objects
