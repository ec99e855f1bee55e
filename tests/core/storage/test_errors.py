"""Errors of the operating system as errors of the domain."""

import errno

import pytest

from core.common.errors import DomainError, ErrorKind
from core.storage.errors import StorageFailed, StorageFull, translated


@pytest.mark.parametrize(
    ("number", "expected", "kind"),
    [
        (errno.ENOSPC, StorageFull, ErrorKind.STORAGE_FULL),
        (errno.EDQUOT, StorageFull, ErrorKind.STORAGE_FULL),
        (errno.EIO, StorageFailed, ErrorKind.BUSY),
        (errno.EROFS, StorageFailed, ErrorKind.BUSY),
        (errno.EMFILE, StorageFailed, ErrorKind.BUSY),
    ],
)
def test_translation(number: int, expected: type[DomainError], kind: ErrorKind) -> None:
    with pytest.raises(expected) as caught, translated("write"):
        raise OSError(number, "reason")
    assert caught.value.code == "UNAVAILABLE"
    assert caught.value.kind is kind
    assert isinstance(caught.value.__cause__, OSError)


def test_message_names_no_path() -> None:
    with pytest.raises(StorageFailed) as caught, translated("read the blob"):
        raise OSError(errno.EIO, "Input/output error", "/srv/secret/place")
    assert "secret" not in caught.value.message
    assert caught.value.detail == {"reason": "Input/output error"}
    assert caught.value.retry_after_seconds == 5


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="mine"), translated("write"):
        raise ValueError("mine")
