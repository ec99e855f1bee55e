"""Words for people."""

import pytest

from core.common.text import counted

pytestmark = pytest.mark.pure


def test_one_is_not_many() -> None:
    assert [counted(number, "blob") for number in (0, 1, 2_000)] == [
        "0 blobs",
        "1 blob",
        "2,000 blobs",
    ]
    assert counted(1, "repository", "repositories") == "1 repository"
    assert counted(2, "blob is", "blobs are") == "2 blobs are"
