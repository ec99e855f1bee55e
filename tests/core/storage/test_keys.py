"""Keys: their shape and their spread."""

import uuid

import pytest

from core.storage.keys import join_key, key_for_upload, parse_key


def test_key_of_an_upload() -> None:
    upload_id = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    key = key_for_upload(upload_id)
    assert key == "blobs/57/01890a5dac96774bbcceb302099a8057"
    assert parse_key(key) == ("57", upload_id.hex)
    assert join_key("57", upload_id.hex) == key


def test_keys_spread_over_the_folders() -> None:
    assert len({parse_key(key_for_upload(uuid.uuid4()))[0] for _ in range(2000)}) > 200


@pytest.mark.parametrize(
    ("folder", "name"), [("ab", ".probe-12"), ("abc", "a" * 32), ("..", "a" * 32)]
)
def test_foreign_files_have_no_key(folder: str, name: str) -> None:
    assert join_key(folder, name) is None
